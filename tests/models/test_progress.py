"""Lines that a long search says of itself."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from sse_flows.models import progress
from sse_flows.models.evaluate import evaluate
from sse_flows.models.progress import PacedNotes, clock
from sse_flows.models.subset_search import SearchProgress
from sse_flows.models.train import train


@pytest.fixture
def seconds(monkeypatch) -> list[float]:
    """The time that the notes read, to be set in the first element."""
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_lines_keep_their_distance(seconds) -> None:
    told: list[str] = []
    notes = PacedNotes(told.append, "nested", every=5.0)
    for done, when in enumerate([1.0, 5.0, 6.0, 9.9, 10.0], 1):
        seconds[0] = when
        notes.count(done, 8)
    assert told == ["nested: 2 of 8, about 0:00:15 left", "nested: 5 of 8, about 0:00:06 left"]


def test_a_search_tells_its_share_and_what_is_left() -> None:
    told: list[str] = []
    notes = PacedNotes(told.append, "plain", every=0.0)
    notes.search(SearchProgress(done=5, total=4000, seconds=1.0, seconds_left=math.nan))
    notes.search(SearchProgress(done=1000, total=4000, seconds=30.0, seconds_left=3690.0))
    assert told == [
        "plain: 5 of 4,000 subsets (0.1%), time left unknown",
        "plain: 1,000 of 4,000 subsets (25.0%), about 1:01:30 left",
    ]
    assert clock(math.nan) == "?"


def test_training_and_evaluation_tell_how_far_they_are(
    table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_once(self: PacedNotes, text: str) -> None:
        self.note(f"{self.name}: {text}")

    monkeypatch.setattr(PacedNotes, "_tell", at_once)
    told: list[str] = []
    models = train(table, max_features=1, n_estimators=3, nested=True, note=told.append)
    assert any(line.startswith("classifier: ") and "subsets" in line for line in told)
    assert told[-1].startswith(f"classifier, choice inside the folds: {len(table)} of {len(table)}")
    assert models.fitted().classifier.progress is None
    told.clear()
    grouped = table.assign(family=list("ab") * (len(table) // 2))
    evaluate(
        grouped, max_features=1, n_estimators=3, n_permutations=2, groups="family", note=told.append
    )
    parts = {line.split(": ")[0] for line in told if ": " in line}
    assert parts == {f"classifier, {one}" for one in ("plain", "nested", "grouped", "scrambled")}
