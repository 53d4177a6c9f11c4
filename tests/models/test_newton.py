"""The batched Newton fits are scikit-learn's optimum."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sse_flows.errors import SSEError
from sse_flows.models import newton


def _data(kind: str, n: int = 30, d: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(7)
    design = rng.normal(size=(n, d))
    if kind == "correlated":
        design = design[:, [0]] + 0.05 * design
    design = (design - design.mean(0)) / design.std(0)
    if kind == "separable":
        return design, (design[:, 0] > 0).astype(float)
    target = (design[:, 0] + rng.normal(size=n) > (1.2 if kind == "unbalanced" else 0)).astype(
        float
    )
    return design, target


@pytest.mark.parametrize("C", [0.01, 1.0, 1e4])
@pytest.mark.parametrize("kind", ["plain", "correlated", "separable", "unbalanced"])
def test_coefficients_equal_scikit_learn(kind: str, C: float) -> None:
    design, target = _data(kind)
    subsets = np.array(list(combinations(range(6), 3))).T
    ours = newton.fit_subsets(design, target, subsets, C)
    for coef, columns in zip(ours.T, subsets.T, strict=True):
        reference = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=10_000)
        reference.fit(design[:, columns], target)
        expected = np.r_[reference.intercept_, reference.coef_[0]]
        np.testing.assert_allclose(coef, expected, rtol=1e-5, atol=1e-7)


def test_start_does_not_change_the_answer() -> None:
    design, target = _data("plain")
    subsets = np.array(list(combinations(range(6), 2))).T
    cold = newton.fit_subsets(design, target, subsets, 1.0)
    far = newton.fit_subsets(design, target, subsets, 1.0, start=np.full_like(cold, 30.0))
    np.testing.assert_allclose(cold, far, atol=1e-9)


def test_separable_and_hardly_penalised_converges() -> None:
    design, target = _data("separable")
    subsets = np.array(list(combinations(range(6), 4))).T
    coef = newton.fit_subsets(design, target, subsets, 1e8)
    assert np.isfinite(coef).all()
    signs = newton.margins(coef, design[3], subsets) > 0
    assert (signs[subsets[0] == 0] == (target[3] > 0.5)).all()


def test_no_convergence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newton, "MAX_ITERATIONS", 1)
    with pytest.raises(SSEError, match="smaller C"):
        newton.fit_subsets(*_data("plain"), np.array([[0, 1]]), 1.0)


def test_solve_symmetric_equals_lapack() -> None:
    rng = np.random.default_rng(0)
    roots = rng.normal(size=(9, 5, 5))
    matrices = roots @ roots.transpose(0, 2, 1) + 0.1 * np.eye(5)
    vectors = rng.normal(size=(9, 5))
    ours = newton.solve_symmetric(matrices.transpose(1, 2, 0).copy(), vectors.T.copy())
    np.testing.assert_allclose(ours.T, np.linalg.solve(matrices, vectors[:, :, None])[..., 0])
