"""A Gaussian process of many rows: relevance of each column learned, a few thousand landmarks.

The kernel is a rational quadratic of index 1 with one length scale a column plus a linear one
(C. E. Rasmussen and C. K. I. Williams, Gaussian Processes for Machine Learning, 2006, ch. 4 and 5).
The hyper-parameters are those of the largest marginal likelihood of a random part of the rows, with
a penalty on the sum of the inverse length scales which turns irrelevant columns off. The mean is
then fitted to all rows as a combination of kernels at the landmarks (the subset of regressors,
ch. 8.3.1). scikit-learn's Gaussian process takes minutes for each length scale more and keeps all
rows; the gradient for all scales at once costs two matrix products here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular
from scipy.optimize import minimize
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from sse_flows.models.columns import Floats

CLIP = 5.0
"""Standard deviations beyond which a column says no more: kernels do not extrapolate."""
BLOCK = 2000
_NEAR = 64
"""Rows predicted at a time: their kernels stay within the cache of a core."""
_JITTER = 1e-6


class _Kernel(NamedTuple):
    """Hyper-parameters, in standardised columns."""

    inverse_scales: Floats
    amplitude: float
    noise: float
    linear: float

    @classmethod
    def of(cls, logarithms: Floats) -> _Kernel:
        values = np.exp(logarithms)
        return cls(values[:-3], float(values[-3]), float(values[-2]), float(values[-1]))

    def __call__(self, left: Floats, right: Floats) -> Floats:
        quadratic = 1.0 / (1.0 + 0.5 * _squares(left, right, self.inverse_scales))
        straight: Floats = left @ right.T / left.shape[1] + 1.0
        return self.amplitude * quadratic + self.linear * straight

    def factors(self, left: Floats, right: Floats) -> tuple[Floats, Floats]:
        """Tables with two columns more whose product is 1 + d²/2, the inverse of the quadratic."""
        a, b = left * self.inverse_scales, right * self.inverse_scales
        lengths = 1.0 + 0.5 * (a * a).sum(axis=1), 0.5 * (b * b).sum(axis=1)
        return (
            np.column_stack([a, lengths[0], np.ones(len(a))]),
            np.column_stack([-b, np.ones(len(b)), lengths[1]]),
        )


def _squares(left: Floats, right: Floats, inverse_scales: Floats) -> Floats:
    """Squared scaled distances, shape (n_left, n_right)."""
    a, b = left * inverse_scales, right * inverse_scales
    squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2.0 * a @ b.T
    return np.maximum(squares, 0.0)


class SparseGaussianProcess(RegressorMixin, BaseEstimator):
    """Mean of a Gaussian process with automatic relevance determination.

    Parameters
    ----------
    n_landmarks : int
        Rows at which kernels are placed; all rows where there are fewer.
    n_search : int
        Rows whose marginal likelihood is maximised.
    max_iter : int
        Steps of that search.
    penalty : float
        On the sum of the inverse length scales, in units of the log likelihood.
    random_state : int
        Seed of the rows drawn.

    Attributes
    ----------
    landmarks_ : ndarray of shape (n_landmarks, n_features), float32
        Standardised.
    dual_coef_ : ndarray of shape (n_landmarks,)
        Weights of the kernels.
    log_parameters_ : ndarray of shape (n_features + 3,)
        Logarithms of the inverse length scales, the amplitude, noise variance and linear term.
    """

    def __init__(
        self,
        n_landmarks: int = 2500,
        n_search: int = 1000,
        max_iter: int = 40,
        penalty: float = 1.0,
        random_state: int = 0,
    ):
        self.n_landmarks = n_landmarks
        self.n_search = n_search
        self.max_iter = max_iter
        self.penalty = penalty
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Fit; X has shape (n_rows, n_features), y (n_rows,), both without NaN."""
        values, target = validate_data(self, X, y, dtype=np.float64, ensure_min_samples=2)
        target = np.asarray(target, dtype=np.float64)
        self.center_, spread = values.mean(axis=0), values.std(axis=0)
        self.spread_ = np.where(spread > 1e-9 * (1.0 + np.abs(self.center_)), spread, 1.0)
        self.intercept_ = float(target.mean())
        rows, residual = self._scaled(values), target - self.intercept_
        order = np.random.default_rng(self.random_state).permutation(len(rows))
        searched, chosen = order[: self.n_search], order[::-1][: self.n_landmarks]
        self.log_parameters_ = self._search(rows[searched], residual[searched])
        self.landmarks_ = rows[chosen].astype(np.float32)
        self.dual_coef_ = self._solve(rows, residual)
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Mean of each row, shape (n_rows,)."""
        check_is_fitted(self, "dual_coef_")
        values = validate_data(self, X, reset=False, dtype=np.float64)
        rows, landmarks = self._scaled(values), self.landmarks_.astype(np.float64)
        kernel = _Kernel.of(self.log_parameters_)
        # the linear term of all landmarks is one of a single weight a column
        slope = kernel.linear * (self.dual_coef_ @ landmarks) / rows.shape[1]
        mean: Floats = rows @ slope + (kernel.linear * self.dual_coef_.sum() + self.intercept_)
        left, right = kernel.factors(rows, landmarks)
        weights = kernel.amplitude * self.dual_coef_
        for k in range(0, len(rows), _NEAR):
            inverse = left[k : k + _NEAR] @ right.T
            np.maximum(inverse, 1.0, out=inverse)
            mean[k : k + _NEAR] += np.reciprocal(inverse, out=inverse) @ weights
        return mean

    def _scaled(self, values: Floats) -> Floats:
        return np.clip((values - self.center_) / self.spread_, -CLIP, CLIP)

    def _search(self, rows: Floats, target: Floats) -> Floats:
        variance = max(float(target.var()), 1e-12)
        start = [np.log(0.1)] * rows.shape[1]
        start += [np.log(variance), np.log(0.01 * variance), np.log(0.1 * variance)]
        bounds = [(-7.0, 2.0)] * rows.shape[1]
        bounds += [(value - 9.0, value + 9.0) for value in start[-3:]]
        found = minimize(
            _Likelihood(rows, target, self.penalty),
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"maxiter": self.max_iter, "maxcor": 20},
        )
        return np.asarray(found.x, dtype=np.float64)

    def _solve(self, rows: Floats, target: Floats) -> Floats:
        """Weights at the landmarks, by regression on whitened kernels."""
        kernel = _Kernel.of(self.log_parameters_)
        landmarks = self.landmarks_.astype(np.float64)
        gram = kernel(landmarks, landmarks)
        gram[np.diag_indices(len(gram))] += _JITTER * kernel.amplitude
        lower = cholesky(gram, lower=True)
        normal, right = kernel.noise * np.eye(len(lower)), np.zeros(len(lower))
        for k in range(0, len(rows), BLOCK):
            basis = solve_triangular(lower, kernel(landmarks, rows[k : k + BLOCK]), lower=True)
            normal += basis @ basis.T
            right += basis @ target[k : k + BLOCK]
        weights = cho_solve(cho_factor(normal), right)
        return solve_triangular(lower, weights, lower=True, trans="T")


@dataclass
class _Likelihood:
    """Negative log marginal likelihood a row, penalised, with its gradient."""

    rows: Floats
    target: Floats
    penalty: float

    def __call__(self, logarithms: Floats) -> tuple[float, Floats]:
        kernel, n = _Kernel.of(logarithms), len(self.rows)
        base = 1.0 / (1.0 + 0.5 * _squares(self.rows, self.rows, kernel.inverse_scales))
        straight = self.rows @ self.rows.T / self.rows.shape[1] + 1.0
        gram = kernel.amplitude * base + kernel.linear * straight
        gram[np.diag_indices(n)] += kernel.noise
        try:
            factor = cho_factor(gram, lower=True)
        except LinAlgError:  # the line search went where the matrix is singular
            return 1e10, np.zeros_like(logarithms)
        solution = cho_solve(factor, self.target)
        value = 0.5 * self.target @ solution + np.log(np.diag(factor[0])).sum()
        pull = 0.5 * (cho_solve(factor, np.eye(n)) - np.outer(solution, solution))
        gradient = self._gradient(kernel, base, straight, pull)
        scales = kernel.inverse_scales
        gradient[: len(scales)] += self.penalty * scales
        return float(value + self.penalty * scales.sum()) / n, gradient / n

    def _gradient(self, kernel: _Kernel, base: Floats, straight: Floats, pull: Floats) -> Floats:
        """Derivatives by the logarithms; `pull` is that by the elements of the matrix."""
        rows, scales = self.rows, kernel.inverse_scales
        by_square = -0.5 * kernel.amplitude * pull * base * base
        spread = (rows * rows).T @ by_square.sum(axis=1)
        cross = np.einsum("id,id->d", rows, by_square @ rows)
        others: list[Any] = [
            kernel.amplitude * (pull * base).sum(),
            kernel.noise * np.trace(pull),
            kernel.linear * (pull * straight).sum(),
        ]
        return np.concatenate([4.0 * scales**2 * (spread - cross), others])
