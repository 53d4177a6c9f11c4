"""Made-up crystals of high and low symmetry, as arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from ase.data import atomic_numbers
from pymatgen.core import Lattice, Structure

from sse_flows.descriptors.crystal.arrays import CrystalArrays

ELEMENTS = np.array([atomic_numbers[x] for x in ("Li", "O", "P", "S", "Zr", "La", "H", "Fe")])


def random_crystal(seed: int, sites: int = 6, kinds: int = 3) -> CrystalArrays:
    """Sites at random but not nearer than half the mean distance, in a triclinic cell."""
    rng = np.random.default_rng(seed)
    edge = (15.0 * sites) ** (1 / 3)
    lattice = edge * (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)))
    found: list[np.ndarray] = []
    while len(found) < sites:
        trial = rng.uniform(size=3)
        apart = np.array([trial - other for other in [*found, trial + 1.0]])
        apart -= np.round(apart)
        steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), -1).reshape(-1, 3)
        far = np.linalg.norm((apart[:, None] + steps) @ lattice, axis=-1)
        if far[far > 1e-6].min() > 1.2:
            found.append(trial)
    return CrystalArrays(lattice, rng.choice(ELEMENTS[:kinds], sites), np.array(found))


def _symmetric() -> dict[str, Structure]:
    group = Structure.from_spacegroup
    return {
        "fcc": group("Fm-3m", Lattice.cubic(4.05), ["Al"], [[0, 0, 0]]),
        "bcc": group("Im-3m", Lattice.cubic(3.5), ["Li"], [[0, 0, 0]]),
        "diamond": group("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]]),
        "rock salt": group("Fm-3m", Lattice.cubic(5.13), ["Li", "Cl"], [[0] * 3, [0.5] * 3]),
        "antifluorite": group("Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0] * 3, [0.25] * 3]),
        "perovskite": group(
            "Pm-3m", Lattice.cubic(3.9), ["Li", "Ti", "O"], [[0] * 3, [0.5] * 3, [0.5, 0.5, 0]]
        ),
        "wurtzite": group(
            "P6_3mc",
            Lattice.hexagonal(3.25, 5.2),
            ["Zn", "O"],
            [[1 / 3, 2 / 3, 0], [1 / 3, 2 / 3, 0.38]],
        ),
        "layers": group(
            "R-3m",
            Lattice.hexagonal(2.82, 14.05),
            ["Li", "Co", "O"],
            [[0, 0, 0.5], [0, 0, 0], [0, 0, 0.24]],
        ),
        "molecules": group("Pa-3", Lattice.cubic(5.6), ["N"], [[0.056] * 3]),
        "spinel": group(
            "Fd-3m",
            Lattice.cubic(8.2),
            ["Li", "Mn", "O"],
            [[0] * 3, [0.625] * 3, [0.388] * 3],
        ),
    }


@pytest.fixture(scope="session")
def symmetric() -> dict[str, Structure]:
    """Crystals of high symmetry by name, primitive cells, sites in [0, 1)."""
    cells = {name: one.get_primitive_structure() for name, one in _symmetric().items()}
    return {
        name: Structure(one.lattice, one.species, one.frac_coords, to_unit_cell=True)
        for name, one in cells.items()
    }


@pytest.fixture(scope="session")
def low_symmetry() -> Callable[..., CrystalArrays]:
    """Function: a crystal without symmetry from a seed, sites and kinds of atoms."""
    return random_crystal


def _rotated(crystal: CrystalArrays, rng: np.random.Generator) -> CrystalArrays:
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return crystal._replace(lattice=crystal.lattice @ rotation)


def _moved(crystal: CrystalArrays, rng: np.random.Generator) -> CrystalArrays:
    shift = rng.uniform(-3, 3, 3) + rng.integers(-2, 3, (len(crystal.numbers), 3))
    return crystal._replace(positions=crystal.positions + shift)


def _permuted(crystal: CrystalArrays, rng: np.random.Generator) -> CrystalArrays:
    order = rng.permutation(len(crystal.numbers))
    return CrystalArrays(crystal.lattice, crystal.numbers[order], crystal.positions[order])


def _recut(crystal: CrystalArrays, matrix: np.ndarray) -> CrystalArrays:
    """The crystal in the cell matrix @ lattice, of positive determinant."""
    base = Structure(*[getattr(crystal, f) for f in ("lattice", "numbers", "positions")])
    cell = base.make_supercell(matrix, in_place=False)
    numbers = np.array([site.specie.Z for site in cell])
    return CrystalArrays(cell.lattice.matrix, numbers, cell.frac_coords)


def _skewed(crystal: CrystalArrays, rng: np.random.Generator) -> CrystalArrays:
    matrix = np.eye(3, dtype=int)
    for _ in range(6):
        i, j = rng.choice(3, 2, replace=False)
        matrix[i] += rng.integers(-3, 4) * matrix[j]
    positions = crystal.positions @ np.linalg.inv(matrix)
    return CrystalArrays(matrix @ crystal.lattice, crystal.numbers, positions)


def _supercell(crystal: CrystalArrays, rng: np.random.Generator) -> CrystalArrays:
    matrix = np.diag(rng.permutation([1, 1, 2]))
    matrix[0, 1] = rng.integers(-1, 2)
    return _recut(crystal, matrix)


@pytest.fixture(scope="session")
def changes() -> dict[str, Callable[[CrystalArrays, np.random.Generator], CrystalArrays]]:
    """Ways to write the same crystal differently."""
    return {
        "rotation": _rotated,
        "translation": _moved,
        "permutation": _permuted,
        "skewed cell": _skewed,
        "supercell": _supercell,
    }
