"""The published logistic regression of J. Kim et al. (2024), with its published coefficients."""

from __future__ import annotations

from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin

from sse_flows.errors import SSEError
from sse_flows.models.columns import Floats


class Kim2024(ClassifierMixin, BaseEstimator):
    """Probability of a conductivity above 1e-4 S/cm from six raw descriptors.

    ``z = -0.427 N_fu + 4.523 R_M + 2.561 R_H + 1.305 C-disorder + 2.220 A-disorder + 0.007 S
    - 2.552`` and ``probability = 1 / (1 + exp(-z))``. The training medians were not published, so
    a compound that lacks one of the six has no probability: NaN.

    Examples
    --------
    >>> import pandas as pd
    >>> row = dict.fromkeys(Kim2024.coefficients, 0.0) | {"low_energy_ratio_mobile": 0.6}
    >>> Kim2024().predict_proba(pd.DataFrame([row]))[:, 1].round(3)
    array([0.54])
    """

    coefficients: ClassVar[dict[str, float]] = {
        "formula_units": -0.427,
        "low_energy_ratio_mobile": 4.523,
        "low_energy_ratio_hybrid": 2.561,
        "disorder_cation": 1.305,
        "disorder_anion": 2.220,
        "vibrational_entropy": 0.007,
    }
    intercept: ClassVar[float] = -2.552

    def fit(self, X: pd.DataFrame, y: object = None) -> Self:
        """Do nothing: the coefficients are the published ones."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        """Always: there is nothing to fit."""
        return True

    @property
    def classes_(self) -> np.ndarray:
        """Not superionic, superionic."""
        return np.array([False, True])

    def decision_function(self, X: pd.DataFrame) -> Floats:
        """The published z of each row of raw descriptors, shape (n_rows,).

        Raises
        ------
        SSEError
            If one of the six columns is absent.
        """
        absent = [name for name in self.coefficients if name not in X.columns]
        if absent:
            raise SSEError(
                f"the table has no columns {absent}, which the equation of Kim 2024 needs",
                mend="Add them; NaN where a value is not known",
            )
        values = X[list(self.coefficients)].to_numpy(dtype=float)
        return values @ np.array(list(self.coefficients.values())) + self.intercept

    def predict_proba(self, X: pd.DataFrame) -> Floats:
        """Probabilities of (not superionic, superionic), shape (n_rows, 2)."""
        positive = expit(self.decision_function(X))
        return np.column_stack([1.0 - positive, positive])

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Whether the probability exceeds one half, shape (n_rows,); False where it is NaN."""
        return self.decision_function(X) > 0
