"""Leave-one-out scores of every subset of up to so many descriptors, plain and nested.

Imputation and scaling are fitted inside each fold, so a score here is the one that scikit-learn's
``cross_val_predict`` gives for the whole pipeline. Nothing is approximated: each of the n folds
(nested: each of the n (n - 1) / 2 pairs of rows) is refitted for every subset, started from the fit
to all rows, which is a few Newton steps away.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from sse_flows.models.newton import Floats, Integers, fit_subsets, margins

BATCH = 1024
"""Subsets fitted together: long enough for NumPy, short enough for the processor's cache."""
TIE_DIGITS = 7
"""Log losses that agree to so many digits are equal: duplicate columns differ by rounding only."""


def preprocessing() -> Pipeline:
    """Median imputation, then standardisation; a column missing in all of a fold becomes zero."""
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    return make_pipeline(imputer, StandardScaler())


@dataclass
class Fold:
    """Rows of one training set, imputed and standardised, with the rows held out of it."""

    design: Floats
    target: Floats
    held_out: Floats
    mean: Floats
    scale: Floats

    @classmethod
    def without(cls, values: Floats, target: Floats, rows: list[int]) -> Fold:
        """Fold that leaves `rows` out of `values`, shape (n_rows, n_columns)."""
        kept = np.delete(values, rows, axis=0)
        pipeline = preprocessing()
        design = pipeline.fit_transform(kept)
        held_out = pipeline.transform(values[rows]) if rows else values[:0]
        scaler = pipeline[-1]
        return cls(design, np.delete(target, rows), held_out, scaler.mean_, scaler.scale_)

    def fit(self, subsets: Integers, C: float, raw_start: Floats | None = None) -> Floats:
        """Coefficients on this fold's scale, started from others on the raw scale."""
        start = None
        if raw_start is not None:
            start = raw_start.copy()
            start[0] += np.einsum("km,km->m", raw_start[1:], self.mean[subsets])
            start[1:] *= self.scale[subsets]
        return fit_subsets(self.design, self.target, subsets, C, start)

    def raw(self, coef: Floats, subsets: Integers) -> Floats:
        """Coefficients of the unscaled descriptors, by which folds can start each other."""
        result = coef.copy()
        result[1:] /= self.scale[subsets]
        result[0] -= np.einsum("km,km->m", result[1:], self.mean[subsets])
        return result


@dataclass
class SubsetScores:
    """Leave-one-out scores of subsets of one size, in the order in which they were enumerated.

    `subsets` has shape (size, n_subsets); `errors`, `f1` and `log_loss` end in n_subsets.
    """

    subsets: Integers
    errors: NDArray[np.int64]
    f1: Floats
    log_loss: Floats

    def best(self, allowed: NDArray[np.bool_] | None = None) -> int | None:
        """Position of the winner: fewest errors, then F1, then log loss, then the first."""
        usable = np.arange(self.subsets.shape[1])
        if allowed is not None:
            usable = usable[allowed[self.subsets].all(axis=0)]
        if usable.size == 0:
            return None
        loss = np.round(self.log_loss[usable], TIE_DIGITS)
        return int(usable[np.lexsort((usable, loss, -self.f1[usable], self.errors[usable]))[0]])

    def key(self, position: int) -> tuple[int, float, float, int]:
        """Sorting key of one subset, smallest best; fewer features break the last tie."""
        loss = round(float(self.log_loss[position]), TIE_DIGITS)
        return int(self.errors[position]), -float(self.f1[position]), loss, len(self.subsets)


def search(values: Floats, target: Floats, max_features: int, C: float) -> list[SubsetScores]:
    """Leave-one-out scores of every subset of 1 to `max_features` columns.

    Parameters
    ----------
    values
        Raw descriptors, shape (n_rows, n_columns), NaN where missing.
    target
        0 or 1, shape (n_rows,).

    Returns
    -------
    One `SubsetScores` a size, arrays of shape (n_subsets,).
    """
    full = Fold.without(values, target, [])
    folds = [Fold.without(values, target, [i]) for i in range(len(target))]

    def batch_margins(subsets: Integers) -> Floats:
        start = full.raw(full.fit(subsets, C), subsets)
        return np.array(
            [margins(fold.fit(subsets, C, start), fold.held_out[0], subsets) for fold in folds]
        )

    return [
        _scored(batches, [_score(batch_margins(batch), target) for batch in batches])
        for batches in _all_batches(values.shape[1], max_features)
    ]


def nested_search(
    values: Floats, target: Floats, max_features: int, C: float
) -> list[list[SubsetScores]]:
    """The same search inside every fold of an outer leave-one-out.

    Row i left out and row j left out of the rest is the same fit as j left out and then i: each
    pair is fitted once and serves both, which halves the work.

    Returns
    -------
    For every outer row the scores of `search` on the other rows.
    """
    pairs = _PairFolds(values, target, C)
    by_size = []
    for batches in _all_batches(values.shape[1], max_features):
        scored = [pairs.scores(batch) for batch in batches]
        by_size.append([_scored(batches, list(rows)) for rows in zip(*scored, strict=True)])
    return [list(sizes) for sizes in zip(*by_size, strict=True)]


class _PairFolds:
    """The folds that leave none, one or two rows out."""

    def __init__(self, values: Floats, target: Floats, C: float):
        rows = range(len(target))
        self.target, self.C = target, C
        self.full = Fold.without(values, target, [])
        self.singles = [Fold.without(values, target, [i]) for i in rows]
        self.pairs = {
            (i, j): Fold.without(values, target, [i, j]) for i, j in combinations(rows, 2)
        }

    def scores(self, subsets: Integers) -> list[tuple[NDArray[np.int64], Floats, Floats]]:
        """Scores of the subsets for every outer row."""
        held = self._margins(subsets)
        rows = np.arange(len(self.target))
        return [_score(held[i, rows != i], self.target[rows != i]) for i in rows]

    def _margins(self, subsets: Integers) -> Floats:
        """Margin of row j when i and j are left out, shape (n_rows, n_rows, n_subsets)."""
        full = self.full.raw(self.full.fit(subsets, self.C), subsets)
        singles = [fold.raw(fold.fit(subsets, self.C, full), subsets) for fold in self.singles]
        held = np.zeros((len(singles), len(singles), subsets.shape[1]))
        for (i, j), fold in self.pairs.items():
            # the effects of two rows nearly add, so this is a step or two from the answer
            coef = fold.fit(subsets, self.C, singles[i] + singles[j] - full)
            held[j, i] = margins(coef, fold.held_out[0], subsets)
            held[i, j] = margins(coef, fold.held_out[1], subsets)
        return held


def _all_batches(n_columns: int, max_features: int) -> Iterator[list[Integers]]:
    """Subsets in lexicographic order, one list of batches a size; arrays (size, n_subsets)."""
    for size in range(1, min(max_features, n_columns) + 1):
        subsets = np.array(list(combinations(range(n_columns), size)), dtype=np.intp).T
        yield np.array_split(subsets, -(-subsets.shape[1] // BATCH), axis=1)


def _score(held: Floats, target: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Errors, F1 and log loss of margins of shape (n_rows, n_subsets), each (n_subsets,)."""
    truth = target[:, None] > 0.5
    positive = held > 0  # as scikit-learn: a margin of exactly zero is the first class
    errors = (positive != truth).sum(axis=0)
    hits = (positive & truth).sum(axis=0)
    f1 = 2 * hits / np.maximum(2 * hits + errors, 1)
    log_loss = np.logaddexp(0.0, np.where(truth, -held, held)).mean(axis=0)
    return errors, f1, log_loss


def _scored(
    batches: list[Integers], scores: list[tuple[NDArray[np.int64], Floats, Floats]]
) -> SubsetScores:
    errors, f1, log_loss = (np.concatenate(part) for part in zip(*scores, strict=True))
    return SubsetScores(np.concatenate(batches, axis=1), errors, f1, log_loss)
