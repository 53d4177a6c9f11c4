"""Training sets from files, and pools."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.models.band_center_data import (
    TrainingCompound,
    dos_center,
    may_be_cut_off,
    merge_training,
    read_training,
    shortest_distance,
)
from sse_flows.models.band_center_pool import read_pool

NACL = Structure(Lattice.cubic(4), ["Na", "Cl"], [[0] * 3, [0.5] * 3])
CELL = {"lattice": NACL.lattice.matrix.tolist(), "frac": NACL.frac_coords.tolist()}
LINE = {"id": "a", "species": ["Na", "Cl"], **CELL, "center": 20.0}


def crystal(*species: str, a: float = 4.0) -> dict:
    return {**CELL, "lattice": (np.eye(3) * a).tolist(), "species": list(species)}


def test_lines_of_json_with_a_header(tmp_path):
    path = tmp_path / "set.jsonl.gz"
    lines = [{"description": "x"}, {**LINE, "centers": {"Na": 15.0, "Cl": 25.0}}, LINE]
    with gzip.open(path, "wt") as file:
        file.write("\n".join(json.dumps(line) for line in lines))
    first, second = read_training(path)
    assert (first.compound_id, first.center) == ("a", 20.0)
    assert first.element_centers == {"Na": 15.0, "Cl": 25.0}
    assert second.element_centers is None
    assert first.source == "set.jsonl.gz"


def test_one_line_alone(tmp_path):
    (tmp_path / "one.jsonl").write_text(json.dumps(LINE))
    assert [one.center for one in read_training(tmp_path / "one.jsonl")] == [20.0]


def dos_document(*records: dict) -> dict:
    return {"freq_cm1": [0, 100, 200, 300, 400], "records": list(records)}


def test_densities_of_states_with_what_may_be_cut_off_left_out(tmp_path):
    whole = {"mp_id": "mp-1", "dos": [0.0, 1.0, 0.0, 0.0, 0.0], **crystal("Na", "Cl")}
    end = {"mp_id": "mp-2", "dos": [0.0, 1.0, 0.0, 1.0, 0.0], **crystal("Na", "Cl")}
    hydride = {"mp_id": None, "id": "P3", "dos": [0.0, 1.0, 0, 0, 0], **crystal("Na", "H")}
    short = {"mp_id": "mp-4", "dos": [0.0, 1.0, 0.0, 0.0, 0.0], **crystal("C", "N", a=1.7)}
    path = tmp_path / "dos.json"
    path.write_text(json.dumps(dos_document(whole, end, hydride, short)))
    assert [one.compound_id for one in read_training(path)] == ["mp-1"]
    every = read_training(path, cut_off="keep")
    assert [one.compound_id for one in every] == ["mp-1", "mp-2", "P3", "mp-4"]
    assert [one.center for one in every] == pytest.approx(
        [12.39841984, 2 * 12.39841984, 12.39841984, 12.39841984]
    )


def test_rule_of_the_cut_off():
    from sse_flows.descriptors.crystal.arrays import read_crystal

    over, on = [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.1, 0.0]
    assert not may_be_cut_off(read_crystal(NACL), over)
    assert may_be_cut_off(read_crystal(NACL), on)
    short = read_crystal((np.eye(3) * 1.7, ["C", "N"], CELL["frac"]))
    assert shortest_distance(short) == pytest.approx(1.7 * np.sqrt(0.75))
    assert may_be_cut_off(short, over)


def test_centre_of_a_density_of_states_leaves_out_what_is_not_positive():
    assert dos_center([-10, 0, 10, 20], [9, 1, 1, 2]) == pytest.approx(12.5)
    with pytest.raises(SSEError, match="zero"):
        dos_center([-10, 0, 10], [1, 0, 0])


def test_csv_with_structure_files(tmp_path):
    NACL.to(str(tmp_path / "nacl.cif"))
    (tmp_path / "mine.csv").write_text("id,structure,band_center\nx,nacl.cif,21.5\n")
    (one,) = read_training(tmp_path / "mine.csv")
    assert (one.compound_id, one.center, len(one.crystal.numbers)) == ("x", 21.5, 2)


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("a.csv", "id,other\nx,y\n", "columns"),
        ("a.csv", "id,structure,band_center\nx,absent.cif,3\n", "x: "),
        ("a.json", "{not json", "no band centres"),
        ("a.jsonl", json.dumps({**LINE, "center": -3.0}), "positive"),
        ("a.jsonl", json.dumps({**LINE, "species": ["Na", "Qq"]}), "Qq"),
        ("a.jsonl", json.dumps({**LINE, "center": None}), "no band centres"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(tmp_path, name, text, part):
    (tmp_path / name).write_text(text)
    with pytest.raises(SSEError, match=part):
        read_training(tmp_path / name)


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(SSEError, match="does not exist"):
        read_training(tmp_path / "absent.json")


def test_of_one_id_the_one_with_elements_wins():
    from sse_flows.descriptors.crystal.arrays import read_crystal

    arrays = read_crystal(NACL)
    plain = TrainingCompound("a", arrays, 1.0)
    rich = TrainingCompound("a", arrays, 2.0, {"Na": 1.0})
    assert [one.center for one in merge_training([[plain], [rich], [plain]])] == [2.0]


def test_pool_from_lines_files_and_folders(tmp_path):
    cell = [4, 5, 6, 90, 90, 120]
    (tmp_path / "pool.jsonl").write_text(
        json.dumps({"description": "a pool"})
        + "\n"
        + json.dumps({"id": "p", "cell": cell, "sp": ["Na", "Cl"], "xyz": CELL["frac"]})
        + "\n"
        + json.dumps({"id": "q"})
        + "\n"
        + json.dumps({"id": "r", "cell": [4, 5, 0, 90, 90, 90], "sp": ["Na"], "xyz": [[0, 0, 0]]})
    )  # fmt: skip
    folder = tmp_path / "cifs"
    folder.mkdir()
    NACL.to(str(folder / "nacl.cif"))
    (folder / "bad.cif").write_text("nothing")
    crystals, failures = read_pool([tmp_path / "pool.jsonl", folder])
    assert list(crystals) == ["p", "nacl"]
    assert set(failures) == {"q", "r", "bad"}
    assert "is no cell" in failures["r"].message
    lengths = np.linalg.norm(crystals["p"].lattice, axis=1)
    assert lengths == pytest.approx([4, 5, 6])
    assert abs(np.linalg.det(crystals["p"].lattice)) == pytest.approx(120 * np.sqrt(0.75))
    with pytest.raises(SSEError, match="does not exist"):
        read_pool([tmp_path / "absent"])


def test_the_shared_sets(shared_data):
    sound = read_training(shared_data / "phonon_dos_train.json.gz")
    every = read_training(shared_data / "phonon_dos_train.json.gz", cut_off="keep")
    assert len(every) == 1289
    assert 1000 < len(sound) < 1150
    with gzip.open(shared_data / "phonon_dos_train.json.gz") as file:
        records = json.load(file)["records"]
    given = np.array([record["center_meV"] for record in records])
    assert np.abs(given - [one.center for one in every]).max() < 1e-3
