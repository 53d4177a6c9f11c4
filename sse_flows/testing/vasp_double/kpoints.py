"""The k-points: meshes reduced by symmetry, lists, and lines of a band structure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.incar import Incar
from sse_flows.testing.vasp_double.symmetry import point_group

_LENGTH_TO_SPACING = 2 * np.pi


@dataclass(frozen=True)
class KPoints:
    """k-points of a run.

    Parameters
    ----------
    points
        Reciprocal coordinates, shape (k-points, 3).
    weights
        Sum 1, shape (k-points,).
    style
        ``Gamma``, ``Monkhorst-Pack``, ``listgenerated`` (lines) or ``Reciprocal`` (a list).
    divisions, shift
        Of a mesh.
    """

    points: Array
    weights: Array
    style: str
    divisions: tuple[int, ...] = ()
    shift: tuple[float, ...] = (0.0, 0.0, 0.0)


def read_kpoints(path: Path, crystal: Crystal, incar: Incar) -> KPoints:
    """k-points of a KPOINTS file, or of KSPACING where there is none."""
    if not path.is_file():
        return _mesh(*_spacing(crystal, incar), crystal, incar)
    lines = path.read_text().splitlines()
    number = int(lines[1].split()[0])
    letter = lines[2].strip()[:1].lower()
    if letter == "l":
        return _lines(lines[4:], number)
    if number > 0:
        return _listed(lines[3 : 3 + number])
    if letter == "a":
        divisions = _divisions(crystal, _LENGTH_TO_SPACING / float(lines[3].split()[0]))
        return _mesh("Gamma", divisions, (0.0, 0.0, 0.0), crystal, incar)
    divisions = tuple(int(x) for x in lines[3].split()[:3])
    shift = tuple(float(x) for x in lines[4].split()[:3]) if len(lines) > 4 else ()
    style = "Gamma" if letter == "g" else "Monkhorst-Pack"
    return _mesh(style, divisions, shift or (0.0, 0.0, 0.0), crystal, incar)


def _spacing(crystal: Crystal, incar: Incar) -> tuple[str, tuple[int, ...], tuple[float, ...]]:
    style = "Gamma" if incar.logical("KGAMMA", True) else "Monkhorst-Pack"
    return style, _divisions(crystal, incar.real("KSPACING", 0.5)), (0.0, 0.0, 0.0)


def _divisions(crystal: Crystal, spacing: float) -> tuple[int, ...]:
    lengths = 2 * np.pi * np.linalg.norm(np.linalg.inv(crystal.lattice), axis=0)
    return tuple(max(1, int(np.ceil(length / spacing))) for length in lengths)


def _mesh(
    style: str,
    divisions: tuple[int, ...],
    shift: tuple[float, ...],
    crystal: Crystal,
    incar: Incar,
) -> KPoints:
    mesh = np.array(divisions)
    even = (mesh % 2 == 0) if style != "Gamma" else np.zeros(3, dtype=bool)
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in mesh), indexing="ij"), -1).reshape(-1, 3)
    points = (grid + np.array(shift) + even / 2) / mesh
    points -= np.rint(points - 1e-9)
    keep, weights = _reduced(points, mesh, crystal, incar)
    return KPoints(points[keep], weights, style, divisions, shift)


def _reduced(
    points: Array, mesh: NDArray[np.int64], crystal: Crystal, incar: Incar
) -> tuple[NDArray[np.int64], Array]:
    """Numbers of the k-points kept and their weights.

    k and -k always count once; the point group is used where a mesh is large, and not where
    ISYM forbids it.
    """
    turns = [np.eye(3, dtype=int)]
    if incar.integer("ISYM", 2) > 0 and len(points) > 8:
        turns = list(point_group(crystal, incar.real("SYMPREC", 1e-5)))
    representative = np.arange(len(points))
    for turn in [sign * turn for turn in turns for sign in (1, -1)]:
        carried = np.rint((points @ turn - points[0]) * mesh)
        exact = np.abs((points @ turn - points[0]) * mesh - carried).max(axis=1) < 1e-6
        index = np.ravel_multi_index(tuple((carried.astype(int) % mesh).T), tuple(mesh))
        order = _order(points, mesh)
        representative = np.where(exact, np.minimum(representative, order[index]), representative)
    keep, counts = np.unique(representative, return_counts=True)
    return keep, counts / counts.sum()


def _order(points: Array, mesh: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of the point at each place of the mesh counted from the first."""
    places = np.rint((points - points[0]) * mesh).astype(int) % mesh
    order = np.empty(len(points), dtype=int)
    order[np.ravel_multi_index(tuple(places.T), tuple(mesh))] = np.arange(len(points))
    return order


def _listed(rows: list[str]) -> KPoints:
    table = np.array([[float(x) for x in row.split()[:4]] for row in rows])
    weights = table[:, 3] if table.shape[1] > 3 else np.ones(len(table))
    return KPoints(table[:, :3], weights / max(weights.sum(), 1e-12), "Reciprocal")


def _lines(rows: list[str], number: int) -> KPoints:
    ends = np.array([[float(x) for x in row.split()[:3]] for row in rows if row.strip()])
    parts = [np.linspace(a, b, number) for a, b in zip(ends[::2], ends[1::2], strict=True)]
    points = np.concatenate(parts)
    return KPoints(points, np.full(len(points), 1 / len(points)), "listgenerated", (number,))
