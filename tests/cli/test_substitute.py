"""sse substitute: counts, files, crystals, and what it refuses."""

from __future__ import annotations

import csv

import pytest
from pymatgen.core import Lattice, Structure


def test_children_are_counted(sse):
    result = sse("substitute", "li3ps4", "li6ps5cl", "--cations", "P,As,Sb", "--anions", "O,S,Cl")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[1].split()[:2] == ["li3ps4", "Li3PS4"]
    total = sum(int(line.split()[-3]) for line in lines[1:3])
    assert lines[-1] == f"{total} compounds"


def test_children_are_written_and_crystals_made_by_id(sse, tmp_path):
    options = ("--cations", "P,As", "--anions", "O,S", "--site", "S=S,Se")
    result = sse("substitute", "li3ps4", *options, "-o", "children.csv")
    assert result.code == 0
    rows = list(csv.DictReader((tmp_path / "children.csv").open()))
    assert {row["formula"] for row in rows} == {"Li3PS4", "Li3PSe4", "Li3AsS4", "Li3AsSe4"}
    name = rows[-1]["id"]
    result = sse("substitute", "li3ps4", *options, "--cif", name, "--folder", "cifs")
    assert result.code == 0
    crystal = Structure.from_file(tmp_path / "cifs" / f"{name}.cif")
    assert crystal.composition.reduced_formula == rows[-1]["formula"]


def test_the_volume_is_kept_if_asked(sse, tmp_path):
    for option in ("--scale-volume", "--fixed-volume"):
        sse("substitute", "li3ps4", option, "--cations", "P", "-o", f"{option}.csv")
    scaled, fixed = (
        {row["id"]: float(row["volume_ratio"]) for row in csv.DictReader(path.open())}
        for path in (tmp_path / "--scale-volume.csv", tmp_path / "--fixed-volume.csv")
    )
    assert set(fixed.values()) == {1.0}
    assert scaled["li3ps4_Li-P-O"] < 0.7 < 1.0 < scaled["li3ps4_Li-P-Se"]


def test_a_structure_file_is_a_prototype(sse, tmp_path):
    salt = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(5.1), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3]
    )
    salt.to(str(tmp_path / "salt.cif"), fmt="cif")
    result = sse("substitute", "salt.cif", "--exchange", "Li,Na,K", "--anions", "F,Cl,O")
    assert result.code == 0
    assert result.out.splitlines()[-1] == "6 compounds"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonesuch"], "neither a file nor one of the 6 built-in prototypes"),
        (["--cations", "Xx"], "'Xx' is no element"),
        (["--cations", "He"], "no oxidation state of He"),
        (["--cations", ""], "no element is given for the cation sites"),
        (["--site", "La1"], "has no name"),
        (["--site", "Zz=Li"], "no prototype has sites called Zz"),
        (["-o", "children.txt"], "does not tell how to write it"),
        (["li3ps4", "--cif", "li3ps4_Li-P"], "names no child"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(sse, arguments, message):
    result = sse("substitute", *arguments)
    assert result.code == 1
    (line,) = result.errors
    assert line.startswith("error: ")
    assert message in line


def test_a_disordered_prototype_is_refused(sse, tmp_path):
    half = Structure(Lattice.cubic(4), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    half.to(str(tmp_path / "half.cif"), fmt="cif")
    result = sse("substitute", "half.cif")
    assert result.code == 1
    assert "partially occupied" in result.errors[0]
