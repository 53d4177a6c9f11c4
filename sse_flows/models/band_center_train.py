"""Train, score and describe a model of the phonon band centre."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase.data import chemical_symbols
from numpy.typing import NDArray

from sse_flows.descriptors.crystal.rows import Progress
from sse_flows.errors import SSEError
from sse_flows.models.band_center import BandCenterModel, TrainingSet, training_set
from sse_flows.models.band_center_data import TrainingCompound
from sse_flows.models.band_center_file import (
    BandCenterDocument,
    BandCenterScores,
    estimator_bytes,
)
from sse_flows.models.band_center_rows import ROW_LABELS, ElementRows
from sse_flows.models.columns import Floats
from sse_flows.models.serialize import fingerprint
from sse_flows.models.train import software_versions

Mask = NDArray[np.bool_]

_HALOGENS = ("F", "Cl", "Br", "I")
_OTHER_ANIONS = ("O", "S", "Se", "Te", *_HALOGENS)


@dataclass
class TrainedBandCenter:
    """A fitted model with its document and the compounds that could not be used."""

    model: BandCenterModel
    document: BandCenterDocument
    data: bytes
    """The estimators as they are saved."""
    failures: dict[str, SSEError]


def train_band_center(
    compounds: Sequence[TrainingCompound],
    *,
    attribution: Sequence[str] = (),
    model: BandCenterModel | None = None,
    n_jobs: int = 1,
    progress: Progress | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> TrainedBandCenter:
    """Fit a model to compounds of known band centre and score it out of fold.

    Parameters
    ----------
    compounds
        With distinct ids; see `read_training` and `merge_training`.
    attribution
        Whom to cite for them.
    model
        Not fitted; by default a `BandCenterModel`.
    n_jobs, progress
        Of the features.
    note
        Told what is being done.

    Raises
    ------
    SSEError
        If too few compounds can be used.
    """
    data, failures = training_set(compounds, n_jobs=n_jobs, progress=progress)
    note(f"learning from {len(data.rows.ids)} compounds")
    fitted = (model or BandCenterModel()).fit_set(data)
    estimators = estimator_bytes(fitted)
    used = set(data.rows.ids)
    sources = Counter(one.source or "unnamed" for one in compounds if one.compound_id in used)
    document = BandCenterDocument(
        sources=dict(sources),
        n_with_elements=sum(
            one.element_centers is not None for one in compounds if one.compound_id in used
        ),
        attribution=list(attribution),
        columns=list(ROW_LABELS),
        scores=family_scores(data.rows, data.totals, fitted.out_of_fold_),
        software=software_versions(),
        estimators_hash=fingerprint(estimators),
    )
    return TrainedBandCenter(fitted, document, estimators, failures)


def scores_of(measured: Floats, predicted: Floats) -> BandCenterScores:
    """R2, MAE and RMSE, meV; R2 is NaN for fewer than two compounds or no spread."""
    measured, error = np.asarray(measured), np.asarray(predicted) - np.asarray(measured)
    spread = float(np.sum((measured - measured.mean()) ** 2)) if len(measured) else 0.0
    return BandCenterScores(
        n_compounds=len(measured),
        r2=1.0 - float(np.sum(error**2)) / spread if spread > 0 else float("nan"),
        mae=float(np.mean(np.abs(error))) if len(measured) else float("nan"),
        rmse=float(np.sqrt(np.mean(error**2))) if len(measured) else float("nan"),
    )


def family_scores(
    rows: ElementRows, measured: Floats, predicted: Floats, least: int = 5
) -> dict[str, BandCenterScores]:
    """Scores of all compounds and of each family of at least so many."""
    found = {"all": scores_of(measured, predicted)}
    for name, mask in families(rows).items():
        if mask.sum() >= least:
            found[name] = scores_of(measured[mask], predicted[mask])
    return found


def families(rows: ElementRows) -> Mapping[str, Mask]:
    """Masks over the crystals: which mobile ion, which anion alone, hydrogen."""
    has = {
        symbol: np.isin(
            np.arange(len(rows.ids)),
            rows.owners[rows.numbers == chemical_symbols.index(symbol)],
        )
        for symbol in ("Li", "Na", "H", *_OTHER_ANIONS)
    }
    halide = np.any([has[symbol] for symbol in _HALOGENS], axis=0)
    others = {
        anion: np.any([has[symbol] for symbol in _OTHER_ANIONS if symbol != anion], axis=0)
        for anion in ("O", "S")
    }
    chalcogen = np.any([has[symbol] for symbol in ("O", "S", "Se", "Te")], axis=0)
    return {
        "Li": has["Li"],
        "Na": has["Na"],
        "oxides": has["O"] & ~others["O"] & ~has["H"],
        "sulfides": has["S"] & ~others["S"] & ~has["H"],
        "halides": halide & ~chalcogen & ~has["H"],
        "H": has["H"],
    }


def evaluate_band_center(model: BandCenterModel, data: TrainingSet) -> dict[str, BandCenterScores]:
    """Scores of a fitted model on other compounds, by family."""
    return family_scores(data.rows, data.totals, model.predict_rows(data.rows))
