"""The sparse Gaussian process: gradient, relevance, and a peer."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.base import clone
from sklearn.metrics import r2_score

from sse_flows.models.sparse_gp import SparseGaussianProcess, _Kernel, _Likelihood


@pytest.fixture(scope="module")
def waves():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(400, 5))
    return X, np.sin(2 * X[:, 0]) + 0.3 * X[:, 1] + 0.01 * rng.normal(size=400)


def test_gradient_is_that_of_the_likelihood(waves):
    X, y = waves
    likelihood = _Likelihood(X[:40], y[:40], penalty=0.7)
    start = np.random.default_rng(0).normal(-0.5, 0.3, size=8)
    error = check_grad(lambda p: likelihood(p)[0], lambda p: likelihood(p)[1], start)
    assert error < 1e-5


def test_likelihood_is_that_of_a_gaussian(waves):
    from scipy.stats import multivariate_normal

    X, y = waves[0][:30], waves[1][:30]
    logs = np.array([-1.0, -0.5, -2.0, -1.0, -1.5, 0.2, -2.0, -1.0])
    kernel = _Kernel.of(logs)
    covariance = kernel(X, X) + kernel.noise * np.eye(30)
    expected = -multivariate_normal(np.zeros(30), covariance).logpdf(y) - 15 * np.log(2 * np.pi)
    assert _Likelihood(X, y, penalty=0.0)(logs)[0] * 30 == pytest.approx(expected, rel=1e-8)


def test_finds_the_columns_that_matter(waves):
    X, y = waves
    model = SparseGaussianProcess(200, 200, 60).fit(X[:300], y[:300])
    assert r2_score(y[300:], model.predict(X[300:])) > 0.99
    assert model.log_parameters_[0] == model.log_parameters_[:5].max()
    assert model.log_parameters_[2:5].max() < model.log_parameters_[0] - 1


def test_all_rows_as_landmarks_give_the_exact_mean(waves):
    X, y = waves[0][:80], waves[1][:80]
    model = SparseGaussianProcess(80, 80, 20).fit(X, y)
    kernel = _Kernel.of(model.log_parameters_)
    rows, new = model._scaled(X), model._scaled(waves[0][80:90])
    gram = kernel(rows, rows) + kernel.noise * np.eye(80)
    exact = kernel(new, rows) @ np.linalg.solve(gram, y - y.mean()) + y.mean()
    assert model.predict(waves[0][80:90]) == pytest.approx(exact, abs=1e-3)


def test_the_same_seed_gives_the_same_model_and_the_unit_of_a_column_no_matter(waves):
    X, y = waves
    model = SparseGaussianProcess(50, 50, 10)
    first = clone(model).fit(X, y).predict(X[:5])
    assert np.array_equal(first, clone(model).fit(X, y).predict(X[:5]))
    scaled = X * np.array([1e3, 1, 1, 1e-3, 1])
    assert clone(model).fit(scaled, y).predict(scaled[:5]) == pytest.approx(first, abs=1e-4)


def test_a_constant_column_does_no_harm(waves):
    X, y = waves
    wide = np.column_stack([X, np.full(len(X), 7.0)])
    assert np.isfinite(SparseGaussianProcess(50, 50, 5).fit(wide, y).predict(wide)).all()


def test_prediction_is_the_kernel_times_the_weights(waves):
    X, y = waves
    model = SparseGaussianProcess(100, 100, 10).fit(X, y)
    kernel = _Kernel.of(model.log_parameters_)
    rows = model._scaled(X)  # more rows than are predicted at a time
    expected = kernel(rows, model.landmarks_.astype(float)) @ model.dual_coef_ + model.intercept_
    np.testing.assert_allclose(model.predict(X), expected, atol=1e-9)
