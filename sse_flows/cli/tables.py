"""All tables that the command line prints."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from typing import TYPE_CHECKING

from sse_flows.moments import local

if TYPE_CHECKING:
    import pandas as pd

    from sse_flows.campaign.status import Status
    from sse_flows.campaign.versions import Stored
    from sse_flows.models.evaluate import Evaluation, ModelEvaluation
    from sse_flows.models.subset_document import SubsetResult
    from sse_flows.models.unseen import UnseenEvaluation
    from sse_flows.screening.document import ScreeningResult
    from sse_flows.screening.versions import ModelChanges, ModelVersion

_SHOWN = (
    "formula",
    "conductivity",
    "phonon_band_center_mobile",
    "phonon_band_center_total",
    "low_energy_ratio_mobile",
    "vibrational_entropy",
    "soft_mode_flag",
    "rank",
    "probability",
    "log10_conductivity_predicted",
)

_TRAINED = (
    "log10_conductivity",
    "log10_conductivity_low",
    "log10_conductivity_high",
    "prediction_set",
    "outside_domain",
    "in_training",
)

_RANKED_BY = (
    "formula_units",
    "low_energy_ratio_mobile",
    "low_energy_ratio_hybrid",
    "vibrational_entropy",
)


def status_table(status: Status) -> str:
    """Compounds x stages, then what failed and why, then a line of sums."""
    stages = next(iter(status.stages.values()), {})
    rows = [["compound", *stages]]
    rows += [[compound, *row.values()] for compound, row in status.stages.items()]
    lines = [aligned(rows)] if status.stages else []
    lines += [f"{stage}: {state}" for stage, state in status.tail.items()]
    for problem in status.problems:
        mend = f" -> {problem.mend}" if problem.mend else ""
        lines.append(f"failed: {problem.compound} ({problem.stage}): {problem.reason}{mend}")
    sums = [
        f"{stage} {states.get('done', 0)}/{sum(states.values())}"
        for stage, states in status.counts().items()
    ]
    state = "running" if status.running else "complete" if status.complete else "not running"
    lines.append("; ".join([state, *sums]))
    return "\n".join(lines)


def results_table(table: pd.DataFrame) -> str:
    """The main columns; csv, json and parquet hold them all."""
    columns = [name for name in _SHOWN if name in table.columns]
    short = {name: name.replace("phonon_", "").replace("vibrational_", "") for name in columns}
    rows = [["compound", *short.values()]]
    for name, values in table[columns].iterrows():
        rows.append([str(name), *(_cell(value) for value in values)])
    text = aligned(rows)
    widest = max(len(line) for line in text.splitlines())
    if widest > shutil.get_terminal_size((200, 24)).columns:
        text += "\n(wider than this terminal: --format csv --output FILE holds every column)"
    return text


def evaluation_table(found: Evaluation) -> str:
    """Scores of every model in every way, then what they were measured on."""
    rows = [["model", "score", "plain", "nested", "grouped", "scrambled", "naive"]]
    rows += _score_rows("classifier", found.classifier, ("accuracy", "f1", "log_loss"))
    if found.scrambled is not None:
        rows[1][5] = f"{found.scrambled.median:.3f}"
    rows += _score_rows("forest", found.regressor, ("rmse", "mae", "r2"))
    if found.elimination is not None:
        rows += _score_rows("elimination", found.elimination, ("rmse", "mae", "r2"))
    lines = [aligned(rows), ""]
    lines.append(
        f"{found.n_rows} compounds, {found.n_superionic} above {found.threshold:g} S/cm, "
        f"{len(found.ignored)} left out; RMSE and MAE in log10(S/cm), log loss in nats"
    )
    lines.append(f"classifier: {', '.join(found.classifier.features)}")
    lines += _size_lines(found)
    if found.elimination is not None:
        lines.append(f"elimination: {', '.join(found.elimination.features)}{_nesting(found)}")
    if found.classifier.grouped is not None:
        lines.append(f"{len(found.classifier.grouped.groups)} groups")
    if found.scrambled is not None:
        lines.append(
            f"scrambled {len(found.scrambled.scrambled)} times: the 95th percentile of the best "
            f"accuracy is {found.scrambled.quantile_95:.3f}; p = {found.scrambled.p_value:.3g}"
        )
    lines.append("; ".join(f"{part} {seconds:.0f} s" for part, seconds in found.seconds.items()))
    return "\n".join(lines)


def _size_lines(found: Evaluation) -> list[str]:
    """Best subset of every size, without the choice inside the folds."""
    rows = [
        ["", "size", "accuracy", "F1", "log loss", "ties", "best of its size, chosen on all rows"]
    ]
    for size in found.sizes:
        scores = (size.accuracy, size.f1, size.log_loss)
        cells = [f"{value:.3f}" for value in scores]
        names = _cut(" ".join(size.features))
        rows.append(
            ["*" if size.chosen else "", str(size.n_features), *cells, f"{size.n_tied:,}", names]
        )
    return ["", aligned(rows), ""]


def _cut(names: str) -> str:
    return names if len(names) <= 72 else names[:69] + "..."


def _nesting(found: Evaluation) -> str:
    """How the elimination was cross-validated."""
    how = found.elimination and found.elimination.nested_settings
    if not how:
        return ""
    return (
        f"; nested in {how.n_splits} folds with {how.n_estimators} trees, {how.ranking_trees} to "
        f"rank by, {how.n_confirm} confirmed"
    )


def versions_table(found: list[Stored]) -> str:
    """Versions of models, one a line."""
    if not found:
        return "no versions of models; make one with `sse retrain`"
    rows = [
        ["name", "version", "made", "compounds", "classifier", "superionic", "accuracy", "RMSE"]
    ]
    for one in found:
        version = one.version
        honest = {(s.model, s.score): s for s in version.scores}  # the last is the nested one
        rows.append(
            [
                version.name,
                str(version.version),
                _minute(one.completed_at),
                str(version.n_training),
                " ".join(version.classifier_features),
                f"{len(version.superionic)} of {version.n_ranked}",
                f"{honest['classifier', 'accuracy'].value:.3f}",
                f"{honest['regressor', 'rmse'].value:.3f}",
            ]
        )
    return aligned(rows) + "\n(accuracy and RMSE nested where the version has them so)"


def version_table(version: ModelVersion, made: str, *, is_new: bool = True) -> str:
    """One version: its scores, and what changed since the one before."""
    lines = [
        f"{version.name}, version {version.version}, made {_minute(made)}: {version.n_training} "
        f"training compounds, {version.n_superionic} superionic; {len(version.superionic)} of "
        f"{version.n_ranked} ranked compounds are predicted superionic"
    ]
    if not is_new:
        lines.insert(0, "nothing has changed since the latest version: nothing was computed")
    lines.append(f"classifier: {', '.join(version.classifier_features)}")
    rows = [["model", "score", "descriptors chosen"]]
    changes = version.changes
    if changes is None:
        rows[0].append("value")
        rows += [
            [one.model, _name(one.score), one.selection, f"{one.value:.3f}"]
            for one in version.scores
        ]
        return "\n".join([*lines, "", aligned(rows)])
    rows[0] += ["before", "after"]
    rows += [
        [s.model, _name(s.score), s.selection, _score(s.before), _score(s.after)]
        for s in changes.scores
    ]
    return "\n".join([*lines, "", aligned(rows), "", *_change_lines(changes)])


def _minute(when: str) -> str:
    """A date and time of ISO 8601 for people, in the zone of this machine."""
    return local(when)[:16].replace("T", " ")


def _change_lines(changes: ModelChanges) -> list[str]:
    """What changed, a line each; nothing of what did not."""
    told = [
        ("training compounds added", changes.added),
        ("training compounds removed", changes.removed),
        ("training compounds changed", [f"{k} ({v})" for k, v in changes.changed.items()]),
        ("pool compounds added", changes.pool_added),
        ("pool compounds removed", changes.pool_removed),
        *((f"descriptors into the {k}", v) for k, v in changes.descriptors_in.items()),
        *((f"descriptors out of the {k}", v) for k, v in changes.descriptors_out.items()),
        ("newly superionic", [f"{k} {v}" for k, v in changes.entered.items()]),
        ("no longer superionic", [f"{k} {v}" for k, v in changes.left.items()]),
        (
            "largest moves",
            [f"{m.compound_id} {m.formula} {m.before} to {m.after}" for m in changes.moves],
        ),
        ("settings", [f"{k} {a} to {b}" for k, (a, b) in changes.settings.items()]),
        ("software", [f"{k} {a} to {b}" for k, (a, b) in changes.software.items()]),
    ]
    lines = [f"{what}: {_some(names)}" for what, names in told if names]
    return [f"against version {changes.previous}:", *(lines or ["no difference"])]


def _some(names: list[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def unseen_table(found: UnseenEvaluation) -> str:
    """A saved model beside the naive guess on compounds that it never saw."""
    rows = [["score", "model", "naive"]]
    for scores, naive, names in (
        (found.classification, found.naive_classification, ("accuracy", "f1", "log_loss")),
        (found.regression, found.naive_regression, ("rmse", "mae", "r2")),
    ):
        rows += [[_name(n), f"{getattr(scores, n):.3f}", f"{getattr(naive, n):.3f}"] for n in names]
    outside = ", ".join(f"{count} of the {name}" for name, count in found.outside_domain.items())
    return "\n".join(
        [
            aligned(rows),
            "",
            f"{found.n_rows} compounds that the model never saw; {len(found.seen)} that it was "
            f"trained on and {len(found.ignored)} without a value left out",
            f"at level {found.level:g}: {found.interval_coverage:.0%} inside their interval, "
            f"{found.set_coverage:.0%} in their set, {found.undecided:.0%} undecided",
            f"outside the applicability domain: {outside}",
        ]
    )


def _score_rows(name: str, model: ModelEvaluation, scores: tuple[str, ...]) -> list[list[str]]:
    grouped = None if model.grouped is None else model.grouped.scores
    ways = (model.plain, model.nested, grouped, None, model.naive)
    return [
        [name, _name(one), *("-" if way is None else f"{getattr(way, one):.3f}" for way in ways)]
        for one in scores
    ]


def _name(score: str) -> str:
    """A score as people write it."""
    short = {"f1": "F1", "rmse": "RMSE", "mae": "MAE", "r2": "R2"}
    return short.get(score, score.replace("_", " "))


def screening_table(table: pd.DataFrame) -> str:
    """Ranked compounds with what they are ranked by; csv and json hold all."""
    trained = "prediction_set" in table.columns
    more = _TRAINED if trained else (*_RANKED_BY, "soft_mode_flag")
    columns = ["rank", "formula", "probability", "superionic", *more]
    short = [name.replace("low_energy_", "").replace("vibrational_", "") for name in columns]
    short = [
        name.replace("log10_conductivity", "log10").replace("prediction_", "") for name in short
    ]
    rows = [["material_id", *short, "flags"]]
    for name, values in table.iterrows():
        flags = str(values["flags"])
        cells = [_cell(values[column]) for column in columns]
        rows.append([str(name), *cells, flags if len(flags) <= 60 else flags[:57] + "..."])
    return aligned(rows)


def screening_summary(result: ScreeningResult) -> str:
    """How many there were, passed and are superionic, and what the others failed."""
    reasons = Counter(_kind(reason) for one in result.filtered_out for reason in one.reasons)
    superionic = sum(row.superionic for row in result.rows)
    total = len(result.rows) + len(result.filtered_out)
    failed = "; ".join(f"{reason}: {count}" for reason, count in reasons.most_common())
    text = f"{total} compounds, {len(result.rows)} pass the filters, {superionic} superionic"
    return f"{text}\nleft out: {failed}" if failed else text


def _kind(reason: str) -> str:
    """A reason without its numbers: what it has in common with others."""
    return re.sub(r" -?[\d.]+(e[-+]?\d+)?( eV(/atom)?)? is (above|below)", r" is \4", reason)


def subsets_table(result: SubsetResult) -> str:
    """Best subset of every size, then the chosen one and what was searched."""
    score = _name(result.settings.scoring)
    rows = [["", "size", score, "sklearn", "newton", "training", "ties", "features"]]
    for size in result.sizes:
        scores = (size.score, size.score_sklearn, size.score_sklearn_newton, size.train_score)
        cells = ["-" if value is None else f"{value:.3f}" for value in scores]
        mark, names = "*" if size.chosen else "", _cut(" ".join(size.features))
        rows.append([mark, str(size.n_features), *cells, f"{size.n_tied:,}", names])
    dropped = "; ".join(f"{name} ({reason})" for name, reason in result.dropped.items())
    return "\n".join(
        [
            aligned(rows),
            "",
            f"{result.n_positive} of {result.n_rows} rows are {result.classes[1]}; best by "
            f"leave-one-out of {result.n_subsets:,} subsets of {len(result.columns)} columns",
            f"chosen: {' '.join(result.features)}",
            *([f"columns left out: {dropped}"] if dropped else []),
            "sklearn, newton: the same subset by scikit-learn's default solver and by "
            "newton-cholesky; training: on the rows fitted to",
            f"kernel {result.kernel}, {result.cpu_seconds:.1f} CPU s; "
            f"{'every bound is proven' if result.certified else 'proven bounds: --certify'}",
            "The best of so many is optimistic: a new row may expect the nested score.",
        ]
    )


def aligned(rows: list[list[str]]) -> str:
    """Rows as text with columns of equal width."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        if value != value:  # noqa: PLR0124 - NaN
            return "-"
        return f"{value:.2e}" if value and abs(value) < 1e-2 else f"{value:.4g}"
    return "-" if value is None else str(value)
