"""Intake: every kind of file, every kind of broken file."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pymatgen.core import Lattice, Structure
from pymatgen.io.cif import CifWriter
from pymatgen.io.vasp import Poscar

from sse_flows.errors import SSEError
from sse_flows.structures.checks import check_structure
from sse_flows.structures.intake import (
    Intake,
    from_conductors,
    from_file,
    from_folder,
    from_paths,
    load_structures,
)


@pytest.fixture
def salt():
    return Structure.from_spacegroup(
        225, Lattice.cubic(5.13), ["Li", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )


@pytest.fixture
def folder(tmp_path, salt):
    (tmp_path / "one").mkdir()
    CifWriter(salt).write_file(tmp_path / "salt.cif")
    Poscar(salt).write_file(tmp_path / "one" / "POSCAR")
    Poscar(salt).write_file(tmp_path / "salt.vasp")
    (tmp_path / "salt.json").write_text(json.dumps(salt.as_dict()))
    (tmp_path / "broken.cif").write_text("data_x\nloop_\n_cell nothing")
    return tmp_path


def test_a_broken_file_does_not_stop_the_others(folder):
    intake = from_folder(folder, ["Li", "Na"])
    assert [c.compound_id for c in intake.compounds] == ["one", "salt", "salt-2", "salt-3"]
    assert {c.formula for c in intake.compounds} == {"LiCl"}
    (reason,) = intake.failures.values()
    assert "broken.cif" in reason
    assert "\n" not in reason


def test_glob_and_paths(folder):
    assert len(from_folder(folder / "*.vasp", "Li").compounds) == 1
    assert len(from_paths([folder / "salt.cif", folder / "one"], "Li").compounds) == 2
    assert len(load_structures(str(folder / "salt.cif"), "Li", family="halide").compounds) == 1
    with pytest.raises(SSEError, match=r"no structure file.*\*\.cif"):
        from_folder(folder / "nothing", "Li")


def test_disordered_cif_keeps_occupancies_and_is_measured(tmp_path, salt):
    for i, site in enumerate(salt):
        if site.specie.symbol == "Li":
            salt[i] = {"Li": 0.5}
    CifWriter(salt).write_file(tmp_path / "half.cif")
    (compound,) = from_file(tmp_path / "half.cif", "Li").compounds
    assert not compound.structure.is_ordered
    assert compound.disorder.mobile == pytest.approx(0.6931, abs=1e-3)


def test_json_lines_with_properties(tmp_path, salt):
    plain = salt.as_dict()
    records = [
        {"id": "a", "structure": plain, "band_gap": 6.2, "conductivity": 1e-8},
        {"id": "b", "structure": plain, "conductivity": -1.0},
        {"id": "c"},
        {"material_id": "mp-1", "structure": plain, "energy_above_hull": 0.0},
    ]
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(json.dumps(r) for r in records))
    intake = from_file(path, "Li", family="halide")
    a, mp = intake.compounds
    assert (a.band_gap, a.conductivity, a.family) == (6.2, 1e-8, "halide")
    assert a.property_source == a.conductivity_source == str(path)
    assert (mp.compound_id, mp.conductivity_source) == ("mp-1", None)
    assert sorted(k.rpartition(":")[2] for k in intake.failures) == ["b", "c"]


def test_json_never_imports_classes(tmp_path, salt):
    evil = salt.as_dict()
    call = {"@module": "os", "@callable": "system", "@bound": None}
    evil["properties"] = {"x": call}
    evil["sites"][0]["properties"] = {"x": {"@module": "subprocess", "@class": "Popen"}}
    (tmp_path / "evil.json").write_text(json.dumps(evil))
    (compound,) = from_file(tmp_path / "evil.json", "Li").compounds
    assert compound.structure.properties == {}
    assert compound.structure.site_properties == {}
    evil["@class"] = "Popen"
    (tmp_path / "evil.json").write_text(json.dumps(evil))
    assert "no structure" in str(from_file(tmp_path / "evil.json", "Li").failures)


def test_deuterium_is_hydrogen(tmp_path):
    deuteride = Structure.from_spacegroup(
        225, Lattice.cubic(4.08), ["Li", "D"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    text = str(CifWriter(deuteride)).replace("H", "D").replace("'FD-3D'", "'F m -3 m'")
    (tmp_path / "lid.cif").write_text(text)
    (compound,) = from_file(tmp_path / "lid.cif", "Li").compounds
    assert compound.formula == "LiH"
    assert compound.warnings == ["D was read as H"]


def test_poscar_without_symbols_is_refused(tmp_path, salt):
    lines = Poscar(salt).get_str().splitlines()
    stripped = [*lines[:5], *lines[6:8], *(" ".join(x.split()[:3]) for x in lines[8:])]
    (tmp_path / "POSCAR").write_text("\n".join(stripped))
    (reason,) = from_file(tmp_path / "POSCAR", "Li").failures.values()
    assert "sixth line" in reason


@pytest.mark.parametrize(
    ("species", "coords", "match"),
    [
        (["Li", "Li", "Cl"], [[0, 0, 0], [0.05, 0, 0], [0.5] * 3], "0.25 Å apart"),
        ([{"Li": 0.8, "Na": 0.4}, "Cl"], [[0, 0, 0], [0.5] * 3], "occupancy of 1.2"),
    ],
)
def test_insane_structures(species, coords, match):
    structure = Structure(Lattice.cubic(5), ["Li"] * len(coords), coords)
    for site, occupants in zip(structure, species, strict=True):
        with_check = occupants if isinstance(occupants, dict) else {occupants: 1.0}
        site._species = type(site.species)(with_check)
    with pytest.raises(SSEError, match=match):
        check_structure(structure, "x")


def test_split_positions_are_sane():
    coords = [[0, 0, 0], [0.05, 0, 0], [0.5] * 3]
    check_structure(Structure(Lattice.cubic(5), [{"Li": 0.5}, {"Li": 0.5}, {"Cl": 1}], coords), "x")


def test_without_mobile_ion(tmp_path, salt):
    CifWriter(salt).write_file(tmp_path / "salt.cif")
    (reason,) = from_file(tmp_path / "salt.cif", ["Na", "K"]).failures.values()
    assert reason.startswith("salt: LiCl holds none of the mobile ions Na, K. ")


def test_conductors():
    intake = from_conductors(["li3p", "no-such-thing"], "Li")
    assert [c.compound_id for c in intake.compounds] == ["li3p"]
    assert intake.compounds[0].conductivity_source.startswith("10.")
    assert list(intake.failures) == ["conductors:no-such-thing"]
    assert "holds none" in str(from_conductors("li3p", "Na").failures)


def test_ids_of_records_cannot_write_over_a_table_or_a_terminal(tmp_path, salt):
    record = {"id": "a\n\x1b[2Jb $(x)", "structure": salt.as_dict()}
    (tmp_path / "x.json").write_text(json.dumps([record]))
    (compound,) = from_file(tmp_path / "x.json", "Li").compounds
    assert compound.compound_id == "a__[2Jb $(x)"


def test_ids_stay_unique_when_joined(folder):
    once = from_file(folder / "salt.cif", "Li")
    both = once + once + Intake([], {"x": "reason"})
    assert [c.compound_id for c in both.compounds] == ["salt", "salt-2"]
    assert both.failures == {"x": "reason"}


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(max_size=200), name=st.sampled_from(["x.cif", "POSCAR", "x.json", "x.xyz"]))
def test_rubbish_is_a_failure_never_an_exception(tmp_path, text, name):
    (tmp_path / name).write_text(text, encoding="utf-8", errors="replace")
    intake = from_file(tmp_path / name, "Li")
    assert not intake.compounds
    assert all("\n" not in reason for reason in intake.failures.values())
