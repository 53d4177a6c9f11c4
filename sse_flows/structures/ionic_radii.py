"""Volume of a crystal after its ions are exchanged, from ionic radii.

The radii are pymatgen's means of Shannon's over coordinations (R. D. Shannon, Acta Cryst. A 32,
751 (1976)). Lengths of a crystal follow the mean of the sums of the radii of its cations and
anions, every pair weighted by how many of both there are: for one kind of anion that is the mean
radius of all cations plus that of the anion.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    FloatArray = NDArray[np.float64]


@cache
def ionic_radius(number: int, charge: int) -> float:
    """Ionic radius, Å; that of the nearest charge of the same sign where the charge has none.

    Parameters
    ----------
    number
        Atomic number.
    charge
        Oxidation state, e.

    Raises
    ------
    SSEError
        If no charge of that sign has a radius.
    """
    from pymatgen.core import Element

    element = Element.from_Z(number)
    known = {q: r for q, r in element.ionic_radii.items() if (q < 0) == (charge < 0)}
    if not known:
        ion = f"{element.symbol}{abs(charge)}{'-' if charge < 0 else '+'}"
        raise SSEError(
            f"no ionic radius of {ion} is known",
            mend="Leave the element out, or do not scale the volume",
        )
    return float(known[min(known, key=lambda q: (abs(q - charge), q))])


def volume_ratio(
    numbers: NDArray[Any],
    charges: NDArray[Any],
    counts: NDArray[Any],
    reference: float,
) -> FloatArray:
    """Volume of each decoration over that of the prototype.

    Parameters
    ----------
    numbers, charges
        Atomic number and charge of each group of sites, shape (decorations, groups).
    counts
        Sites of each group, shape (groups,).
    reference
        `mean_bond` of the prototype, Å.

    Returns
    -------
    ndarray
        Shape (decorations,).
    """
    return (mean_bond(numbers, charges, counts) / reference) ** 3


def mean_bond(numbers: NDArray[Any], charges: NDArray[Any], counts: NDArray[Any]) -> FloatArray:
    """Mean sum of the radii of a cation and an anion, Å, shape (decorations,).

    Raises
    ------
    SSEError
        If an ion has no radius.
    """
    radii = _radii(numbers, charges)
    weights = np.broadcast_to(counts, radii.shape)
    total = np.zeros(len(radii))
    for negative in (False, True):
        share = weights * ((charges < 0) == negative)
        total += (radii * share).sum(axis=1) / share.sum(axis=1)
    return total


def _radii(numbers: NDArray[Any], charges: NDArray[Any]) -> FloatArray:
    """Radius of every ion of the arrays, looked up once a kind."""
    code = numbers.astype(np.int64) * 32 + charges.astype(np.int64) + 16
    kinds, place = np.unique(code, return_inverse=True)
    table = np.array([ionic_radius(int(kind) // 32, int(kind) % 32 - 16) for kind in kinds])
    return table[place].reshape(code.shape)
