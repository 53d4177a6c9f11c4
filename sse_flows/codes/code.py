"""What a campaign wants of a code, and which codes there are.

A new code is a class with the members of :class:`Code`, a section of the campaign file
(:mod:`sse_flows.campaign.codes`) and one line there that makes the one from the other.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from atomate2.common.flows.phonons import BasePhononMaker
    from jobflow import Maker


class Code(Protocol):
    """A code that relaxes crystals and gives forces.

    Outputs of its makers have ``structure``, ``output.energy`` (eV), ``output.energy_per_atom``,
    ``output.forces`` (eV/Å), ``dir_name`` and ``uuid``, as atomate2's have.
    """

    @property
    def method(self) -> str:
        """What gives the forces, for documents."""

    @property
    def gives_band_gap(self) -> bool:
        """Whether a relaxation's output has ``output.band_gap`` (eV)."""

    @property
    def keeps_order(self) -> bool:
        """Whether it carries a magnetic order, see :func:`sse_flows.codes.spin.has_order`."""

    @property
    def needs(self) -> list[str]:
        """What it uses for its elements, in words, for ``sse check``."""

    def of(self, elements: Iterable[str]) -> Code:
        """The code with what it needs for these elements and no others.

        Raises
        ------
        SSEError
            It cannot treat one of them.
        """

    def with_order(self, cell: Any) -> Code:
        """The code, whose supercells start with the magnetic moments of a cell, or reference.

        Asked for only where `keeps_order`.
        """

    def relax_maker(self, force_max: float = 0.001, steps: int = 500) -> Any:
        """Maker of a relaxation to `force_max` (eV/Å) that keeps the space group.

        Its field ``relax_cell`` may be set to False.
        """

    def phonon_maker(self, displacement: float = 0.01) -> BasePhononMaker:
        """atomate2's phonon maker for an already relaxed cell; displacements in Å."""

    def supercell_maker(self) -> Maker | None:
        """Maker for the undisplaced supercell, from which the displaced ones start; or None."""

    def born_maker(self) -> Maker | None:
        """Maker whose output has ``born`` and ``dielectric``; None where the code has none.

        It is called as ``make(structure, band_gap=...)``, the gap in eV.
        """
