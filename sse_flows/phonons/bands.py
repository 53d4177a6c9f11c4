"""Phonon energies along the path of high symmetry of the primitive cell."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.document import BandStructure
from sse_flows.units import THZ_TO_MEV

if TYPE_CHECKING:
    from phonopy import Phonopy

MAX_POINTS: int = 300
"""Points on the whole path of a small cell."""

_COST = 10_000  # points times bands: keeps a cell of 100 atoms to a few seconds
_NUDGE = 1e-4  # distance from Γ, 1/Å, that gives the non-analytic term its direction


def band_structure(phonon: Phonopy, *, points: int | None = None) -> BandStructure:
    """Band structure along the path of Y. Hinuma et al., Comp. Mat. Sci. 128, 140 (2017).

    With Born charges, Γ is approached along each segment, so LO and TO modes split as they should.

    Parameters
    ----------
    phonon
        With force constants.
    points
        On the whole path; by default 300, fewer for cells of more than 11 atoms.

    Returns
    -------
    BandStructure
        Energies in meV per segment.
    """
    segments, labels = high_symmetry_path(phonon)
    bands = 3 * len(phonon.primitive)
    total = points or int(np.clip(_COST // bands, 60, MAX_POINTS))
    reciprocal = np.linalg.inv(phonon.primitive.cell).T  # rows b_i, without 2π
    lengths = np.linalg.norm((segments[:, 1] - segments[:, 0]) @ reciprocal, axis=1)
    numbers = np.maximum(2, (total * lengths / lengths.sum()).astype(int))
    lines = [np.linspace(a, b, n) for (a, b), n in zip(segments, numbers, strict=True)]
    energies = _energies(phonon, lines, lengths, nudge=phonon.nac_params is not None)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    return BandStructure(
        distances=[
            np.linspace(start, start + length, n).tolist()
            for start, length, n in zip(starts, lengths, numbers, strict=True)
        ],
        energies=[part.tolist() for part in energies],
        labels=labels,
    )


def high_symmetry_path(phonon: Phonopy) -> tuple[NDArray[np.float64], list[list[str]]]:
    """Ends of the segments (n, 2, 3) in reduced coordinates of the primitive cell; their names."""
    import seekpath

    with warnings.catch_warnings():  # edge cases (a = b) still give a valid path
        warnings.simplefilter("ignore")
        found = seekpath.get_path_orig_cell(
            phonon.primitive.totuple(), symprec=phonon.symmetry.tolerance
        )
    coordinates = found["point_coords"]
    ends = [[coordinates[a], coordinates[b]] for a, b in found["path"]]
    labels = [[_pretty(a), _pretty(b)] for a, b in found["path"]]
    return np.array(ends, dtype=float), labels


def _pretty(label: str) -> str:
    """Γ for GAMMA, and subscripts without the underscore (H_2 to H2)."""
    return label.replace("GAMMA", "Γ").replace("_", "")


def _energies(
    phonon: Phonopy,
    lines: list[NDArray[np.float64]],
    lengths: NDArray[np.float64],
    *,
    nudge: bool,
) -> list[NDArray[np.float64]]:
    """Energies per segment, meV, (n_points, n_bands)."""
    moved = [
        _off_gamma(line, length) if nudge else line
        for line, length in zip(lines, lengths, strict=True)
    ]
    frequencies, _ = adapter.solve(phonon, np.concatenate(moved), eigenvectors=False)
    splits = np.cumsum([len(line) for line in lines])[:-1]
    return np.split(frequencies * THZ_TO_MEV, splits)


def _off_gamma(line: NDArray[np.float64], length: float) -> NDArray[np.float64]:
    """The line with an end at Γ moved a little way into it."""
    step = (line[-1] - line[0]) * min(1e-2, _NUDGE / length)
    moved = line.copy()
    for end, sign in ((0, 1), (-1, -1)):
        if np.abs(line[end]).max() < 1e-8:
            moved[end] = line[end] + sign * step
    return moved
