"""Documents of a best-subset search: the table it is of, one part of it, and the result.

A part carries its table, so that parts from different machines become one result without it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sse_flows.models.best_subset import BestSubsetClassifier


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SubsetTable(_Document):
    """Rows of a table as a best-subset search needs them."""

    target: str = Field(description="What is to be told apart")
    classes: tuple[str, str] = Field(description="Names of the negative and the positive class")
    ids: list[str] = Field(description="Id of every row")
    positive: list[bool] = Field(description="Whether each row is of the positive class")
    features: list[str] = Field(description="Columns, in the units of the table")
    values: list[list[float | None]] = Field(
        description="Shape (rows, columns); None where missing", repr=False
    )

    def arrays(self) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Values, shape (n_rows, n_columns), NaN where missing, and target, shape (n_rows,)."""
        import numpy as np

        return np.array(self.values, dtype=float), np.array(self.positive, dtype=bool)


class SubsetSettings(_Document):
    """What decides the answer of a search; the fields are parameters of `BestSubsetClassifier`."""

    max_features: int | None = Field(None, ge=1, description="Largest subset; None: all sizes")
    C: float = Field(1.0, gt=0, description="Inverse strength of the L2 penalty")
    standardize: bool = Field(True, description="Whether standardised columns are penalised")
    scoring: Literal["accuracy", "f1", "log_loss"] = Field(
        "accuracy", description="Leave-one-out score that is best"
    )
    certify: bool = Field(False, description="Whether every bound is proven")
    tie_cap: int = Field(1000, ge=1, description="Subsets kept of those that tie, per size")
    missing: Literal["refuse", "median"] = Field("refuse", description="What is done with gaps")

    def classifier(self, **runtime: Any) -> BestSubsetClassifier:
        """The classifier of these settings; `runtime` are parameters that change no answer."""
        from sse_flows.models.best_subset import BestSubsetClassifier

        return BestSubsetClassifier(**self.model_dump(), **runtime)


class SubsetPart(_Document):
    """One part of a search."""

    kind: Literal["part of a best-subset search"] = "part of a best-subset search"
    table: SubsetTable = Field(description="Rows searched")
    settings: SubsetSettings = Field(description="Settings of the whole search")
    part: int = Field(ge=0, description="Number of this part, from 0")
    n_parts: int = Field(ge=1, description="Number of parts")
    search: dict[str, Any] = Field(description="What was found, `SubsetSearch.to_dict`", repr=False)


class SubsetSize(_Document):
    """Best subset of one size."""

    n_features: int = Field(description="Number of columns")
    features: list[str] = Field(description="The best subset; of those that tie, by the rule")
    score: float = Field(description="Best leave-one-out score of this size")
    accuracy: float = Field(description="Leave-one-out accuracy of the subset")
    f1: float = Field(description="Leave-one-out F1 of the positive class")
    log_loss: float = Field(description="Leave-one-out log loss, nats")
    train_score: float = Field(description="Score on the rows it was fitted to")
    score_sklearn: float | None = Field(
        description="Score by scikit-learn's LogisticRegression with its default solver"
    )
    score_sklearn_newton: float | None = Field(description="The same with newton-cholesky")
    n_tied: int = Field(description="Subsets of this size with this score")
    n_subsets: int = Field(description="Subsets of this size")
    chosen: bool = Field(description="Whether this is the answer")
    tied: list[list[str]] = Field(description="Subsets that tie, to `tie_cap`", repr=False)


class SubsetResult(_Document):
    """The best subsets of a table and the model of one of them."""

    kind: Literal["best subsets"] = "best subsets"
    target: str = Field(description="What is told apart")
    classes: tuple[str, str] = Field(description="Names of the negative and the positive class")
    n_rows: int = Field(description="Rows")
    n_positive: int = Field(description="Rows of the positive class")
    columns: list[str] = Field(description="Columns of which all subsets were tried")
    dropped: dict[str, str] = Field(description="Columns that could not be used, with the reason")
    settings: SubsetSettings = Field(description="Settings of the search")
    sizes: list[SubsetSize] = Field(description="Best subset of every size")
    features: list[str] = Field(description="The chosen subset")
    raw_coefficients: dict[str, float] = Field(description="Log odds per unit of each column")
    raw_intercept: float = Field(description="Log odds with every column zero")
    coefficients: dict[str, float] = Field(description="Log odds on the scale that was penalised")
    intercept: float = Field(description="Intercept on that scale")
    loo_probabilities: dict[str, float] = Field(
        description="Leave-one-out probability of the positive class by row; subset chosen on all"
    )
    certified: bool = Field(description="Whether every bound was proven")
    kernel: str = Field(description="Implementation that searched")
    n_subsets: int = Field(description="Subsets searched")
    cpu_seconds: float = Field(description="Of the search, s")


def search_part(
    table: SubsetTable, settings: SubsetSettings, part: tuple[int, int] = (0, 1), **runtime: Any
) -> SubsetPart:
    """Search part `i` of `n`, from 0.

    Parameters
    ----------
    table, settings
        The question.
    part
        Number of the part and of parts.
    runtime
        `kernel`, `n_jobs`, `checkpoint`, `progress` or `allow_large` of `BestSubsetClassifier`.

    Raises
    ------
    SSEError
        As `BestSubsetClassifier.fit`.
    """
    if not 0 <= part[0] < part[1]:
        raise SSEError(f"part {part[0]} of {part[1]} does not exist", mend="Count parts from 0")
    found = settings.classifier(**runtime).search_part(_frame(table), table.positive, part)
    return SubsetPart(
        table=table, settings=settings, part=part[0], n_parts=part[1], search=found.to_dict()
    )


def conclude(
    parts: Sequence[SubsetPart], *, rescore: bool = True, allow_large: bool = True
) -> SubsetResult:
    """Merge all parts of a search and choose.

    Raises
    ------
    SSEError
        If parts are missing or belong to different searches.
    """
    from sse_flows.models.subset_search import SubsetSearch, merge_searches

    first = _checked(parts)
    search = merge_searches([SubsetSearch.from_dict(one.search) for one in parts])
    model = first.settings.classifier(rescore=rescore, allow_large=allow_large)
    model.fit_search(_frame(first.table), first.table.positive, search)
    return _result(model, first.table, first.settings)


def _checked(parts: Sequence[SubsetPart]) -> SubsetPart:
    """The first part, if all of one search are there."""
    if not parts:
        raise SSEError("there is no part to merge", mend="Name the files of all parts")
    first = parts[0]
    for one in parts[1:]:
        if (one.settings, one.table, one.n_parts) != (first.settings, first.table, first.n_parts):
            raise SSEError(
                f"parts {first.part} and {one.part} are of different tables, settings or divisions",
                mend="Give all parts of one search and no others",
            )
    absent = sorted(set(range(first.n_parts)) - {one.part for one in parts})
    if absent:
        raise SSEError(
            f"of {first.n_parts} parts {', '.join(map(str, absent))} "
            f"{'is' if len(absent) == 1 else 'are'} missing (counted from 0)",
            mend="Run them and give all",
        )
    return first


def _frame(table: SubsetTable) -> Any:
    import pandas as pd

    return pd.DataFrame(table.arrays()[0], columns=table.features)


def _result(
    model: BestSubsetClassifier, table: SubsetTable, settings: SubsetSettings
) -> SubsetResult:
    names, search = list(model.features_), model.search_
    return SubsetResult(
        target=table.target,
        classes=table.classes,
        n_rows=len(table.ids),
        n_positive=sum(table.positive),
        columns=[name for name in table.features if name not in model.dropped_],
        dropped=model.dropped_,
        settings=settings,
        sizes=_sizes(model),
        features=names,
        raw_coefficients=dict(zip(names, model.raw_coef_[0].tolist(), strict=True)),
        raw_intercept=float(model.raw_intercept_[0]),
        coefficients=dict(zip(names, model.coef_[0].tolist(), strict=True)),
        intercept=float(model.intercept_[0]),
        loo_probabilities=dict(zip(table.ids, model.loo_probabilities_.tolist(), strict=True)),
        certified=model.certified_,
        kernel=search.kernel,
        n_subsets=search.n_subsets,
        cpu_seconds=search.cpu_seconds,
    )


def _sizes(model: BestSubsetClassifier) -> list[SubsetSize]:
    rows: list[dict[str, Any]] = model.cv_results_.to_dict("records")  # type: ignore[assignment]
    return [
        SubsetSize(
            **{key: None if _is_nan(value) else value for key, value in row.items()},
            tied=[list(names) for names in model.ties(row["n_features"])],
        )
        for row in rows
    ]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
