"""`code: espresso`: from the campaign file to jobs, and with the real pw.x to descriptors."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sse_flows.campaign.environment import inspect_environment
from sse_flows.campaign.flow import Campaign, Plan
from sse_flows.campaign.keys import content_key
from sse_flows.campaign.local import run_campaign
from sse_flows.campaign.manifest import Manifest
from sse_flows.campaign.results import CampaignResults
from sse_flows.descriptors.document import PHONON_DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.store.jobstore import embedded_store
from sse_flows.structures import elements
from sse_flows.testing.campaigns import campaign_of, keys_of, refusal_of, write_antifluorites

HEADER = (
    '<UPF version="2.0.1"><PP_HEADER element="{0}" pseudo_type="PAW" functional="{1}" '
    'wfc_cutoff="40.0" rho_cutoff="320.0"/></UPF>'
)

CAMPAIGN = """\
name: lithia
screen: {files: [li2o.cif]}
train: {table: builtin}
code:
  name: espresso
  kpoints: [3, 3, 3]
  supercell_kpoints: [1, 1, 1]
  input:
    system: {ecutwfc: 40, ecutrho: 320}
    electrons: {conv_thr: 1.0e-9}
    cell: {press_conv_thr: 0.5}
relax: {force_max: 0.01}
phonons: {min_length: 4.0}
models: {max_features: 1, trees: 10, nested: false}
formation_energies: false
"""


@pytest.fixture
def pool(tmp_path, monkeypatch) -> Path:
    """Folder with Li2O and Li2S, and pseudopotentials of Li and O that nothing can compute with."""
    write_antifluorites(tmp_path)
    family = tmp_path / "pseudo"
    family.mkdir()
    for element in ("Li", "O"):
        for functional in ("PBE", "PBESOL"):
            text = HEADER.format(element, functional)
            (family / f"{element}.{functional}.UPF").write_text(text)
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(family))
    monkeypatch.delenv("SSE_ESPRESSO_COMMAND", raising=False)
    return tmp_path


def campaign(pool: Path, code: dict | str, files: Sequence[str] = ("li2o.cif",), **more):
    return campaign_of(pool, code, files, **{"formation_energies": False, **more})


def test_the_short_form_names_a_code_or_a_force_field():
    def code(value):
        return Manifest(name="x", screen={"files": ["a"]}, code=value).code

    assert code("espresso").name == "espresso"
    assert (code("CHGNet").name, code("CHGNet").model) == ("forcefield", "CHGNet")
    assert code({"model": "CHGNet"}).model == "CHGNet"
    assert code("forcefield").model == "SevenNet-0"


def test_the_published_preset_sets_the_supercell_unless_the_file_does():
    published = {"name": "espresso", "preset": "jaafreh2024"}
    fields = {"name": "x", "screen": {"files": ["a"]}, "code": published}
    assert Manifest(**fields).phonons.supercell == "primitive_2x2x2"
    own = Manifest(**fields, phonons={"supercell": "min_length"})
    assert own.phonons.supercell == "min_length"


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("{name: espresso, preset: best}", ["code.preset", "'best'", "jaafreh2024"]),
        ("{name: espresso, presets: tight}", ["unknown field code.presets", "preset?"]),
        ("{name: espresso, model: x}", ["unknown field code.model", "pseudopotentials"]),
        ("{name: espresso, kpoints: [2, 2]}", ["code.kpoints"]),
        ("{name: espresso, input: {system: {ecut: 3}}}", ["code.input", "system.ecut"]),
        ("{name: espresso, spin: up}", ["code.spin", "'polarised'"]),
        ("{modle: CHGNet}", ["unknown field code.modle", "Did you mean model?"]),
    ],
)
def test_wrong_fields_are_named_with_what_would_be_right(tmp_path, code, parts):
    message = refusal_of(tmp_path, code)
    assert all(part in message for part in parts), message


def test_a_compound_without_pseudopotential_is_refused_and_the_rest_goes_on(pool):
    one = campaign(pool, "espresso", ["li2o.cif", "li2s.cif"])
    assert set(one.plan().jobs) == {"li2o"}
    assert "no pseudopotential of S" in one.plan().failures["li2s"]
    assert "ESPRESSO_PSEUDO" in one.plan().failures["li2s"]


def test_a_missing_folder_of_pseudopotentials_stops_the_campaign(pool, monkeypatch):
    monkeypatch.delenv("ESPRESSO_PSEUDO")
    with pytest.raises(SSEError, match="no pseudopotentials named"):
        campaign(pool, "espresso").flow()


def test_how_and_where_it_runs_is_no_part_of_the_keys(pool, monkeypatch):
    plain = keys_of(campaign(pool, "espresso"))
    parallel = {"name": "espresso", "command": "mpirun -np 8 pw.x -nk 4"}
    assert keys_of(campaign(pool, parallel)) == plain
    shutil.copytree(pool / "pseudo", pool / "elsewhere")
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(pool / "elsewhere"))
    assert keys_of(campaign(pool, "espresso")) == plain


@pytest.mark.parametrize(
    "change",
    [
        {"functional": "PBE"},
        {"kpoints": [3, 3, 3]},
        {"input": {"system": {"ecutwfc": 70}}},
        {"spin": "polarised"},
    ],
    ids=str,
)
def test_what_changes_results_changes_the_keys(pool, change):
    plain = keys_of(campaign(pool, "espresso"))
    other = keys_of(campaign(pool, {"name": "espresso", **change}))
    assert other["order"] == plain["order"]
    assert other["relax"] != plain["relax"]


def test_another_file_of_the_same_name_is_another_calculation(pool):
    plain = keys_of(campaign(pool, "espresso"))
    (pool / "pseudo" / "O.PBESOL.UPF").write_text(HEADER.format("O", "PBESOL") + "\n")
    assert keys_of(campaign(pool, "espresso"))["relax"] != plain["relax"]


def magnetic(pool: Path, moments: Sequence[float] | None, **code) -> Campaign:
    """A campaign of Li4O2 with moments on oxygen, which is enough to have them."""
    from pymatgen.core import Lattice, Structure

    cubic = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.6), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    if moments:
        cubic.add_site_property("magmom", [*moments, *[0.0] * 8])
    (pool / "li2o.json").write_text(cubic.to_json())
    return campaign(pool, {"name": "espresso", **code}, ["li2o.json"])


def test_an_order_of_the_source_reaches_relaxation_and_supercells(pool):
    one = magnetic(pool, [1.0, 1.0, -1.0, -1.0])
    jobs = {job.name: job for job, _ in one.flow().iterflow()}
    (cell,) = jobs["relax"].function_args
    assert sorted(cell.site_properties["magmom"]) == [-1.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    forces = jobs["run_phonon_displacements"].function_kwargs["phonon_maker"]
    start = jobs["start_of_supercells"].function_args[-1]
    assert forces.order.uuid == start.order.uuid == jobs["relax"].uuid


@pytest.mark.parametrize(
    ("moments", "code"),
    [([1.0] * 4, {}), ([0.01, 0.01, -0.01, -0.01], {}), ([1.0, 1.0, -1.0, -1.0], {"spin": "none"})],
)
def test_without_an_order_or_without_spins_moments_change_no_key(pool, moments, code):
    """Results of before stay good: their structures lost all moments on the way."""
    one = magnetic(pool, moments, **code)
    relax = {job.name: job for job, _ in one.flow().iterflow()}["relax"]
    assert relax.function_args[0].attributes  # a reference to the cell that was ordered


def test_a_force_field_computes_nothing_anew_for_an_order(pool):
    plain, ordered = (
        keys_of(campaign_of(pool, "forcefield", ["li2o.json"]))
        for one in (None, [1.0, 1.0, -1.0, -1.0])
        if magnetic(pool, one)
    )
    assert ordered == plain


def test_a_maker_without_an_order_has_the_key_that_it_had_before_there_was_one(pool):
    one = campaign(pool, "espresso")
    jobs = {job.name: job for job, _ in one.flow().iterflow()}
    maker = jobs["run_phonon_displacements"].function_kwargs["phonon_maker"].as_dict()
    before = {key: value for key, value in maker.items() if key != "order"}
    assert maker["order"] is None
    assert content_key(maker) == content_key(before)


def test_a_file_of_an_element_that_is_not_used_changes_nothing(pool):
    plain = keys_of(campaign(pool, "espresso"))
    (pool / "pseudo" / "S.PBESOL.UPF").write_text(HEADER.format("S", "PBESOL"))
    assert keys_of(campaign(pool, "espresso")) == plain


@pytest.mark.parametrize(("kpoints", "elements"), [([5, 5, 5], 0.3), (0.2, 0.2)])
def test_a_mesh_for_compounds_is_not_used_for_elements(pool, kpoints, elements):
    """Metallic lithium on 3x3x3 points has two energies 5 mRy apart, and never relaxes."""
    code = {"name": "espresso", "kpoints": kpoints}
    one = campaign(pool, code, formation_energies=True)
    found = {
        (job.metadata["stage"], job.metadata["compound"]): job.maker.settings.kpoints
        for job, _ in one.flow().iterflow()
        if job.name == "relax"
    }
    assert found == {
        ("relax", "li2o"): kpoints,
        ("references", "Li"): elements,
        ("references", "O"): elements,
    }


def names(one: Campaign) -> set[str]:
    return {job.name for job, _ in one.flow().iterflow()}


def test_born_charges_can_be_left_out(pool):
    assert "born charges" in names(campaign(pool, "espresso"))
    without = campaign(pool, "espresso", phonons={"born_charges": False})
    assert "born charges" not in names(without)


def test_check_tells_of_each_element_of_a_campaign(pool):
    path = pool / "campaign.yaml"
    path.write_text(CAMPAIGN.replace("[li2o.cif]", "[li2o.cif, li2s.cif]"))
    found = {one.subject: one for one in inspect_environment(path)}
    assert found["ESPRESSO_PSEUDO"].state == "ok"
    assert "4 UPF files" in found["ESPRESSO_PSEUDO"].detail
    assert found["Li"].state == found["O"].state == "ok"
    assert found["Li"].detail == "Li.PBESOL.UPF (PBEsol, 40/320 Ry)"
    assert found["S"].state == "broken"
    assert found["S"].mend
    assert "PBEsol" in found["code of lithia"].detail


def test_check_tells_of_cutoffs_below_those_of_the_files(pool):
    path = pool / "campaign.yaml"
    path.write_text(CAMPAIGN.replace("ecutwfc: 40", "ecutwfc: 30"))
    found = {one.subject: one for one in inspect_environment(path)}
    assert "Li.PBESOL.UPF (PBEsol, 30/320 Ry, below its 40/320 Ry)" in found["Li"].detail


@pytest.mark.espresso
def test_check_tells_the_version_and_whether_it_is_parallel(pool, espresso_here):
    found = {one.subject: one for one in inspect_environment()}
    for program in ("pw.x", "ph.x"):
        assert found[program].state == "ok"
        assert shutil.which(program) in found[program].detail
        assert "version 6" in found[program].detail or "version 7" in found[program].detail
        assert found[program].detail.rpartition(", ")[2]


@pytest.fixture
def oxygen_in_a_small_box(monkeypatch) -> None:
    """A molecule of oxygen in a box of 5 Å instead of 10: seconds instead of many minutes."""
    table = elements._table()
    molecule = table["O"].molecule.model_copy(update={"box": 5.0})
    smaller = {**table, "O": table["O"].model_copy(update={"molecule": molecule})}
    monkeypatch.setattr(elements, "_table", lambda: smaller)


@pytest.mark.espresso
@pytest.mark.slow
def test_lithia_from_file_to_ranking(pool, espresso_here, no_configuration, oxygen_in_a_small_box):
    """The smallest supercell and few k points: the numbers are rough, the way is all there."""
    (pool / "campaign.yaml").write_text(CAMPAIGN.replace("energies: false", "energies: true"))
    outcome = run_campaign(pool / "campaign.yaml", processes=1, report=False)
    assert set(outcome.status.stages["li2o"].values()) == {"done"}, outcome.status.problems
    assert not outcome.status.problems
    run = pool / "runs" / "lithia"
    store = embedded_store(run)
    store.connect()
    results = CampaignResults(store, Plan.read(run))
    (described,) = results.descriptors()
    dynamics = results.dynamics("li2o")
    check_physics(dynamics, described.values)
    assert described.method == "Quantum ESPRESSO (PBEsol, tight, changed)"
    assert described.provenance["band_gap"] == described.method
    assert -2.3 < described.values["formation_energy"] < -1.6  # measured: -2.07 eV/atom
    again = run_campaign(pool / "campaign.yaml", processes=1, report=False)
    assert again.status.stages == outcome.status.stages


def check_physics(dynamics, values) -> None:
    assert all(values[name] is not None for name in PHONON_DESCRIPTORS)
    centres = [values[f"phonon_band_center_{part}"] for part in ("anion", "total", "mobile")]
    assert centres == sorted(centres)  # light lithium above oxygen
    assert 40 < centres[1] < 60  # converged: 53 meV
    assert 4 < values["band_gap"] < 6  # semilocal functionals: about 5 eV
    edge = (4 * values["volume_per_formula"]) ** (1 / 3)
    assert edge == pytest.approx(4.55, abs=0.07)  # Å; few k points and a low cutoff
    born, dielectric = np.array(dynamics.born), np.array(dynamics.dielectric)
    np.testing.assert_allclose(born.sum(axis=0), 0.0, atol=1e-3)
    charges = {
        site.specie.symbol: tensor[0, 0]
        for site, tensor in zip(dynamics.primitive, born, strict=True)
    }
    assert 0.8 < charges["Li"] < 1.0  # e
    assert -2.0 < charges["O"] < -1.6
    assert 2.0 < dielectric[0, 0] < 5.0
