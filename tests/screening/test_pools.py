"""Pools: files, folders and prototypes read in batches, and crystals found by id."""

from __future__ import annotations

import gzip
import json

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.screening.light import LightCrystal
from sse_flows.screening.pools import LineFiles, PrototypeChildren, open_pool
from sse_flows.structures.library import Library
from sse_flows.structures.prototypes import load_prototypes


def salt(number, anion="Cl"):
    return {
        "id": f"s-{number}",
        "cell": [3.6 + 0.01 * number] * 3 + [90] * 3,
        "sp": ["Li", anion],
        "xyz": [[0, 0, 0], [0.5] * 3],
    }


def write_lines(path, records):
    text = "".join(json.dumps(one) + "\n" for one in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


def crystals(pool):
    return [one for batch in pool.batches() for one in batch.crystals()]


@pytest.mark.parametrize("name", ["pool.jsonl", "pool.jsonl.gz"])
def test_lines_come_in_batches_with_their_numbers(name, tmp_path):
    path = write_lines(tmp_path / name, [{"description": "x"}, *map(salt, range(9))])
    pool = LineFiles((path,), size=4)
    batches = list(pool.batches())
    assert [(batch.start, len(batch)) for batch in batches] == [(1, 4), (5, 4), (9, 2)]
    assert batches[1].name == f"{name}, lines 5 to 8"
    assert [one.id for one in crystals(pool)] == [f"s-{n}" for n in range(9)]
    assert [one.id for one in pool.find(["s-5", "s-0", "other"])] == ["s-0", "s-5"]


def test_a_broken_line_is_one_failure(tmp_path):
    path = tmp_path / "pool.jsonl"
    path.write_text(json.dumps(salt(1)) + "\n{broken\n" + json.dumps(salt(2)) + "\n")
    first, broken, last = crystals(open_pool(path))
    assert (first.id, last.id) == ("s-1", "s-2")
    assert isinstance(broken, SSEError)
    assert broken.compound == "pool.jsonl:2"


def test_a_crystal_without_a_name_is_found_by_its_line(tmp_path):
    nameless = {key: value for key, value in salt(3).items() if key != "id"}
    pool = open_pool(write_lines(tmp_path / "pool.jsonl", [salt(1), nameless]))
    assert [one.id for one in crystals(pool)] == ["s-1", "pool.jsonl:2"]
    assert [one.id for one in pool.find(["pool.jsonl:2"])] == ["pool.jsonl:2"]


def test_a_folder_of_any_files_is_a_pool(tmp_path):
    crystal = Structure(Lattice.cubic(3.6), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3])
    crystal.to(str(tmp_path / "a.cif"), fmt="cif")
    (tmp_path / "deep").mkdir()
    crystal.to(str(tmp_path / "deep" / "b.vasp"), fmt="poscar")
    crystal.to(str(tmp_path / "c.json"), fmt="json")
    (tmp_path / "broken.cif").write_text("data_x\n")
    write_lines(tmp_path / "more.jsonl.gz", [salt(1)])
    found = crystals(open_pool(tmp_path))
    good = {one.id for one in found if isinstance(one, LightCrystal)}
    assert good == {"a", "b", "c", "s-1"}
    (bad,) = [one for one in found if isinstance(one, SSEError)]
    assert bad.compound == "broken.cif"
    assert "cannot be read" in bad.message
    assert [one.formula for one in open_pool(tmp_path).find(["b"])] == ["LiCl"]


def test_overlapping_and_disordered_files_are_named(tmp_path):
    twice = Structure(Lattice.cubic(3.6), ["Li", "Cl", "Cl"], [[0, 0, 0], [0.5] * 3, [0.5] * 3])
    twice.to(str(tmp_path / "twice.vasp"), fmt="poscar")
    half = Structure(Lattice.cubic(4), [{"Li": 0.5}, "Cl"], [[0, 0, 0], [0.5] * 3])
    half.to(str(tmp_path / "half.cif"), fmt="cif")
    found = {one.compound: one.message for one in crystals(open_pool(tmp_path))}
    assert "cannot both be there" in found["twice"]
    assert "partially occupied" in found["half"]


def test_prototypes_are_a_pool():
    library = Library.of(load_prototypes(["li3ps4", "li6ps5cl"]), cations=["P", "As"])
    pool = PrototypeChildren(library, size=5)
    batches = list(pool.batches())
    assert {batch.children.prototype.id for batch in batches} == {"li3ps4", "li6ps5cl"}
    names = [name for batch in batches for name in batch.children.ids()]
    assert sum(len(batch) for batch in batches) == len(names)
    assert batches[0].name.startswith("children 1 to ")
    (found,) = pool.find([names[-1]])
    assert found.formula == batches[-1].children.formulas()[-1]
    assert pool.digest == PrototypeChildren(library).digest
    other = Library.of(load_prototypes(["li3ps4", "li6ps5cl"]), cations=["P"])
    assert pool.digest != PrototypeChildren(other).digest


def test_the_digest_follows_the_content(tmp_path):
    path = write_lines(tmp_path / "pool.jsonl", [salt(1)])
    before = open_pool(path).digest
    assert open_pool(path).digest == before
    write_lines(path, [salt(2)])
    assert open_pool(path).digest != before


def test_a_pool_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SSEError, match=r"no pool called .*Give mp, prototypes"):
        open_pool(tmp_path / "none")
    with pytest.raises(SSEError, match="no structure file"):
        open_pool(tmp_path)
    cut = write_lines(tmp_path / "cut.jsonl.gz", [salt(n) for n in range(500)])
    cut.write_bytes(cut.read_bytes()[:-200])
    with pytest.raises(SSEError, match=r"cannot read .*cut\.jsonl\.gz"):
        list(open_pool(cut).batches())
