"""What one version of the models has that the one before had not."""

from __future__ import annotations

from sse_flows.report import render_model
from sse_flows.report.changes_view import MOST, changes_view
from sse_flows.screening.versions import ModelChanges, ModelVersion, RankMove, ScoreChange

EVIL = "<script>alert(1)</script>"


def version(**more: object) -> ModelVersion:
    nothing = {"added": [], "removed": [], "changed": {}, "pool_added": [], "pool_removed": []}
    nothing |= {"descriptors_in": {"classifier": []}, "descriptors_out": {}, "scores": []}
    nothing |= {"entered": {}, "left": {}, "moves": [], "settings": {}, "software": {}}
    return ModelVersion(
        name="models",
        version=3,
        models_job="m",
        screening_job="s",
        previous_job="p",
        data_hash="0",
        training={"a": "0"},
        settings={},
        n_superionic=1,
        classifier_features=[],
        regressor_features=[],
        scores=[],
        n_ranked=1,
        n_pool=1,
        superionic={},
        software={},
        changes=ModelChanges(previous=2, **(nothing | more)),
    )


def test_only_what_changed_is_listed():
    view = changes_view(
        version(
            added=["li3n"],
            descriptors_in={"classifier": ["band_gap"], "regressor": []},
            entered={"mp-1": "Li2S"},
            settings={"n_estimators": [100, None]},
        )
    )
    assert {row.label: row.value for row in view.rows} == {
        "training compounds added": "li3n",
        "descriptors into the classifier": "band gap",
        "newly superionic": "Li2S (mp-1)",
        "settings": "n_estimators: 100 → –",
    }
    assert view.scores is None


def test_long_lists_are_counted():
    (row,) = changes_view(version(pool_added=[f"mp-{i}" for i in range(MOST + 5)])).rows
    assert row.value.endswith(" and 5 more")


def test_scores_and_moves_stand_before_and_after():
    score = ScoreChange(
        model="regressor", score="rmse", selection="inside the folds", before=None, after=2.5
    )
    move = RankMove(
        compound_id="x",
        formula="",
        before=9,
        after=2,
        probability_before=0.2,
        probability_after=0.8,
    )
    view = changes_view(version(scores=[score], moves=[move]))
    assert view.scores.rows == [["regressor: RMSE (decades)", "inside folds", "–", "2.500"]]
    assert (view.moves[0].formula, view.moves[0].probabilities) == ("x", "0.20 → 0.80")


def test_a_first_version_has_no_section(models):
    first = version().model_copy(update={"changes": None})
    assert changes_view(first) is None
    assert changes_view(None) is None
    made = render_model(models, "x", first)
    assert 'id="changes"' not in made
    assert "3 of models" in made


def test_the_page_says_what_changed_and_escapes_it(models):
    made = render_model(models, "x", version(added=[EVIL], entered={EVIL: EVIL}))
    assert "What changed since version 2" in made
    assert 'href="#changes"' in made
    assert EVIL not in made


def test_no_change_is_said(models):
    assert "Nothing but perhaps the scores." in render_model(models, "x", version())
