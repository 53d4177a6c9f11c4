"""Features as tables: a row a crystal or a composition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.descriptors.crystal.composition import composition_features, pack_compositions
from sse_flows.descriptors.crystal.featurizer import WardFeaturizer
from sse_flows.descriptors.crystal.labels import COMPOSITION_LABELS
from sse_flows.descriptors.crystal.rows import Featurizer, Progress, feature_rows
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import pandas as pd


def crystal_features(
    crystals: Mapping[str, Any],
    featurizers: Sequence[Featurizer] | None = None,
    *,
    n_jobs: int = 1,
    progress: Progress | None = None,
) -> tuple[pd.DataFrame, dict[str, SSEError]]:
    """Compute features of many crystals.

    Parameters
    ----------
    crystals
        By id: pymatgen Structures or (lattice, species, fractional coordinates), see
        `arrays.read_crystal`.
    featurizers
        What to compute, by default the 273 of `WardFeaturizer`. All share one tessellation.
    n_jobs
        Processes; -1 for one a core. With more than one a script needs the usual
        ``if __name__ == "__main__":``.
    progress
        Called with the number of crystals done and their total.

    Returns
    -------
    tuple
        The features of the crystals that came through, index their ids, and what went wrong with
        the others, by id.

    Raises
    ------
    SSEError
        If a worker process dies.
    """
    import pandas as pd

    chosen = tuple(featurizers) if featurizers is not None else (WardFeaturizer(),)
    names = list(crystals)
    rows = feature_rows(list(crystals.values()), chosen, n_jobs=n_jobs, progress=progress)
    done = [k for k, row in enumerate(rows) if not isinstance(row, SSEError)]
    labels = [label for one in chosen for label in one.feature_labels()]
    table = pd.DataFrame(
        np.array([rows[k] for k in done]).reshape(len(done), len(labels)),
        index=pd.Index([names[k] for k in done], name="id"),
        columns=labels,
    )
    failures = {
        names[k]: SSEError(row.message, compound=str(names[k]), mend=row.mend)
        for k, row in enumerate(rows)
        if isinstance(row, SSEError)
    }
    return table, failures


def composition_table(
    compositions: Mapping[str, Mapping[Any, float]], *, mixed_valence: bool = False
) -> pd.DataFrame:
    """The 145 composition features of many compositions.

    Parameters
    ----------
    compositions
        By id: pymatgen Compositions, or mappings from element symbol to amount.
    mixed_valence
        See `charges.can_be_neutral`.

    Returns
    -------
    DataFrame
        Index the ids, columns as `labels.COMPOSITION_LABELS`.

    Raises
    ------
    SSEError
        If a composition is empty, a symbol unknown or an amount not positive.
    """
    import pandas as pd

    numbers, amounts = pack_compositions(list(compositions.values()))
    return pd.DataFrame(
        composition_features(numbers, amounts, mixed_valence=mixed_valence),
        index=pd.Index(list(compositions), name="id"),
        columns=list(COMPOSITION_LABELS),
    )
