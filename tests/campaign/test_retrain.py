"""Retraining: nothing twice, and what changed from one version to the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from jobflow import run_locally

from sse_flows.campaign.retrain import Inputs, RetrainMaker, read_inputs, retrain
from sse_flows.campaign.versions import (
    find_version,
    latest_version,
    list_versions,
    stored_models,
    stored_screening,
)
from sse_flows.errors import SSEError
from sse_flows.screening.document import Filters
from sse_flows.store.jobstore import embedded_store
from sse_flows.testing.inline import InlinePool
from sse_flows.testing.stored import make_sets, measured, write_sets

MAKER = RetrainMaker("small", max_features=1, trees=5, nested=False)


class Bench:
    """A results folder with descriptors and its store."""

    def __init__(self, folder: Path):
        self.folder, self.sets = folder, []
        self.add(make_sets(16))
        self.store = embedded_store(folder)
        self.store.connect()

    def add(self, sets) -> None:
        names = {one.compound_id for one in sets}
        self.sets = [one for one in self.sets if one.compound_id not in names] + list(sets)
        write_sets(self.folder, sets)

    def inputs(self, n: int = 12, **changed: float) -> Inputs:
        """The first `n` compounds are measured."""
        given = measured(make_sets(n)) | {k.replace("_", "-"): v for k, v in changed.items()}
        return read_inputs(self.store, self.sets, given, {})

    def run(self, inputs: Inputs, maker: RetrainMaker = MAKER):
        return retrain(maker, inputs, self.store, self.folder)

    def count(self) -> int:
        return self.store.count({"metadata.models": "small"})


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs run in this process: a worker takes seconds to start."""
    monkeypatch.setattr("sse_flows.campaign.run.worker_pool", InlinePool)


@pytest.fixture
def bench(tmp_path: Path):
    bench = Bench(tmp_path / "run")
    yield bench
    bench.store.close()


@pytest.mark.usefixtures("inline")
def test_versions_follow_the_data(bench: Bench) -> None:
    first = bench.run(bench.inputs())
    assert (first.is_new, first.version.version, first.version.changes) == (True, 1, None)
    assert first.version.classifier_features == ["low_energy_ratio_mobile"]
    assert (first.version.n_training, first.version.n_pool) == (12, 16)
    models, screening = (
        stored_models(bench.store, first.stored),
        stored_screening(bench.store, first.stored),
    )
    assert models.data_hash == first.version.data_hash == screening.models_hash
    assert list(first.version.superionic) == [r.compound_id for r in screening.rows if r.superionic]
    done = bench.count()

    again = bench.run(bench.inputs(elsewhere=1e-3))  # measured, but of no compound of the store
    assert (again.is_new, again.stored.uuid) == (False, first.stored.uuid)
    assert bench.count() == done

    bench.add([*make_sets(2, start=16), *make_sets(1, seed=5, start=3)])
    second = bench.run(bench.inputs(x_16=2e-3, x_00=5e-7))
    changes = second.version.changes
    assert (second.is_new, second.version.version, changes.previous) == (True, 2, 1)
    assert (changes.added, changes.removed) == (["x-16"], [])
    assert set(changes.changed) == {"x-00", "x-03"}
    assert "to 5e-07 S/cm" in changes.changed["x-00"]
    assert changes.changed["x-03"] == "descriptors"
    assert (changes.pool_added, changes.pool_removed) == (["x-16", "x-17"], [])
    before = {one.compound_id: one.rank for one in screening.rows}
    assert all(before[move.compound_id] == move.before for move in changes.moves)
    gone = set(first.version.superionic) - set(second.version.superionic)
    assert set(changes.left) == gone
    after = {(s.model, s.score, s.selection): s.value for s in second.version.scores}
    assert {(s.model, s.score, s.selection): s.after for s in changes.scores} == after
    assert not bench.run(bench.inputs(x_16=2e-3, x_00=5e-7)).is_new
    assert [one.version.version for one in list_versions(bench.store, "small")] == [1, 2]
    assert find_version(bench.store, "small", 1).uuid == first.stored.uuid
    assert latest_version(bench.store, "small").uuid == second.stored.uuid


@pytest.mark.usefixtures("inline")
def test_going_back_trains_nothing_again(bench: Bench) -> None:
    first = bench.run(bench.inputs())
    bench.run(bench.inputs(n=11))
    back = bench.run(bench.inputs())
    assert (back.version.version, back.version.changes.added) == (3, ["x-11"])
    assert back.version.models_job == first.version.models_job
    assert back.version.data_hash == first.version.data_hash
    jobs = bench.store.count({"metadata.models": "small", "metadata.stage": "models"})
    assert jobs == 2


def test_any_launcher_of_jobflow_can_run_the_flow(bench: Bench) -> None:
    flow = MAKER.make(bench.inputs())
    run_locally(flow, store=bench.store, ensure_success=True, allow_external_references=True)
    assert latest_version(bench.store, "small").version.version == 1
    assert not bench.run(bench.inputs()).is_new


def test_keys_follow_content_alone(bench: Bench) -> None:
    def keys(maker: RetrainMaker, inputs: Inputs) -> list[str]:
        return [job.uuid for job, _ in maker.make(inputs).iterflow()]

    plain = keys(MAKER, bench.inputs())
    assert keys(MAKER, bench.inputs()) == plain
    filtered = RetrainMaker(
        "small", max_features=1, trees=5, nested=False, filters=Filters(anions=["S"])
    )
    train, screen, write = keys(filtered, bench.inputs())
    assert train == plain[0]
    assert (screen, write) != tuple(plain[1:])
    inputs = bench.inputs()
    inputs.properties = {"x-15": {"band_gap": 3.0}}  # not measured: only the screening sees it
    train, screen, _ = keys(MAKER, inputs)
    assert train == plain[0]
    assert screen != plain[1]


def test_what_cannot_be_trained_says_why(bench: Bench) -> None:
    with pytest.raises(SSEError, match=r"only 3 compounds.*Add compounds"):
        bench.run(bench.inputs(n=3))
    with pytest.raises(SSEError, match=r"none of the 16 .* has a measured.*--conductivities"):
        read_inputs(bench.store, bench.sets, {}, {})
    with pytest.raises(SSEError, match=r"x-40: the store holds no document"):
        read_inputs(bench.store, [*bench.sets, *make_sets(1, start=40)], {}, {})
    with pytest.raises(SSEError, match=r"no version 7 of small .* none"):
        find_version(bench.store, "small", 7)
