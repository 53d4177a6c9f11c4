"""The preset of the Kyoto phonon database against the archives of the database."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar

from sse_flows.codes.vasp.inputs import mesh
from sse_flows.codes.vasp.presets import known_keys, presets

SAME = {"IALGO": ("ALGO", "Normal")}  # of the database: what the preset says instead
OF_JOBS = {"IBRION", "NPAR"}


def read(archive: Path) -> dict[str, str]:
    """Texts of an archive by the names of its files."""
    with tarfile.open(archive, "r:xz") as tar:
        members = [one for one in tar.getmembers() if one.isfile()]
        return {Path(one.name).name: tar.extractfile(one).read().decode() for one in members}


@pytest.fixture(scope="module")
def archives(shared_data) -> list[dict[str, str]]:
    """Every ninth entry with Li."""
    return [read(path) for path in sorted((shared_data / "kyoto_phonondb_li").iterdir())[::9]]


def test_the_incar_of_the_database_is_the_presets(archives):
    preset = Incar(presets()["kyoto"]["incar"])
    for texts in archives:
        for key, value in Incar.from_str(texts["INCAR-force"]).items():
            if key in OF_JOBS:
                continue
            name, wanted = SAME.get(key, (key, value))
            assert preset[name] == (pytest.approx(wanted) if key == "ENCUT" else wanted), key


def test_the_meshes_of_the_database_are_the_presets(archives):
    rule = presets()["kyoto"]["kpoints"]
    same = 0
    for texts in archives:
        cell = Structure.from_str(texts["POSCAR-unitcell"], fmt="poscar")
        published = [int(n) for n in texts["KPOINTS-relax"].splitlines()[3].split()]
        assert texts["KPOINTS-relax"].splitlines()[2].strip() == "Gamma"
        same += mesh(cell, rule) == published
    assert same >= 0.9 * len(archives)


def test_the_potcars_of_the_database_are_the_presets(archives):
    from atomate2.vasp.sets.base import VaspInputGenerator

    symbols = {**VaspInputGenerator().config_dict["POTCAR"], **presets()["kyoto"]["potcars"]}
    for texts in archives:
        for part in texts["PAW_dataset.txt"].split("PAW_PBE")[1:]:
            symbol = part.split()[0]
            assert symbols[symbol.split("_")[0]] == symbol


def test_presets_have_known_keys_and_all_that_is_read():
    for preset in presets().values():
        assert set(preset) == {"kpoints", "phonons", "incar", "forces", "born", "potcars"}
        for part in ("incar", "forces", "born"):
            assert set(preset[part]) <= known_keys()
        assert {"ISPIN", "ISMEAR", "SIGMA", "GGA", "ENCUT"} <= set(preset["incar"])
