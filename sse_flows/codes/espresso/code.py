"""Quantum ESPRESSO as the code of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from sse_flows.codes.espresso.inputs import KPoints, Settings, merge, presets
from sse_flows.codes.espresso.job import Launch
from sse_flows.codes.espresso.makers import BornMaker, PhononMaker, RelaxMaker, ScfMaker
from sse_flows.codes.espresso.pseudopotentials import Family, choose, read_family

ELEMENT_SPACING = 0.3
"""Spacing of k points, 1/Å (2π included), for elements where the campaign gives a mesh."""


@dataclass(frozen=True)
class Espresso:
    """Quantum ESPRESSO with a preset, and the makers that use it.

    Parameters
    ----------
    preset
        A name in ``presets.yaml``.
    pseudopotentials
        Folder, JSON family, names of files by element, or None for ESPRESSO_PSEUDO.
    functional
        ``PBE``, ``PBEsol``, ``LDA``; None for the preset's.
    command
        Of pw.x; empty for that of SSE_ESPRESSO_COMMAND where the job runs.
    kpoints, supercell_kpoints
        Mesh or spacing (1/Å) for cells and for supercells; None for the preset's.
    spin
        ``auto``, ``none`` or ``polarised``.
    input
        Namelists that win over the preset's.
    elements
        Elements that it has pseudopotentials for; set by :meth:`of`.
    order
        Cell whose magnetic moments supercells start with; set by :meth:`with_order`.

    Examples
    --------
    >>> Espresso("jaafreh2024").method
    'Quantum ESPRESSO (PBE, jaafreh2024)'
    """

    preset: str = "tight"
    pseudopotentials: str | Mapping[str, str] | None = None
    functional: str | None = None
    command: str = ""
    kpoints: KPoints | None = None
    supercell_kpoints: KPoints | None = None
    spin: str = "auto"
    input: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    elements: tuple[str, ...] = ()
    order: Any = None

    @property
    def method(self) -> str:
        """What gave the forces, for documents."""
        changed = self.input or self.kpoints or self.supercell_kpoints
        note = f"{self.preset}, changed" if changed else self.preset
        return f"Quantum ESPRESSO ({self._functional}, {note})"

    @property
    def gives_band_gap(self) -> bool:
        """Yes, from the eigenvalues of the relaxed cell."""
        return True

    @property
    def keeps_order(self) -> bool:
        """Whether a magnetic order is carried into supercells: with spins it is."""
        return self.spin != "none"

    @property
    def needs(self) -> list[str]:
        """Its pseudopotentials with their cutoffs."""
        settings = self._settings
        texts = []
        for element, one in settings.pseudopotentials.items():
            wfc, rho = settings.cutoffs({element})
            low = settings.low_cutoffs({element})
            asked = f", below its {one.cutoff_wfc:g}/{one.cutoff_rho:g} Ry" if low else ""
            texts.append(f"{one.file} ({one.functional}, {wfc:.0f}/{rho:.0f} Ry{asked})")
        return texts

    def of(self, elements: Iterable[str]) -> Espresso:
        """The code with pseudopotentials for these elements.

        Raises
        ------
        SSEError
            Some have none; all of them are named.
        """
        code = replace(self, elements=tuple(sorted(set(elements))))
        _ = code._settings
        return code

    def with_order(self, cell: Any) -> Espresso:
        """The code, whose supercells start with the magnetic moments of a cell, or reference."""
        return replace(self, order=cell)

    def relax_maker(self, force_max: float = 0.001, steps: int = 500) -> RelaxMaker:
        """Maker of a relaxation to `force_max` (eV/Å) that keeps the space group.

        A mesh of k points is meant for compounds. Elements have smaller cells and many are metals,
        which need more: where there is one element alone, its mesh has `ELEMENT_SPACING`.
        """
        settings = self._settings
        if len(self.elements) == 1 and not isinstance(settings.kpoints, (int, float)):
            settings = replace(settings, kpoints=ELEMENT_SPACING)
        return RelaxMaker(settings, launch=self._launch, force_max=force_max, steps=steps)

    def phonon_maker(self, displacement: float = 0.01) -> PhononMaker:
        """atomate2's phonon maker for an already relaxed cell; displacements in Å."""
        forces: Any = ScfMaker(
            self._supercell_settings, name="forces", launch=self._launch, order=self.order
        )
        return PhononMaker(displacement=displacement, phonon_displacement_maker=forces)

    def supercell_maker(self) -> ScfMaker:
        """Maker for the undisplaced supercell, whose density the displaced ones start from."""
        return ScfMaker(
            self._supercell_settings,
            name="supercell",
            launch=self._launch,
            keep_density=True,
            order=self.order,
        )

    def born_maker(self) -> BornMaker:
        """Maker of Born charges and dielectric tensor."""
        return BornMaker(self._settings, launch=self._launch)

    @property
    def _preset(self) -> dict[str, Any]:
        return presets()[self.preset]

    @property
    def _functional(self) -> str:
        return self.functional or self._preset["functional"]

    @cached_property
    def _family(self) -> Family:
        return read_family(self.pseudopotentials)

    @property
    def _launch(self) -> Launch:
        return Launch(command=self.command, pseudo_dir=str(self._family.folder))

    @cached_property
    def _settings(self) -> Settings:
        return Settings(
            pseudopotentials=choose(self._family, self.elements, self._functional),
            kpoints=self.kpoints or self._preset["kpoints"],
            cutoff=float(self._preset["cutoff"]),
            spin=self.spin,
            input=merge(self._preset["input"], self.input),
        )

    @property
    def _supercell_settings(self) -> Settings:
        kpoints = self.supercell_kpoints or self._preset["supercell_kpoints"]
        # forces are all that is asked of supercells, and the stress costs 2 % of the time
        return replace(self._settings, kpoints=kpoints).with_input(control={"tstress": False})
