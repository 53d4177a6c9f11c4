"""What is written into INCAR and KPOINTS, and what a content key depends on."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure
from pymatgen.io.vasp import Kpoints

from sse_flows.campaign.keys import content_key
from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.inputs import Inputs, check_structure, mesh
from sse_flows.codes.vasp.presets import (
    OWNED,
    PARALLEL,
    functional_of,
    known_keys,
    presets,
    wrong_keys,
)
from sse_flows.errors import SSEError
from sse_flows.structures.elements import element_structure


def written(maker, structure, generator="input_set_generator"):
    """INCAR and mesh for a structure."""
    inputs = copy.deepcopy(getattr(maker, generator)).get_input_set(structure)
    return inputs.incar, list(inputs.kpoints.kpts[0])


def displaced(code):
    return code.phonon_maker().phonon_displacement_maker


def key(code):
    return content_key(json.loads(json.dumps(code.relax_maker(), cls=MontyEncoder)))


def test_the_published_settings_are_written_for_a_relaxation(potcars, li2o):
    incar, kpoints = written(Vasp().of(["Li", "O"]).relax_maker(), li2o)
    # PBE: atomate2 alone would say GGA = PS
    assert (incar["GGA"].upper(), incar["ENCUT"], incar["EDIFFG"]) == ("PE", 650, -0.001)
    assert (incar["ISIF"], incar["IBRION"], incar["ISYM"]) == (3, 2, 2)
    assert (incar["ISPIN"], incar["ISMEAR"], incar["SIGMA"]) == (1, 0, 0.05)
    assert "MAGMOM" not in incar
    assert "LDAU" not in incar
    assert kpoints == [11, 11, 11]
    assert np.prod(kpoints) * len(li2o) <= 5000 < 12**3 * len(li2o)  # k points times atoms


def test_a_static_calculation_has_no_keys_of_ionic_steps(potcars, li2o):
    code = Vasp(incar={"IBRION": 1, "POTIM": 0.2}).of(["Li", "O"])
    relaxing, _ = written(code.relax_maker(), li2o)
    assert (relaxing["IBRION"], relaxing["POTIM"]) == (1, 0.2)
    for maker, generator in (
        (code.relax_maker(), "static"),
        (displaced(code), "input_set_generator"),
    ):
        incar, _ = written(maker, li2o, generator)
        assert incar["NSW"] == 0
        assert not {"IBRION", "POTIM", "ISIF", "EDIFFG"} & set(incar)


def test_born_charges_are_asked_for_alone(potcars, li2o):
    code = Vasp().of(["Li", "O"])
    assert written(code.born_maker(), li2o)[0]["LEPSILON"] is True
    assert "LEPSILON" not in written(displaced(code), li2o)[0]
    assert "LEPSILON" not in written(code.relax_maker(), li2o)[0]


def test_forces_are_converged_further_than_relaxations(potcars, li2o):
    code = Vasp().of(["Li", "O"])
    assert written(displaced(code), li2o)[0]["EDIFF"] == 1e-8
    assert written(code.relax_maker(), li2o)[0]["EDIFF"] == 1e-7


def test_the_preset_of_the_phonon_database_is_its_incar(potcars, li2o):
    incar, kpoints = written(displaced(Vasp("kyoto").of(["Li", "O"])), li2o * [2, 2, 2])
    database = {
        "PREC": "Accurate",
        "GGA": "Ps",
        "NELMIN": 5,
        "ENCUT": 648.7442,
        "EDIFF": 1e-8,
        "ISMEAR": 0,
        "SIGMA": 0.01,
        "LREAL": False,
        "ADDGRID": True,
        "LWAVE": False,
        "LCHARG": False,
    }
    assert {k: incar[k] for k in database} == database
    assert set(incar) - set(database) == {"ALGO", "ISPIN", "NSW"}  # IALGO 38 is ALGO Normal
    assert kpoints == [4, 4, 4]


@pytest.mark.parametrize(
    ("lattice", "published"),
    [
        # mp-10103, mp-10182 of the database: cell of the relaxation and its mesh
        (Lattice.hexagonal(4.95052777, 9.39320891), [5, 5, 2]),
        (Lattice.monoclinic(5.78, 6.10, 5.76, 100.0), [3, 3, 3]),
    ],
)
def test_the_length_of_the_database_gives_its_meshes(lattice, published):
    crystal = Structure(lattice, ["Li"], [[0, 0, 0]])
    assert mesh(crystal, presets()["kyoto"]["kpoints"]) == published


def test_a_supercell_of_a_mesh_by_density_has_the_same_density(potcars, li2o):
    supercell = li2o * [4, 4, 4]
    cell, large = mesh(li2o, 5000.0), mesh(supercell, 5000.0)
    assert large == [2, 2, 2]
    assert len(supercell) == 192
    assert np.prod(cell) >= np.prod(large)


@pytest.mark.parametrize(("repeats", "points"), [(1, 10), (2, 5)])
def test_a_cubic_cell_has_a_cubic_mesh_however_it_lies(repeats, points):
    # 5000 / 5 and 5000 / 40 are cubes of whole numbers: rounding must not decide
    rng = np.random.default_rng(7)
    for edge in np.linspace(3.7, 4.1, 20):
        turned = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        matrix = edge * (1 + 1e-7 * rng.normal(size=(3, 1))) * turned
        crystal = Structure(matrix, ["Li"] * 3 + ["O", "Cl"], rng.random((5, 3)))
        assert mesh(crystal * ([repeats] * 3), 5000.0) == [points] * 3


@given(st.tuples(*[st.floats(2.5, 30.0)] * 3), st.integers(1, 40), st.integers(100, 9000))
@settings(max_examples=50, deadline=None)
def test_a_mesh_by_density_is_pymatgens_but_for_rounding(edges, atoms, density):
    sites = np.linspace(0, 1, atoms, endpoint=False)[:, None] * [1, 1, 1]
    crystal = Structure(Lattice.orthorhombic(*edges), ["Li"] * atoms, sites)
    theirs = Kpoints.automatic_density(crystal, density, force_gamma=True).kpts[0]
    slightly_more = Kpoints.automatic_density(crystal, density * 1.001, force_gamma=True).kpts[0]
    ours = mesh(crystal, density)
    assert all(a in (b, c) for a, b, c in zip(ours, theirs, slightly_more, strict=True))


def test_a_large_cell_gets_few_points_and_a_metal_the_same_settings(potcars):
    rng = np.random.default_rng(1)
    sites = [*["Li"] * 14, *["P"] * 6, *["S"] * 22]
    glass = Structure(
        Lattice.from_parameters(12.5, 6.0, 12.5, 103, 113, 74), sites, rng.random((42, 3))
    )
    code = Vasp().of(["Li", "P", "S"])
    incar, kpoints = written(code.relax_maker(), glass)
    assert np.prod(kpoints) * 42 <= 5000
    assert kpoints[1] > kpoints[0]  # the short axis has more
    metal, dense = written(code.of(["Li"]).relax_maker(), element_structure("Li"))
    assert metal == incar
    assert np.prod(dense) > 2000


def test_spins_are_polarised_where_the_crystal_asks(potcars, li2o):
    oxygen = element_structure("O")
    assert written(Vasp().of(["O"]).relax_maker(), oxygen)[0]["ISPIN"] == 2
    iron = Structure(Lattice.cubic(2.87), ["Fe"], [[0, 0, 0]])
    incar, _ = written(displaced(Vasp().of(["Fe"])), iron)
    assert (incar["ISPIN"], incar["MAGMOM"]) == (2, [5])
    assert written(displaced(Vasp(spin="none").of(["Fe"])), iron)[0]["ISPIN"] == 1
    mine = Vasp(incar={"ISPIN": 2, "MAGMOM": {"Li": 0.1, "O": 0.2}}).of(["Li", "O"])
    assert written(displaced(mine), li2o)[0]["MAGMOM"] == [0.1, 0.1, 0.2]


def test_the_users_keys_win_and_none_removes(potcars, li2o):
    code = Vasp(incar={"ENCUT": 700, "ADDGRID": None, "GGA": "PS"}, kpoints=[2, 2, 2])
    incar, kpoints = written(code.of(["Li", "O"]).relax_maker(), li2o)
    assert (incar["ENCUT"], "ADDGRID" in incar, kpoints) == (700, False, [2, 2, 2])
    assert code.method == "VASP (PBEsol, kim2024, changed)"


def test_wrong_keys_are_named_with_what_would_be_right():
    assert wrong_keys({"ENCUT": 500, "ncore": 4}) == []
    (fault,) = wrong_keys({"ENCUTT": 500})
    assert "ENCUTT is no key of VASP (did you mean ENCUT?)" in fault
    assert wrong_keys({"NSW": 3}) == ["NSW is set by relax.steps"]
    assert wrong_keys({"MAGMOM": [1, 2]}) == ["MAGMOM is written by element, such as {Fe: 5}"]
    assert set(OWNED) <= known_keys()
    (fault,) = wrong_keys({"LDAUU": [5.3, 0]})
    assert "LDAUU is written by element" in fault


@pytest.mark.parametrize("value", [None, -1, 0, 8])
def test_what_would_not_relax_is_refused(value):
    # without IBRION, VASP would start molecular dynamics
    assert "IBRION is" in wrong_keys({"IBRION": value})[0]
    assert wrong_keys({"IBRION": 1}) == []


def test_content_keys_know_results_from_machines(potcars, li2o):
    plain = key(Vasp().of(["Li", "O"]))
    assert key(Vasp(command="srun vasp_std", incar={"ncore": 8}).of(["Li", "O"])) == plain
    assert key(Vasp(gamma_command="vasp_gam").of(["O", "Li"])) == plain
    for other in (
        Vasp(incar={"ENCUT": 651}),
        Vasp(kpoints=4000.0),
        Vasp("kyoto"),
        Vasp(spin="polarised"),
    ):
        assert key(other.of(["Li", "O"])) != plain


def test_the_content_of_a_potcar_counts_and_its_text_goes_nowhere(potcars, li2o):
    before = Vasp().of(["Li", "O"])
    text = json.dumps(before.relax_maker().make(li2o), cls=MontyEncoder)
    assert "End of Dataset" not in text
    assert "PAW_PBE Li_sv 01Jan2000" in text
    from sse_flows.codes.vasp import potcars as module

    path = potcars / "POT_GGA_PAW_PBE_54" / "POTCAR.Li_sv"
    path.write_text(path.read_text().replace("2.0 3.5", "2.0 3.6"))
    module._read.cache_clear()
    assert key(Vasp().of(["Li", "O"])) != key(before)


def test_a_job_survives_the_way_through_json(potcars, li2o):
    job = Vasp(incar={"KPAR": 2}).of(["Li", "O"]).relax_maker().make(li2o)
    text = json.dumps(job, cls=MontyEncoder)
    again = json.loads(text, cls=MontyDecoder)
    assert json.dumps(again, cls=MontyEncoder) == text
    assert again.function.__self__.launch.incar == {"KPAR": 2}


def test_nothing_of_an_input_is_left_to_this_machines_settings_of_atomate2():
    ours = set(Inputs.__annotations__)
    assert {"sym_prec", "inherit_incar", "bandgap_tol"} <= ours  # atomate2 takes them from there
    assert Inputs().inherit_incar is False


def test_what_cannot_be_a_poscar_is_refused(potcars, li2o):
    inputs = Vasp().of(["Li", "O"]).relax_maker().input_set_generator
    check_structure(li2o, inputs)
    mixed = Structure(li2o.lattice, ["Li", "O", "Li"], li2o.frac_coords)
    with pytest.raises(SSEError, match="not grouped by element"):
        check_structure(mixed, inputs)
    with pytest.raises(SSEError, match="no POTCAR of S"):
        check_structure(Structure(li2o.lattice, ["S"], [[0, 0, 0]]), inputs)
    half = Structure(li2o.lattice, [{"Li": 0.5}], [[0, 0, 0]])
    with pytest.raises(SSEError, match="disordered"):
        check_structure(half, inputs)


@pytest.mark.parametrize(
    ("incar", "name"),
    [
        ({"GGA": "PE"}, "PBE"),
        ({"GGA": "Ps"}, "PBEsol"),
        ({"METAGGA": "R2SCAN"}, "R2SCAN"),
        ({"GGA": "PE", "LHFCALC": True}, "hybrid of PBE"),
        ({}, "POTCAR's functional"),
    ],
)
def test_functionals_have_names(incar, name):
    assert functional_of(incar) == name


@given(
    st.tuples(*[st.floats(2.0, 30.0)] * 3),
    st.floats(10.0, 60.0),
)
def test_a_mesh_by_length_is_finer_along_short_axes(edges, length):
    crystal = Structure(Lattice.orthorhombic(*edges), ["Li"], [[0, 0, 0]])
    numbers = mesh(crystal, {"length": length})
    assert all(n >= 1 for n in numbers)
    order = np.argsort(edges)
    assert list(np.array(numbers)[order]) == sorted(numbers, reverse=True)


def test_parallel_keys_are_keys_of_vasp():
    assert set(PARALLEL) - known_keys() <= {"NCSHMEM", "LSCAAWARE"}
