"""Entries of a phonon database, written from an analytic crystal."""

from __future__ import annotations

import io
import lzma
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from phonopy import Phonopy
from phonopy.file_IO import get_FORCE_CONSTANTS_lines, get_FORCE_SETS_lines
from phonopy.interface.vasp import get_vasp_structure_lines
from pymatgen.io.phonopy import get_phonopy_structure

from sse_flows.phonons.entries import Source

AXES = "0 1/2 1/2  1/2 0 1/2  1/2 1/2 0"
"""PRIMITIVE_AXIS of a face-centred cell."""


def displaced(case) -> Phonopy:
    """Phonopy with displacements and the forces of the springs, which are linear."""
    axes = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    cell = get_phonopy_structure(case.unitcell)
    phonon = Phonopy(cell, case.supercell_matrix, primitive_matrix=axes)
    phonon.generate_displacements(distance=0.01)
    constants = case.force_constants
    phonon.forces = np.array(
        [
            -constants[:, first["number"]] @ first["displacement"]
            for first in phonon.dataset["first_atoms"]
        ]
    )
    return phonon


def kyoto_files(case) -> dict[str, str]:
    """Files of an entry as the Kyoto database has them, BORN included."""
    phonon = displaced(case)
    tensors = [np.eye(3) * 4.0, np.eye(3), -2 * np.eye(3)]  # dielectric, Li, O
    order = {"Li": 1, "O": 2}
    kinds = list(dict.fromkeys(phonon.primitive.symbols))
    born = ["14.400", *(_line(tensors[i]) for i in (0, *(order[kind] for kind in kinds)))]
    return {
        "POSCAR-unitcell": "\n".join(get_vasp_structure_lines(phonon.unitcell)),
        "phonopy.conf": f"DIM = {_line(phonon.supercell_matrix)}\nPRIMITIVE_AXIS = {AXES}",
        "FORCE_SETS": "\n".join(get_FORCE_SETS_lines(phonon.dataset)),
        "BORN": "\n".join(born),
        "INCAR-force": "  GGA = PS\n ENCUT = 600.0\n",
        "KPOINTS-force": "Automatic mesh\n0\nGamma\n  4 4 1\n 0.0 0.0 0.0\n",
        "PAW_dataset.txt": "<rc><c>  2</c><c>Li</c><c>  PAW_PBE Li_sv 10Sep2004     </c></rc>\n",
    }


def yaml_files(case, held: str) -> dict[str, str]:
    """Files of a user's own calculation; `held` says where forces or force constants are."""
    phonon = displaced(case)
    phonon.produce_force_constants()
    settings = {"force_sets": held == "yaml forces", "force_constants": held == "yaml constants"}
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "phonopy.yaml"
        phonon.save(file, settings={**settings, "displacements": settings["force_sets"]})
        files = {"phonopy.yaml": file.read_text()}
    if held == "FORCE_SETS":
        files["FORCE_SETS"] = "\n".join(get_FORCE_SETS_lines(phonon.dataset))
    if held == "FORCE_CONSTANTS":
        files["FORCE_CONSTANTS"] = "\n".join(get_FORCE_CONSTANTS_lines(phonon.force_constants))
    return files


def write_folder(folder: Path, files: dict[str, str]) -> Source:
    """Folder of an entry; returns where it is."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return Source(folder.name, folder)


def write_archive(path: Path, files: dict[str, str], inside: str) -> Source:
    """Archive of an entry as the database packs them (or by its ending); returns where it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(f"{inside}/{name}")
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    data = buffer.getvalue()
    if path.suffix == ".lzma":
        data = lzma.compress(data, format=lzma.FORMAT_ALONE)
    path.write_bytes(data)
    return Source(path.name.partition("-li")[0], path)


def _line(matrix: np.ndarray) -> str:
    return " ".join(f"{x:g}" for x in np.asarray(matrix).ravel())
