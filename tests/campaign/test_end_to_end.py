"""A small campaign from file to ranking, with real forces: what fails is reported, the rest is all
there, and a second run computes nothing.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.campaign.events import read_events
from sse_flows.campaign.flow import Campaign, Plan
from sse_flows.campaign.local import run_campaign
from sse_flows.campaign.results import CampaignResults, write_table
from sse_flows.descriptors.document import DESCRIPTORS, PHONON_DESCRIPTORS
from sse_flows.store.jobstore import embedded_store

pytestmark = [pytest.mark.forcefield, pytest.mark.slow]

CONDUCTORS = ["li3n-alpha", "li3n-beta", "li2s", "lii", "li3ocl", "li3obr"]
CAMPAIGN = f"""\
name: small
train: {{conductors: [{", ".join(CONDUCTORS)}]}}
screen: {{files: [pool]}}
phonons: {{min_length: 4.0}}
models: {{max_features: 1, trees: 20, nested: false}}
formation_energies: false
"""


def crystal(group: str, edge: float, species: list[str], coords: list) -> Structure:
    return Structure.from_spacegroup(group, Lattice.cubic(edge), species, coords)


def fill(folder) -> None:
    """Two good crystals, and one of each kind that every folder of CIFs has."""
    folder.mkdir()
    origin, half, quarter = [0, 0, 0], [0.5, 0.5, 0.5], [0.25, 0.25, 0.25]
    crystal("Fm-3m", 4.03, ["Li", "F"], [origin, half]).to(str(folder / "lif.cif"))
    crystal("Fm-3m", 4.62, ["O", "Li"], [origin, quarter]).to(str(folder / "li2o.cif"))
    crystal("Fm-3m", 5.64, ["Na", "Cl"], [origin, half]).to(str(folder / "no-lithium.cif"))
    overlapping = Structure(Lattice.cubic(4.0), ["Li", "Li", "F"], [origin, [0.02, 0, 0], half])
    overlapping.to(str(folder / "overlap.cif"))
    (folder / "broken.cif").write_text("data_broken\n_cell_length_a 4.0\nloop_\n_atom_site_label\n")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("campaign")


@pytest.fixture(scope="module")
def outcome(folder):
    from jobflow import SETTINGS, JobStore
    from maggma.stores import MemoryStore

    fill(folder / "pool")
    (folder / "campaign.yaml").write_text(CAMPAIGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SETTINGS, "JOB_STORE", JobStore(MemoryStore()))
        yield run_campaign(folder / "campaign.yaml", processes=2, report=False)


@pytest.fixture(scope="module")
def results(folder, outcome):
    run = folder / "runs" / "small"
    store = embedded_store(run)
    store.connect()
    return CampaignResults(store, Plan.read(run))


def test_every_good_compound_comes_through(outcome):
    good = [*CONDUCTORS, "lif", "li2o"]
    assert sorted(outcome.status.stages) == sorted(good)
    states = {state for row in outcome.status.stages.values() for state in row.values()}
    assert states == {"done"}, outcome.status.problems
    assert outcome.status.tail == {"models": "done", "screening": "done"}


def test_every_bad_file_is_reported_with_a_mend(outcome):
    problems = {problem.compound: problem for problem in outcome.status.problems}
    assert len(problems) == 3
    reasons = {
        "broken": "Open it in a structure viewer",
        "no-lithium": "Li",
        "overlap": "Remove the duplicate atom",
    }
    for name, expected in reasons.items():
        (problem,) = [one for key, one in problems.items() if name in key]
        text = f"{problem.reason} {problem.mend or ''}"
        assert expected in text, text
        assert problem.stage == "structures"
        assert "\n" not in text


def test_each_compound_has_all_descriptors_or_a_reason(results):
    sets = results.descriptors()
    assert len(sets) == len(CONDUCTORS) + 2
    for one in sets:
        assert tuple(one.values) == DESCRIPTORS
        absent = {name for name, value in one.values.items() if value is None}
        assert absent == set(one.missing), one.compound_id
        assert all(one.missing.values())
        # what the forces give is there; a peak or ratio may lie above the window
        centres = [name for name in PHONON_DESCRIPTORS if "band_center" in name]
        assert not absent & {*centres, "vibrational_entropy", "soft_mode_flag"}
        assert 5 < one.values["phonon_band_center_total"] < 100
        assert one.method.startswith("SevenNet-0 (sevenn")
        assert "formation_energy" in absent


def test_conductivities_and_roles_come_with_them(results):
    train, screen = results.descriptors("train"), results.descriptors("screen")
    assert {one.compound_id for one in train} == set(CONDUCTORS)
    assert all(one.conductivity > 0 and one.conductivity_source for one in train)
    assert {one.compound_id for one in screen} == {"lif", "li2o"}
    assert all(one.conductivity is None for one in screen)


def test_models_and_screening_are_there(results):
    assert results.models() is not None
    rows = results.screening().rows
    assert {row.compound_id for row in rows} == {"lif", "li2o"}
    assert all(0 <= row.probability <= 1 for row in rows)
    assert all(-20 < row.log10_conductivity < 2 for row in rows)


def test_lattice_dynamics_are_read_back_with_their_arrays(results):
    dynamics = results.dynamics("lif")
    assert dynamics.formula == "LiF"
    assert len(dynamics.projected_dos) == len(dynamics.primitive)
    assert dynamics.force_constants is not None


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_the_table_is_written_in_every_form(results, tmp_path, form):
    import pandas as pd

    table = results.table()
    path = tmp_path / f"table.{form}"
    write_table(table, form, path)
    read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[form](path)
    assert len(read) == len(CONDUCTORS) + 2
    assert set(table.columns) <= set(read.reset_index().columns)


def test_a_second_run_computes_nothing(folder, outcome, results):
    def done() -> int:
        states = Counter(event["state"] for event in read_events(folder / "runs" / "small"))
        return states["done"]

    before, stored = done(), results.store.count()
    assert before >= 8 * 4
    again = run_campaign(folder / "campaign.yaml", processes=2, report=False)
    assert done() == before
    assert results.store.count() == stored
    assert again.status.stages == outcome.status.stages
    assert json.dumps(again.status.tail) == json.dumps(outcome.status.tail)


def test_the_same_file_makes_the_same_keys(folder, outcome):
    plans = [Campaign.from_file(folder / "campaign.yaml").plan() for _ in range(2)]
    assert plans[0] == plans[1] == Plan.read(folder / "runs" / "small")
