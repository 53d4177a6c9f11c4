"""`sse export` and `sse import campaign`: a campaign moves to another machine and goes on there."""

from __future__ import annotations

import json
import shutil
from datetime import datetime

import pytest
from jobflow import SETTINGS
from monty.json import jsanitize
from pymatgen.core import Lattice, Structure

from sse_flows.campaign.events import read_events
from sse_flows.campaign.exporting import documents_of, export_campaign, import_campaign
from sse_flows.campaign.flow import STAGES, Campaign
from sse_flows.campaign.run import LocalRunner
from sse_flows.campaign.status import read_status
from sse_flows.errors import SSEError
from sse_flows.store.archive import Archive
from sse_flows.store.durable import BLOB_STORE
from sse_flows.store.jobstore import embedded_store, open_store
from sse_flows.testing.stored import make_sets

pytestmark = pytest.mark.forcefield

CAMPAIGN = """\
name: moved
screen: {conductors: [li2s], files: [pool/*.cif]}
formation_energies: true
"""
FIELDS = (0.0, 0.5, 1.0 / 3.0)


def fill(campaign: Campaign, day: int = 1, except_stage: str = "") -> None:
    """Store a made-up result of every job, and of displaced supercells that no plan lists."""
    store = open_store(campaign.folder)
    for number, (job, _) in enumerate(campaign.flow().iterflow()):
        metadata = dict(job.metadata)
        if metadata["stage"] == except_stage:
            continue
        output: dict = {"force_constants": [[number / 7, *FIELDS]], "when": datetime(2026, 1, 2)}
        if job.name == "describe_compound":
            one = make_sets(1, start=number)[0]
            one = one.model_copy(update={"compound_id": metadata["compound"]})
            output = jsanitize(one, strict=True, enum_values=True, allow_bson=True)
        _write(store, job.uuid, 1, output, metadata, day)
        if metadata["stage"] == "phonons" and job.name.startswith("run_phonon"):
            _write(store, job.uuid, 1, None, metadata, day)
            _write(store, job.uuid, 2, {"n": number}, metadata, day)
            for part in range(3):
                _write(store, f"{job.uuid[:-2]}x{part}", 1, {"forces": [part]}, metadata, day)
    campaign.plan().write(campaign.folder)
    store.close()


def _write(store, uuid, index, output, metadata, day) -> None:
    doc = {
        "uuid": uuid,
        "index": index,
        "output": output,
        "completed_at": f"2026-11-{day:02d}T10:00:00.000000+00:00",
        "metadata": metadata,
        "hosts": [],
        "name": "x",
    }
    store.update(doc, save={BLOB_STORE: ["force_constants"]})


def content(store, load=True) -> list[str]:
    """All documents with their arrays, in an order of their own."""
    bare = [{k: v for k, v in doc.items() if k != "_id"} for doc in store.query(load=load)]
    return sorted(json.dumps(doc, sort_keys=True, default=str) for doc in bare)


@pytest.fixture
def campaign(tmp_path, no_configuration) -> Campaign:
    here = tmp_path / "laptop"
    (here / "pool").mkdir(parents=True)
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.03), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    crystal.to(str(here / "pool" / "lif.cif"))
    (here / "pool" / "notes.txt").write_text("no structure")
    (here / "c.yaml").write_text(CAMPAIGN)
    made = Campaign.from_file(here / "c.yaml")
    fill(made)
    return made


def opened(campaign: Campaign):
    return open_store(campaign.folder)


def test_it_goes_on_elsewhere_as_if_it_had_been_computed_there(sse, campaign, tmp_path):
    made = sse("export", tmp_path / "laptop" / "c.yaml", "-o", tmp_path / "c.tar.gz")
    assert made.code == 0, made.err
    assert "2 files" in made.out
    shutil.move(tmp_path / "laptop", tmp_path / "gone")
    taken = sse("import", "campaign", "c.tar.gz", "--folder", "cluster")
    assert taken.code == 0, taken.err
    assert taken.out.splitlines()[-1] == "go on with: sse run cluster/c.yaml"
    assert f"in sqlite://{tmp_path}/cluster" in taken.out
    files = sorted(p.name for p in (tmp_path / "cluster").rglob("*") if p.is_file())
    assert {"c.yaml", "lif.cif", "campaign.json", "events.jsonl", "store.sqlite"} <= set(files)
    assert "notes.txt" not in files

    there = Campaign.from_file(tmp_path / "cluster" / "c.yaml")
    states = sse("status", "cluster/c.yaml").out
    assert "li2s" in states
    assert "waiting" not in states
    rows = sse("results", "cluster/c.yaml", "--format", "csv").out
    assert rows.startswith("compound_id")
    assert len(rows.splitlines()) == 3
    assert sse("run", "cluster/c.yaml", "--no-report").code == 0
    assert {e["state"] for e in read_events(there.folder)} <= {"start", "found"}
    graph = LocalRunner(opened(there), there.folder, 1).run(there.flow())
    assert graph.counts()["done"] == len(graph.nodes)


def test_supercells_that_no_plan_lists_come_along(campaign, tmp_path):
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    done = import_campaign(tmp_path / "c.tar", tmp_path / "there")
    there = Campaign.from_file(done.file)
    assert content(opened(there)) == content(opened(campaign))
    found = opened(there).query({"output.forces": {"$exists": True}})
    assert len(list(found)) == 3 * len(campaign.plan().jobs)


def test_importing_twice_changes_nothing(campaign, tmp_path):
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    first = import_campaign(tmp_path / "c.tar", tmp_path / "there")
    there = Campaign.from_file(first.file)
    before = {p: p.read_bytes() for p in there.folder.iterdir() if "sqlite" not in p.name}
    documents = content(opened(there))
    again = import_campaign(tmp_path / "c.tar", tmp_path / "there")
    assert (again.documents.new, again.documents.replaced) == (0, 0)
    assert again.documents.kept == first.documents.new
    assert content(opened(there)) == documents
    assert all(p.read_bytes() == held for p, held in before.items())


def test_newer_documents_are_kept_and_older_ones_replaced(campaign, tmp_path):
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    fill(campaign, day=3)
    newer = content(opened(campaign))
    kept = import_campaign(tmp_path / "c.tar", campaign.base).documents
    assert kept.new == kept.replaced == 0
    assert content(opened(campaign)) == newer
    export_campaign(campaign.base / "c.yaml", tmp_path / "new.tar")
    there = import_campaign(tmp_path / "c.tar", tmp_path / "there")
    done = import_campaign(tmp_path / "new.tar", tmp_path / "there").documents
    assert done.replaced == there.documents.new
    assert content(opened(Campaign.from_file(there.file))) == newer


def test_what_is_not_done_is_done_there(campaign, tmp_path):
    store = opened(campaign)
    store.remove_docs({"metadata.stage": "descriptors"})
    store.close()
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    done = import_campaign(tmp_path / "c.tar", tmp_path / "there")
    there = Campaign.from_file(done.file)
    rows = read_status(there.folder, there.plan()).stages
    assert {name: set(row.values()) for name, row in rows.items()} == {
        name: {"done", "waiting"} for name in there.plan().jobs
    }
    assert all(
        row["phonons"] == "done" and row["descriptors"] == "waiting" for row in rows.values()
    )
    assert done.documents.finished >= {
        jobs[stage] for jobs in there.plan().jobs.values() for stage in STAGES[:3]
    }


def test_other_campaigns_of_the_store_stay_behind(campaign):
    store = opened(campaign)
    strange = {"stage": "phonons", "compound": "someone-elses"}
    _write(store, "strange", 1, {"n": 1}, strange, 1)
    imported = {"stage": "phonons", "compound": "li2s", "imported": "kyoto"}
    _write(store, "imported", 1, {"n": 1}, imported, 1)
    keys = documents_of(store, campaign.flow(), campaign.plan())
    assert {"strange", "imported"}.isdisjoint(uuid for uuid, _ in keys)
    assert len(keys) == store.count() - 2


def test_a_document_that_lacks_its_array_stays_behind_and_is_named(sse, campaign, tmp_path):
    store = opened(campaign)
    arrays = store.additional_stores[BLOB_STORE]
    lost = arrays.query_one()["job_uuid"]
    arrays.remove_docs({"job_uuid": lost})
    result = sse("export", campaign.base / "c.yaml", "-o", tmp_path / "c.tar")
    assert result.code == 0
    assert f"left out: the document {lost}" in result.err
    assert Archive(tmp_path / "c.tar").about["incomplete"] == [lost]


@pytest.fixture
def archive(campaign, tmp_path):
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    return tmp_path / "c.tar"


def test_a_file_that_differs_is_not_written_over(archive, tmp_path):
    target = tmp_path / "there" / "pool" / "lif.cif"
    target.parent.mkdir(parents=True)
    target.write_text("mine")
    with pytest.raises(SSEError, match=r"lif\.cif is there already and differs"):
        import_campaign(archive, tmp_path / "there")
    assert target.read_text() == "mine"
    assert not (tmp_path / "there" / "c.yaml").exists()


def test_a_link_in_the_way_is_not_followed(archive, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there" / "pool").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SSEError, match="link that leads elsewhere"):
        import_campaign(archive, tmp_path / "there")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_results_outside_the_folder_need_to_be_asked_for(campaign, tmp_path):
    outside = tmp_path / "scratch" / "run"
    (campaign.base / "c.yaml").write_text(CAMPAIGN + f"results: {{folder: {outside}}}\n")
    moved = Campaign.from_file(campaign.base / "c.yaml")
    fill(moved)
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar")
    shutil.rmtree(outside)
    with pytest.raises(SSEError, match=r"outside its folder.*--anywhere"):
        import_campaign(tmp_path / "c.tar", tmp_path / "there")
    assert not outside.exists()
    assert not (tmp_path / "there").exists()
    import_campaign(tmp_path / "c.tar", tmp_path / "there", anywhere=True)
    assert (outside / "campaign.json").is_file()


def test_mistakes_are_one_line(sse, campaign, archive, tmp_path):
    wrong = sse("export", campaign.base / "c.yaml", "-o", "c.zip")
    assert wrong.code == 1
    assert "End it with .tar" in wrong.errors[0]
    shutil.rmtree(campaign.folder)
    never = sse("export", campaign.base / "c.yaml", "-o", "d.tar")
    assert "Run the campaign first" in never.errors[0]
    archive.write_bytes(archive.read_bytes()[:4000])
    short = sse("import", "campaign", archive)
    assert (short.code, len(short.errors)) == (1, 1)
    assert "Nothing was imported" in short.errors[0]


def test_from_laptop_to_mongodb_and_back_nothing_changes(
    campaign, job_store, monkeypatch, tmp_path
):
    before = content(opened(campaign))
    export_campaign(campaign.base / "c.yaml", tmp_path / "c.tar.gz")
    none_configured = SETTINGS.JOB_STORE
    monkeypatch.setattr(SETTINGS, "JOB_STORE", job_store)
    there = Campaign.from_file(import_campaign(tmp_path / "c.tar.gz", tmp_path / "there").file)
    assert not (there.folder / "store.sqlite").exists()
    assert content(opened(there)) == before
    graph = LocalRunner(opened(there), there.folder, 1).run(there.flow())
    assert graph.counts()["done"] == len(graph.nodes)
    export_campaign(there.base / "c.yaml", tmp_path / "back.tar")
    monkeypatch.setattr(SETTINGS, "JOB_STORE", none_configured)
    again = Campaign.from_file(import_campaign(tmp_path / "back.tar", tmp_path / "again").file)
    assert content(opened(again)) == before
    assert content(opened(again), load=False) == content(opened(campaign), load=False)
    assert type(opened(again)) is type(embedded_store(tmp_path))
