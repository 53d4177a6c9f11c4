"""VASP as the code of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from atomate2.vasp.flows.phonons import PhononMaker
from atomate2.vasp.sets.base import VaspInputGenerator

from sse_flows.codes.vasp.inputs import Inputs, KPointRule, incar_of, make_inputs
from sse_flows.codes.vasp.launch import Launch
from sse_flows.codes.vasp.makers import BornMaker, ForcesMaker, RelaxMaker
from sse_flows.codes.vasp.potcars import Potcar, choose
from sse_flows.codes.vasp.presets import functional_of, presets, split_parallel

SYMPREC = 1e-3
"""Å; of displacements, whatever atomate2 is set to on this machine."""


@dataclass(frozen=True)
class Vasp:
    """VASP with a preset, and the makers that use it.

    Parameters
    ----------
    preset
        A name in ``presets.yaml``.
    potcar_functional
        Set of POTCARs as pymatgen names it.
    potcars
        Element -> symbol of its POTCAR, where it is not the preset's.
    incar
        Keys that win over the preset's; None takes one away.
    kpoints, supercell_kpoints
        Mesh or density for cells and for supercells; None for the preset's.
    spin
        ``auto``, ``none`` or ``polarised``.
    command, gamma_command
        Of vasp_std and vasp_gam; empty for those of atomate2's settings where the job runs.
    elements
        Elements that it has POTCARs for; set by :meth:`of`.
    order
        Cell whose magnetic moments supercells start with; set by :meth:`with_order`.

    Examples
    --------
    >>> Vasp("kyoto").method
    'VASP (PBEsol, kyoto)'
    """

    preset: str = "kim2024"
    potcar_functional: str = "PBE_54"
    potcars: Mapping[str, str] = field(default_factory=dict)
    incar: Mapping[str, Any] = field(default_factory=dict)
    kpoints: KPointRule | None = None
    supercell_kpoints: KPointRule | None = None
    spin: str = "auto"
    command: str = ""
    gamma_command: str = ""
    elements: tuple[str, ...] = ()
    order: Any = None

    @property
    def method(self) -> str:
        """What gave the forces, for documents."""
        changed = self._content or self.kpoints or self.supercell_kpoints
        note = f"{self.preset}, changed" if changed else self.preset
        text = f"VASP ({functional_of(self._incar('static'))}, {note})"
        return f"TEST DOUBLE, NOT {text}" if self._is_made_up else text

    @property
    def keeps_order(self) -> bool:
        """Whether a magnetic order is carried into supercells: with spins it is."""
        return int(self._content.get("ISPIN") or 1) == 2 if self._owns_spin else self.spin != "none"

    @property
    def gives_band_gap(self) -> bool:
        """Yes, from the eigenvalues of the relaxed cell."""
        return True

    @property
    def needs(self) -> list[str]:
        """Its POTCARs with their cutoffs."""
        cutoff = float(self._incar("static").get("ENCUT", 0.0))
        return [
            f"POTCAR {one.symbol} ({one.titel}; ENMAX {one.enmax:.0f} eV"
            + (f", above ENCUT {cutoff:.0f}" if one.enmax > cutoff > 0 else "")
            + ")"
            for one in self._potcars.values()
        ]

    def of(self, elements: Iterable[str]) -> Vasp:
        """The code with POTCARs for these elements.

        Raises
        ------
        SSEError
            Some have none; all of them are named.
        """
        code = replace(self, elements=tuple(sorted(set(elements))))
        _ = code._potcars
        return code

    def with_order(self, cell: Any) -> Vasp:
        """The code, whose supercells start with the magnetic moments of a cell, or reference."""
        return replace(self, order=cell)

    def relax_maker(self, force_max: float = 0.001, steps: int = 500) -> RelaxMaker:
        """Maker of a relaxation to `force_max` (eV/Å) that keeps the space group."""
        ionic = {"NSW": steps, "IBRION": 2, "ISIF": 3, "EDIFFG": -force_max}
        return RelaxMaker(
            input_set_generator=self._inputs("relax", ionic),
            static=self._inputs("static", {"NSW": 0}),
            launch=self._launch,
            force_max=force_max,
        )

    def phonon_maker(self, displacement: float = 0.01) -> PhononMaker:
        """atomate2's phonon maker for an already relaxed cell; displacements in Å."""
        rule = self.supercell_kpoints or self._density
        forces = ForcesMaker(
            input_set_generator=self._inputs("forces", {"NSW": 0}, rule),
            launch=self._launch,
            order=self.order,
        )
        return PhononMaker(
            displacement=displacement,
            symprec=SYMPREC,
            bulk_relax_maker=None,
            static_energy_maker=None,
            born_maker=None,
            phonon_displacement_maker=forces,
            create_thermal_displacements=False,
        )

    def supercell_maker(self) -> None:
        """None: what a start from another supercell saves was not measured."""

    def born_maker(self) -> BornMaker:
        """Maker of Born charges and dielectric tensor."""
        response = {"NSW": 0, "LEPSILON": True}
        return BornMaker(input_set_generator=self._inputs("born", response), launch=self._launch)

    @property
    def _owns_spin(self) -> bool:
        """Whether the user's INCAR says if there are spins."""
        return "ISPIN" in self._content

    @property
    def _is_made_up(self) -> bool:
        return bool(self.elements) and any(one.made_up for one in self._potcars.values())

    @property
    def _preset(self) -> dict[str, Any]:
        return presets()[self.preset]

    @property
    def _density(self) -> KPointRule:
        """What gives cells of any size their k points: a mesh of the file is the cell's alone."""
        given = None if isinstance(self.kpoints, list) else self.kpoints
        return given or self._preset["kpoints"]

    @property
    def _content(self) -> dict[str, Any]:
        return split_parallel(self.incar)[0]

    @property
    def _launch(self) -> Launch:
        return Launch(self.command, self.gamma_command, split_parallel(self.incar)[1])

    @cached_property
    def _potcars(self) -> dict[str, Potcar]:
        usual = VaspInputGenerator().config_dict["POTCAR"]
        symbols = {**usual, **self._preset["potcars"], **self.potcars}
        return choose(self.elements, symbols, self.potcar_functional)

    def _incar(self, calculation: str, steps: Mapping[str, Any] | None = None) -> dict[str, Any]:
        return incar_of(calculation, self.preset, self._content, steps or {})

    def _inputs(
        self, calculation: str, steps: Mapping[str, Any], rule: KPointRule | None = None
    ) -> Inputs:
        return make_inputs(
            self._incar(calculation, steps),
            rule or self.kpoints or self._preset["kpoints"],
            self._potcars,
            self.potcar_functional,
            "incar" if self._owns_spin else self.spin,
        )
