"""`code: vasp`: from the campaign file to jobs, and with a stand-in for VASP to descriptors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import SETTINGS, Lattice, Structure

from sse_flows.campaign.environment import inspect_environment
from sse_flows.campaign.flow import Plan
from sse_flows.campaign.local import run_campaign
from sse_flows.campaign.manifest import Manifest
from sse_flows.campaign.results import CampaignResults
from sse_flows.descriptors.document import PHONON_DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.campaigns import campaign_of, keys_of, refusal_of, write_antifluorites
from sse_flows.testing.vasp_double import install, installed

CAMPAIGN = """\
name: lithia
screen: {files: [li2o.cif]}
train: {table: builtin}
code:
  name: vasp
  kpoints: [2, 2, 2]
  incar: {ENCUT: 400, KPAR: 2}
phonons: {min_length: 6.0}
models: {max_features: 1, trees: 10, nested: false}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory) -> Path:
    """Folder with a stand-in for VASP and its made-up POTCARs."""
    folder = tmp_path_factory.mktemp("vasp_double")
    install(folder)
    return folder


@pytest.fixture
def pool(tmp_path, programs, monkeypatch):
    """Folder with Li2O and Li2S where a stand-in for VASP is installed."""
    write_antifluorites(tmp_path)
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(variable, raising=False)
    with installed(programs):
        yield tmp_path


def test_one_line_is_enough(pool):
    section = Manifest(name="x", screen={"files": ["a"]}, code="vasp").code
    assert (section.name, section.preset, section.potcar_functional) == (
        "vasp",
        "kim2024",
        "PBE_54",
    )
    assert set(campaign_of(pool, "vasp").plan().jobs) == {"li2o"}


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("{name: vasp, preset: best}", ["code.preset", "'best'", "kim2024, kyoto"]),
        ("{name: vasp, presets: kyoto}", ["unknown field code.presets", "preset?"]),
        ("{name: vasp, incar: {ENCUTT: 3}}", ["code.incar", "ENCUTT", "did you mean ENCUT?"]),
        ("{name: vasp, incar: {NSW: 3}}", ["code.incar", "NSW is set by relax.steps"]),
        ("{name: vasp, kpoints: [2, 2]}", ["code.kpoints"]),
        ("{name: vasp, kpoints: {lenght: 2}}", ["code.kpoints"]),
        ("{name: vasp, potcars: {Li: Na_pv}}", ["code.potcars", "Li: Na_pv"]),
        ("{name: vasp, potcar_functional: PBE_99}", ["PBE_99", "PBE_54"]),
        ("{name: vasp, spin: up}", ["code.spin", "'polarised'"]),
    ],
)
def test_wrong_fields_are_named_with_what_would_be_right(tmp_path, code, parts):
    message = refusal_of(tmp_path, code)
    assert all(part in message for part in parts), message


def test_a_compound_without_potcar_is_refused_and_the_rest_goes_on(pool):
    code = {"name": "vasp", "potcars": {"S": "S_GW_new"}}
    one = campaign_of(pool, code, ["li2o.cif", "li2s.cif"])
    assert set(one.plan().jobs) == {"li2o"}
    assert "no POTCAR S_GW_new of S" in one.plan().failures["li2s"]


def test_without_any_potcars_the_campaign_stops(pool, monkeypatch):
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(SSEError, match="PMG_VASP_PSP_DIR is not set"):
        campaign_of(pool, "vasp").flow()


def test_keys_follow_what_is_computed_and_not_the_machine(pool):
    plain = keys_of(campaign_of(pool, "vasp"))
    machine = {"name": "vasp", "command": "srun vasp_std", "incar": {"NCORE": 8, "kpar": 4}}
    assert keys_of(campaign_of(pool, machine)) == plain
    other = keys_of(campaign_of(pool, {"name": "vasp", "incar": {"ENCUT": 700}}))
    assert other["order"] == plain["order"]
    assert other["relax"] != plain["relax"]
    dense = keys_of(campaign_of(pool, {"name": "vasp", "supercell_kpoints": 1000}))
    assert dense["relax"] == plain["relax"]
    assert dense["phonons"] != plain["phonons"]


def magnetic(pool, moments, **code):
    """A campaign of a lithium ferrite whose two iron atoms have moments, or none."""
    layers = Structure(
        Lattice.tetragonal(4.35, 3.9),
        ["Fe", "Fe", "Li", "Li", "O", "O", "O", "O"],
        [
            *([0.5, 0, 0.5], [0, 0.5, 0.5], [0, 0, 0], [0.5, 0.5, 0]),
            *([0.5, 0, 0], [0, 0.5, 0], [0, 0, 0.5], [0.5, 0.5, 0.5]),
        ],
    )
    if moments:
        layers.add_site_property("magmom", [*moments, *[0.0] * 6])
    (pool / "ferrite.json").write_text(layers.to_json())
    return campaign_of(pool, {"name": "vasp", **code}, ["ferrite.json"])


def test_an_order_of_the_source_reaches_relaxation_and_supercells(pool):
    jobs = {job.name: job for job, _ in magnetic(pool, [4.1, -4.1]).flow().iterflow()}
    (cell,) = jobs["relax"].function_args
    assert sorted(cell.site_properties["magmom"]) == [-1.0, *[0.0] * 6, 1.0]
    forces = jobs["run_phonon_displacements"].function_kwargs["phonon_maker"]
    assert forces.order.uuid == jobs["relax"].uuid


def test_without_an_order_or_without_spins_moments_change_no_key(pool):
    plain = keys_of(magnetic(pool, None), "ferrite")
    for moments in ([4.1, 4.0], [0.01, -0.01]):
        assert keys_of(magnetic(pool, moments), "ferrite") == plain
    assert keys_of(magnetic(pool, [4.1, -4.1]), "ferrite")["relax"] != plain["relax"]
    for code in ({"spin": "none"}, {"incar": {"ISPIN": 1}}):
        without = keys_of(magnetic(pool, None, **code), "ferrite")
        assert keys_of(magnetic(pool, [4.1, -4.1], **code), "ferrite") == without


def test_the_check_names_program_version_and_potcars(pool):
    (pool / "campaign.yaml").write_text(CAMPAIGN)
    found = {one.subject: one for one in inspect_environment(pool / "campaign.yaml")}
    assert found["vasp_std"].state == found["vasp_gam"].state == "ok"
    assert found["vasp_std"].detail.endswith("vasp_std, version 6.0.0 TEST DOUBLE, NOT VASP")
    assert found["PMG_VASP_PSP_DIR"].state == "ok"
    assert found["code of lithia"].detail == "VASP (PBE, kim2024, changed)"
    assert "POTCAR Li_sv" in found["Li"].detail
    assert "above ENCUT 400" in found["Li"].detail


def test_the_check_says_what_is_missing(monkeypatch):
    from atomate2 import SETTINGS as ATOMATE2

    monkeypatch.setattr(ATOMATE2, "VASP_CMD", "mpirun -np 4 vasp_of_nobody")
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    found = {one.subject: one for one in inspect_environment()}
    assert (found["vasp_std"].state, found["PMG_VASP_PSP_DIR"].state) == ("missing", "missing")
    assert "vasp_of_nobody" in found["vasp_std"].detail


def test_what_is_wrong_with_all_elements_is_said_once(pool, monkeypatch):
    (pool / "campaign.yaml").write_text(CAMPAIGN)
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    found = inspect_environment(pool / "campaign.yaml")
    broken = [one for one in found if "PMG_VASP_PSP_DIR" in one.detail and one.state == "broken"]
    assert [one.subject for one in broken] == ["Li, O"]
    assert broken[0].mend


@pytest.mark.slow
def test_lithia_from_file_to_ranking(pool, no_configuration):
    """With forces of a stand-in: no number is VASP's, but the way is all there."""
    (pool / "campaign.yaml").write_text(CAMPAIGN)
    outcome = run_campaign(pool / "campaign.yaml", processes=1)
    assert set(outcome.status.stages["li2o"].values()) == {"done"}, outcome.status.problems
    assert not outcome.status.problems
    run = pool / "runs" / "lithia"
    store = embedded_store(run)
    store.connect()
    results = CampaignResults(store, Plan.read(run))
    (described,) = results.descriptors()
    assert all(described.values[name] is not None for name in PHONON_DESCRIPTORS)
    assert described.values["band_gap"] > 1.0
    assert described.method == "TEST DOUBLE, NOT VASP (PBE, kim2024, changed)"
    assert outcome.report is not None
    assert described.method in outcome.report.read_text()
    assert described.provenance["band_gap"] == described.method
    heat = described.values["formation_energy"]  # against bcc lithium and the oxygen molecule
    assert heat is not None
    assert np.isfinite(heat)
    dynamics = results.dynamics("li2o")
    born = np.array(dynamics.born)
    np.testing.assert_allclose(born.sum(axis=0), 0.0, atol=1e-3)
    assert np.array(dynamics.dielectric)[0, 0] > 1.0
    again = run_campaign(pool / "campaign.yaml", processes=1, report=False)
    assert again.status.stages == outcome.status.stages


@pytest.mark.slow
def test_a_fault_of_vasp_is_told_of_its_compound_and_the_next_run_mends_it(
    pool, no_configuration, monkeypatch
):
    monkeypatch.setenv("VASP_DOUBLE_FAULT", "brmix*99@relax")
    (pool / "campaign.yaml").write_text(CAMPAIGN + "formation_energies: false\n")
    outcome = run_campaign(pool / "campaign.yaml", processes=1)
    assert outcome.status.stages["li2o"]["relax"] == "failed"
    (problem,) = [one for one in outcome.status.problems if one.compound == "li2o"]
    assert "VASP's solver failed (brmix)" in problem.reason
    assert "code.incar.ALGO" in (problem.mend or "")
    monkeypatch.delenv("VASP_DOUBLE_FAULT")
    again = run_campaign(pool / "campaign.yaml", processes=1, report=False)
    assert set(again.status.stages["li2o"].values()) == {"done"}, again.status.problems
