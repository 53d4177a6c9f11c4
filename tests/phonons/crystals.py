"""Crystals for tests: ball-and-spring models, and entries of the Kyoto phonon database."""

from __future__ import annotations

import lzma
import tarfile
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
from pymatgen.core import Lattice, Structure

Springs = dict[frozenset[str], tuple[float, float]]
"""Longitudinal and transverse force constant (eV/Å^2) of each pair of elements."""


@dataclass
class Case:
    """What `lattice_dynamics` wants."""

    unitcell: Structure
    supercell_matrix: np.ndarray
    force_constants: np.ndarray
    primitive_matrix: np.ndarray | str = "auto"
    born: np.ndarray | None = None
    dielectric: np.ndarray | None = None

    def arguments(self) -> dict:
        return dict(vars(self))


ANTIFLUORITE = Structure.from_spacegroup(
    "Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
)
ANTIFLUORITE_SPRINGS: Springs = {
    frozenset({"Li", "O"}): (4.0, 0.4),
    frozenset({"Li"}): (0.5, 0.05),
    frozenset({"O"}): (0.8, 0.1),
}
TERNARY = Structure.from_spacegroup(  # perovskite, with three species and two kinds of bonds
    "Pm-3m", Lattice.cubic(3.9), ["Li", "Ti", "O"], [[0, 0, 0], [0.5, 0.5, 0.5], [0.5, 0.5, 0]]
)
TERNARY_SPRINGS: Springs = {
    frozenset({"Ti", "O"}): (8.0, 1.0),
    frozenset({"Li", "O"}): (1.0, 0.2),
    frozenset({"O"}): (0.7, 0.1),
}


def spring_crystal(
    unitcell: Structure, repeat: np.ndarray | int, springs: Springs, cutoff: float
) -> Case:
    """Full force constants of a supercell with springs between atoms nearer than `cutoff`.

    All periodic images are included, so translation, permutation and space group hold exactly,
    and every choice of cell gives the same crystal if the supercell is wider than 2 `cutoff`.
    """
    from phonopy import Phonopy
    from pymatgen.io.phonopy import get_phonopy_structure

    matrix = np.eye(3, dtype=int) * np.asarray(repeat)
    cell = Phonopy(get_phonopy_structure(unitcell), matrix, primitive_matrix=np.eye(3)).supercell
    supercell = Structure(cell.cell, cell.symbols, cell.scaled_positions)
    first, second, images, lengths = supercell.get_neighbor_list(cutoff)
    vectors = (
        supercell.cart_coords[second]
        - supercell.cart_coords[first]
        + images @ supercell.lattice.matrix
    )
    unit = vectors / lengths[:, None]
    pairs = [
        frozenset({cell.symbols[i], cell.symbols[j]}) for i, j in zip(first, second, strict=True)
    ]
    along, across = np.array([springs.get(p, (0.0, 0.0)) for p in pairs]).T[:, :, None, None]
    projector = unit[:, :, None] * unit[:, None, :]
    blocks = along * projector + across * (np.eye(3) - projector)
    constants = np.zeros((len(supercell), len(supercell), 3, 3))
    np.subtract.at(constants, (first, second), blocks)
    np.add.at(constants, (first, first), blocks)
    return Case(unitcell, matrix, constants)


def kyoto_case(folder: Path, mp_id: str) -> Case:
    """Unit cell, supercell, force constants and Born charges of an entry `mp_id`."""
    from phonopy import Phonopy
    from phonopy.file_IO import parse_BORN, parse_FORCE_SETS
    from phonopy.interface.vasp import read_vasp_from_strings

    (archive,) = (folder / "kyoto_phonondb_li").glob(f"{mp_id}-*.tar.lzma")
    files = _read_archive(archive)
    conf = dict(line.split("=") for line in files["phonopy.conf"].splitlines() if "=" in line)
    settings = {key.strip(): value for key, value in conf.items()}
    with tempfile.TemporaryDirectory() as scratch:
        for name in {"FORCE_SETS", "BORN"} & set(files):
            Path(scratch, name).write_text(files[name])
        phonon = Phonopy(
            read_vasp_from_strings(files["POSCAR-unitcell"]),
            _matrix(settings["DIM"]),
            primitive_matrix=_matrix(settings.get("PRIMITIVE_AXIS", "1 1 1")),
        )
        phonon.dataset = parse_FORCE_SETS(filename=str(Path(scratch, "FORCE_SETS")))
        phonon.produce_force_constants(calculate_full_force_constants=False)
        nac = (
            parse_BORN(phonon.primitive, filename=str(Path(scratch, "BORN")))
            if "BORN" in files
            else {"born": None, "dielectric": None}
        )
    cell = phonon.unitcell
    return Case(
        Structure(cell.cell, cell.symbols, cell.scaled_positions),
        phonon.supercell_matrix,
        phonon.force_constants,
        phonon.primitive_matrix,
        nac["born"],
        nac["dielectric"],
    )


def _read_archive(archive: Path) -> dict[str, str]:
    with tarfile.open(fileobj=BytesIO(lzma.open(archive).read())) as tar:
        return {
            Path(member.name).name: tar.extractfile(member).read().decode()  # type: ignore[union-attr]
            for member in tar.getmembers()
            if member.isfile()
        }


def _matrix(text: str) -> np.ndarray:
    numbers = np.array([float(Fraction(word)) for word in text.split()])
    return np.diag(numbers) if len(numbers) == 3 else numbers.reshape(3, 3)
