"""Featurizers with the interface of matminer's, and without importing it.

They can stand wherever a matminer structure featurizer can, in a `MultipleFeaturizer` for example.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.descriptors.crystal.labels import WARD_LABELS
from sse_flows.descriptors.crystal.rows import Progress, crystal_row, feature_rows
from sse_flows.descriptors.crystal.shells import ORDERINGS, Ordering
from sse_flows.descriptors.crystal.stiffness import STIFFNESS_LABELS, stiffness_features
from sse_flows.descriptors.crystal.tessellation import Tessellation
from sse_flows.descriptors.crystal.ward import decorate
from sse_flows.errors import SSEError

if TYPE_CHECKING:
    import pandas as pd


class CrystalFeaturizer(ABC):
    """Features of a crystal from its Voronoi tessellation and its elements."""

    _n_jobs = 1

    @abstractmethod
    def decorate(self, tessellation: Tessellation, numbers: IntArray) -> FloatArray:
        """Features of decorations of one geometry.

        Parameters
        ----------
        tessellation
            The geometry.
        numbers
            Atomic numbers, shape (decorations, sites).

        Returns
        -------
        ndarray
            Shape (decorations, features).
        """

    @abstractmethod
    def feature_labels(self) -> list[str]:
        """Names of the features."""

    @abstractmethod
    def citations(self) -> list[str]:
        """BibTeX entries of what to cite."""

    def implementors(self) -> list[str]:
        """Who wrote this."""
        return ["The sse-flows developers"]

    @property
    def n_jobs(self) -> int:
        """Processes that `featurize_many` uses unless told otherwise."""
        return self._n_jobs

    def set_n_jobs(self, n_jobs: int) -> None:
        """Set the number of processes; -1 for one a core."""
        self._n_jobs = n_jobs

    def featurize(self, structure: Any) -> list[float]:
        """Features of one crystal.

        Parameters
        ----------
        structure
            An ordered pymatgen Structure, or (lattice, species, fractional coordinates).

        Raises
        ------
        SSEError
            If it is not an ordered crystal or cannot be tessellated.
        """
        return crystal_row(structure, [self]).tolist()

    def featurize_many(
        self,
        entries: Sequence[Any],
        ignore_errors: bool = False,
        return_errors: bool = False,
        *,
        n_jobs: int | None = None,
        progress: Progress | None = None,
        pbar: bool = False,
    ) -> list[list[Any]]:
        """Features of many crystals, as lists.

        Parameters
        ----------
        entries
            Crystals as `featurize` takes them.
        ignore_errors
            Give NaN for a crystal that fails, instead of raising its error.
        return_errors
            Append the error, NaN where there was none; needs `ignore_errors`.
        n_jobs
            Processes, by default `self.n_jobs`.
        progress
            Called with the number of crystals done and their total.
        pbar
            Show a bar on the terminal instead.

        Raises
        ------
        SSEError
            The first error, unless `ignore_errors`; or if a worker process dies.
        """
        if return_errors and not ignore_errors:
            raise SSEError("return_errors needs ignore_errors=True")
        with _Bar(len(entries) if pbar else 0, type(self).__name__) as bar:
            rows = feature_rows(
                list(entries),
                [self],
                n_jobs=self.n_jobs if n_jobs is None else n_jobs,
                progress=progress or bar.update,
            )
        if not ignore_errors:
            _raise_first(rows)
        return [self._listed(row, return_errors) for row in rows]

    def featurize_wrapper(
        self, x: Sequence[Any], return_errors: bool = False, ignore_errors: bool = False
    ) -> list[Any]:
        """Features of one crystal ``x[0]``: what matminer's `MultipleFeaturizer` calls."""
        return self.featurize_many([x[0]], ignore_errors, return_errors)[0]

    def _generate_column_labels(self, multiindex: bool, return_errors: bool) -> Any:
        """Names of columns, under this name and with a level above for `MultipleFeaturizer`."""
        labels = self.feature_labels()
        if return_errors:
            labels = [*labels, f"{type(self).__name__} Exceptions"]
        if not multiindex:
            return labels
        import pandas as pd

        return pd.MultiIndex.from_product(([type(self).__name__], labels))

    def _listed(self, row: FloatArray | SSEError, with_error: bool) -> list[Any]:
        error: Any = np.nan
        if isinstance(row, SSEError):
            values, error = [np.nan] * len(self.feature_labels()), str(row)
        else:
            values = row.tolist()
        return [*values, error] if with_error else values

    def featurize_dataframe(
        self,
        df: pd.DataFrame,
        col_id: str,
        ignore_errors: bool = False,
        return_errors: bool = False,
        *,
        n_jobs: int | None = None,
        progress: Progress | None = None,
        pbar: bool = False,
    ) -> pd.DataFrame:
        """Table with the features of a column of crystals added.

        Parameters
        ----------
        df, col_id
            The table and its column of crystals.
        ignore_errors, return_errors, n_jobs, progress, pbar
            See `featurize_many`; errors go to the column ``<class name> Exceptions``.

        Raises
        ------
        SSEError
            If a column of the features' names exists; else as `featurize_many`.
        """
        import pandas as pd

        labels = self._generate_column_labels(False, return_errors)
        present = sorted(set(labels) & set(df.columns))
        if present:
            raise SSEError(
                f"the table has columns of features already: {', '.join(present[:3])} ...",
                mend="Drop them first",
            )
        rows = self.featurize_many(
            df[col_id].tolist(),
            ignore_errors,
            return_errors,
            n_jobs=n_jobs,
            progress=progress,
            pbar=pbar,
        )
        return pd.concat([df, pd.DataFrame(rows, index=df.index, columns=labels)], axis=1)


class WardFeaturizer(CrystalFeaturizer):
    """The features of Ward 2016 and 2017, by matminer's names and with its values.

    Parameters
    ----------
    features
        Which, by name: all 273, `labels.PAPER_LABELS` (the 271 of the paper) or any others.
    ordering
        Definition of the ordering parameters: "matminer", or "magpie" for the original.
    mixed_valence
        For "compound possible": let atoms of one element differ in oxidation state.

    Raises
    ------
    SSEError
        If a feature or the ordering is unknown.
    """

    def __init__(
        self,
        features: Sequence[str] = WARD_LABELS,
        ordering: Ordering = "matminer",
        mixed_valence: bool = False,
    ):
        unknown = [name for name in features if name not in WARD_LABELS]
        if unknown:
            raise SSEError(f"unknown features: {', '.join(unknown)}", mend="See WARD_LABELS")
        if ordering not in ORDERINGS:
            raise SSEError(f"{ordering=} is not one of {ORDERINGS}")
        self.features = tuple(features)
        self.ordering: Ordering = ordering
        self.mixed_valence = mixed_valence

    def decorate(self, tessellation: Tessellation, numbers: IntArray) -> FloatArray:
        """Features of decorations of one geometry; see `ward.decorate`."""
        every = decorate(
            tessellation, numbers, ordering=self.ordering, mixed_valence=self.mixed_valence
        )
        if self.features == WARD_LABELS:
            return every
        return every[:, [WARD_LABELS.index(name) for name in self.features]]

    def feature_labels(self) -> list[str]:
        """Names of the features, as matminer writes them."""
        return list(self.features)

    def citations(self) -> list[str]:
        """BibTeX entries of the two papers, and of matminer, whose tables are used."""
        return [
            "@article{Ward2016, author={Ward, Logan and Agrawal, Ankit and Choudhary, Alok and "
            "Wolverton, Christopher}, journal={npj Computational Materials}, volume={2}, "
            "pages={16028}, year={2016}, doi={10.1038/npjcompumats.2016.28}}",
            "@article{Ward2017, author={Ward, Logan and Liu, Ruoqian and Krishna, Amar and Hegde, "
            "Vinay I. and Agrawal, Ankit and Choudhary, Alok and Wolverton, Chris}, "
            "journal={Physical Review B}, volume={96}, pages={024104}, year={2017}, "
            "doi={10.1103/PhysRevB.96.024104}}",
            "@article{Ward2018, author={Ward, Logan and others}, title={Matminer: An open source "
            "toolkit for materials data mining}, journal={Computational Materials Science}, "
            "volume={152}, pages={60--69}, year={2018}, doi={10.1016/j.commatsci.2018.05.018}}",
        ]


class BondStiffnessFeaturizer(CrystalFeaturizer):
    """Einstein-like frequencies of springs whose stiffness geometry gives; see `stiffness`."""

    def decorate(self, tessellation: Tessellation, numbers: IntArray) -> FloatArray:
        """Features of decorations of one geometry; see `stiffness.stiffness_features`."""
        return stiffness_features(tessellation, numbers)

    def feature_labels(self) -> list[str]:
        """Names of the features; units in docs/features.md."""
        return list(STIFFNESS_LABELS)

    def citations(self) -> list[str]:
        """BibTeX entry of the constant of the bond-valence law; the features are this package's."""
        return [
            "@article{Brown1985, author={Brown, I. D. and Altermatt, D.}, "
            "journal={Acta Crystallographica B}, volume={41}, pages={244--247}, year={1985}, "
            "doi={10.1107/S0108768185002063}}"
        ]


def _raise_first(rows: Sequence[FloatArray | SSEError]) -> None:
    for k, row in enumerate(rows):
        if isinstance(row, SSEError):
            raise SSEError(row.message, compound=f"crystal {k + 1}", mend=row.mend) from row


class _Bar:
    """A progress bar, or nothing for a total of 0."""

    def __init__(self, total: int, title: str):
        self.bar: Any = None
        if total:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total, desc=title)

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, done: int, _total: int) -> None:
        if self.bar is not None:
            self.bar.update(done - self.bar.n)
