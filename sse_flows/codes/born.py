"""Born charges: their document, and what every code refuses of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from pymatgen.core import Structure

from sse_flows.errors import SSEError

Matrix = list[list[float]]

GAP_TOLERANCE = 1e-3
"""eV; what has a smaller band gap is a metal."""

MAX_CHARGE = 0.15
"""Born charges that sum to more, e per atom, are of too few k points to be of use."""

METAL_NOTE = "a metal screens every field"
"""Why a metal has none."""


class BornCharges(BaseModel):
    """Born charges and dielectric tensor of an insulator; neither for a metal."""

    structure: Structure = Field(description="Cell that they refer to, Å")
    born: list[Matrix] | None = Field(
        None, description="Born charges, e; born[atom][i][j]: field along i, displacement along j"
    )
    dielectric: Matrix | None = Field(None, description="High-frequency dielectric tensor")
    note: str | None = Field(None, description="Why there are none")
    corrections: list[str] = Field(default_factory=list, description="Changes after faults")
    dir_name: str = Field(description="Host and folder of the calculation")
    uuid: str = Field(description="Id of the job")


def is_metal(band_gap: float | None) -> bool:
    """Whether a band gap, eV, is known and a metal's."""
    return band_gap is not None and band_gap < GAP_TOLERANCE


def check_neutral(born: NDArray[np.float64]) -> None:
    """Refuse Born charges of a crystal that would move in a field as a whole.

    Parameters
    ----------
    born
        Shape (atoms, 3, 3), e.

    Raises
    ------
    SSEError
        Their sum is more than `MAX_CHARGE` per atom.
    """
    excess = float(np.abs(born.sum(axis=0)).max()) / len(born)
    if excess > MAX_CHARGE:
        raise SSEError(
            f"the Born charges do not add up to zero: {excess:.2f} e per atom are left",
            mend="Use more k points (code.kpoints), or leave the charges out with "
            "phonons.born_charges: false",
        )
