"""The total phonon band centre of crystals that nobody has computed the phonons of.

R. Jaafreh et al., Int. J. Energy Res. 2024, 2138847, learned it from composition and structure to
find Li conductors: a low centre means soft bonds and, they found, fast ions. Here the centre of
each element is learned and the total is their mean over the atoms, see `band_center_rows`. How this
and other choices fared is in docs/band_center.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.data import chemical_symbols
from sklearn.base import clone
from sklearn.model_selection import GroupKFold

from sse_flows.descriptors.crystal.rows import Progress
from sse_flows.errors import SSEError
from sse_flows.models.band_center_data import TrainingCompound
from sse_flows.models.band_center_elements import ElementBandCenters, split_totals
from sse_flows.models.band_center_rows import N_ELEMENT, ElementRows, element_rows
from sse_flows.models.columns import Floats
from sse_flows.models.domain import ApplicabilityDomain
from sse_flows.models.uncertainty import LEVEL, conformal_quantile

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 20
"""Compounds below which nothing is learned."""
DOMAIN_ROWS = 2500
"""Rows that the applicability domain remembers at most."""


@dataclass
class TrainingSet:
    """Crystals as rows with what is to be learned.

    Attributes
    ----------
    rows
        Of the crystals.
    totals
        Band centre of each crystal, meV, shape (crystals,).
    elements
        Band centre of each row's element, meV, NaN where unknown, shape (rows,).
    """

    rows: ElementRows
    totals: Floats
    elements: Floats

    def take(self, crystals: Any) -> TrainingSet:
        """Part of it, by a mask over the crystals."""
        mask = np.asarray(crystals, dtype=bool)
        return TrainingSet(
            self.rows.take(mask), self.totals[mask], self.elements[mask[self.rows.owners]]
        )


def training_set(
    compounds: Sequence[TrainingCompound], *, n_jobs: int = 1, progress: Progress | None = None
) -> tuple[TrainingSet, dict[str, SSEError]]:
    """Rows of compounds, and what went wrong with those that have none.

    Parameters
    ----------
    compounds
        With distinct ids, see `merge_training`.
    n_jobs, progress
        As `feature_rows`.
    """
    by_id = {one.compound_id: one for one in compounds}
    crystals = {name: one.crystal for name, one in by_id.items()}
    rows, failures = element_rows(crystals, n_jobs=n_jobs, progress=progress)
    known = [by_id[name].element_centers or {} for name in rows.ids]
    elements = [
        known[owner].get(chemical_symbols[number], np.nan)
        for owner, number in zip(rows.owners, rows.numbers, strict=True)
    ]
    totals = np.array([by_id[name].center for name in rows.ids])
    return TrainingSet(rows, totals, np.array(elements, dtype=float)), failures


class BandCenterModel:
    """Total phonon band centres from crystals, with intervals and a domain.

    Parameters
    ----------
    estimator
        Regressor of the band centres of elements; by default `ElementBandCenters`.
    n_folds
        Of the cross-validation by composition that calibrates the intervals.

    Attributes
    ----------
    estimator_ : ElementBandCenters
        Fitted to all rows.
    domain_ : ApplicabilityDomain
        Of the rows.
    out_of_fold_ : ndarray of shape (crystals,)
        Band centre of each training compound by a model without its composition, meV.
    scores_ : ndarray of shape (crystals,)
        Nonconformity of the training compounds: the logarithm of measured over out-of-fold, over
        the difficulty.
    floor_ : float
        Smallest difficulty.
    """

    def __init__(self, estimator: ElementBandCenters | None = None, n_folds: int = 5):
        self.estimator = estimator
        self.n_folds = n_folds

    def fit(
        self,
        crystals: Sequence[Any],
        centers: Sequence[float],
        element_centers: Sequence[Mapping[str, float] | None] | None = None,
        *,
        n_jobs: int = 1,
    ) -> BandCenterModel:
        """Learn from crystals.

        Parameters
        ----------
        crystals
            pymatgen Structures or (lattice, species, fractional coordinates).
        centers
            Total phonon band centres, meV.
        element_centers
            Those of the projected DOS by element symbol, meV, where known: they teach far more.
        n_jobs
            Processes that compute the features.

        Raises
        ------
        SSEError
            If a crystal cannot be used or there are too few.
        """
        from sse_flows.descriptors.crystal.arrays import read_crystal

        known = element_centers if element_centers is not None else [None] * len(crystals)
        compounds = [
            TrainingCompound(
                str(k), read_crystal(crystal), float(center), dict(own) if own else None
            )
            for k, (crystal, center, own) in enumerate(zip(crystals, centers, known, strict=True))
        ]
        data, failures = training_set(compounds, n_jobs=n_jobs)
        for failure in failures.values():
            raise failure
        return self.fit_set(data)

    def fit_set(self, data: TrainingSet) -> BandCenterModel:
        """Learn from rows.

        Raises
        ------
        SSEError
            If there are too few compounds or a band centre is not a positive number.
        """
        _check_set(data)
        self.out_of_fold_, difficulty = self._out_of_fold(data)
        self.floor_ = max(float(np.median(difficulty)), 1e-6)
        residuals = np.abs(np.log(data.totals / self.out_of_fold_))
        self.scores_ = residuals / self._difficulty(difficulty)
        self.estimator_ = self._fitted(data)
        drawn = np.random.default_rng(0).permutation(len(data.rows.owners))[:DOMAIN_ROWS]
        self.domain_ = ApplicabilityDomain().fit(data.rows.features[drawn, 1:N_ELEMENT])
        return self

    def predict(self, crystals: Sequence[Any], *, n_jobs: int = 1) -> Floats:
        """Total band centre of each crystal, meV, shape (crystals,).

        Raises
        ------
        SSEError
            The first error of a crystal; `predict_table` goes on.
        """
        named = {str(k): crystal for k, crystal in enumerate(crystals)}
        rows, failures = element_rows(named, n_jobs=n_jobs)
        for failure in failures.values():
            raise failure
        return self.predict_rows(rows)

    def predict_rows(self, rows: ElementRows) -> Floats:
        """Total band centre of each crystal, meV, shape (crystals,)."""
        if len(rows.ids) == 0:
            return np.empty(0)
        return rows.totals(self._fitted_estimator().predict(rows.features))

    def predict_table(
        self,
        crystals: Mapping[str, Any],
        *,
        level: float = LEVEL,
        n_jobs: int = 1,
        progress: Progress | None = None,
    ) -> tuple[pd.DataFrame, dict[str, SSEError]]:
        """Predictions of many crystals, and what went wrong with the others.

        Returns
        -------
        tuple
            A table, index the ids: `band_center`, `lower` and `upper` (meV; the interval holds the
            share `level` of compounds like the training ones), `distance` (of the element farthest
            from the training rows, standard deviations) and `inside_domain`; and errors by id.
        """
        rows, failures = element_rows(crystals, n_jobs=n_jobs, progress=progress)
        return self.table_of_rows(rows, level=level), failures

    def table_of_rows(self, rows: ElementRows, *, level: float = LEVEL) -> pd.DataFrame:
        """The table of `predict_table` for rows."""
        import pandas as pd

        centers, difficulty = _predicted(self._fitted_estimator(), rows)
        half = conformal_quantile(self.scores_, level) * self._difficulty(difficulty)
        far = np.zeros(len(rows.ids))
        if len(far):
            np.maximum.at(far, rows.owners, self.domain_.distance(rows.features[:, 1:N_ELEMENT]))
        columns = {
            "band_center": centers,
            "lower": centers * np.exp(-half),
            "upper": centers * np.exp(half),
            "distance": far,
            "inside_domain": far <= self.domain_.threshold_,
        }
        return pd.DataFrame(columns, index=pd.Index(rows.ids, name="id"))

    def _difficulty(self, disagreement: Floats) -> Floats:
        return np.hypot(disagreement, self.floor_)

    def _out_of_fold(self, data: TrainingSet) -> tuple[Floats, Floats]:
        groups = np.array(data.rows.groups())
        folds = min(self.n_folds, len(set(groups)))
        centers, difficulty = np.empty(len(groups)), np.empty(len(groups))
        for learned, tested in GroupKFold(folds).split(groups, groups=groups):
            kept = np.zeros(len(groups), dtype=bool)
            kept[learned] = True
            model = self._fitted(data.take(kept))
            centers[tested], difficulty[tested] = _predicted(model, data.rows.take(~kept))
        return centers, difficulty

    def _fitted(self, data: TrainingSet) -> ElementBandCenters:
        fresh = ElementBandCenters() if self.estimator is None else clone(self.estimator)
        elements = split_totals(data.rows, data.totals, data.elements)
        return fresh.fit(data.rows.features, elements)

    def _fitted_estimator(self) -> ElementBandCenters:
        if not hasattr(self, "estimator_"):
            raise SSEError("the model of the band centre is not fitted", mend="Call fit first")
        return self.estimator_


def _predicted(model: ElementBandCenters, rows: ElementRows) -> tuple[Floats, Floats]:
    """Totals of crystals, meV, and how far the two members of the model disagree, logarithm."""
    if len(rows.ids) == 0:
        return np.empty(0), np.empty(0)
    members = model.predict_members(rows.features)
    one, other = (rows.totals(np.exp(member)) for member in members)
    return rows.totals(np.exp(members.mean(axis=0))), np.abs(np.log(one / other))


def _check_set(data: TrainingSet) -> None:
    if len(set(data.rows.groups())) < FEWEST:
        raise SSEError(
            f"{len(data.rows.ids)} compounds of {len(set(data.rows.groups()))} compositions are "
            "too few to learn from",
            mend=f"Give {FEWEST} compositions or more",
        )
    known = data.elements[~np.isnan(data.elements)]
    if not (np.isfinite(data.totals).all() and (data.totals > 0).all() and (known > 0).all()):
        raise SSEError("a band centre is not a positive number", mend="They are in meV")
