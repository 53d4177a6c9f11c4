"""Applicability domain."""

from __future__ import annotations

import numpy as np

from sse_flows.models import ApplicabilityDomain


def test_training_rows_are_inside_and_far_ones_outside() -> None:
    X = np.random.default_rng(0).normal(size=(40, 3))
    domain = ApplicabilityDomain().fit(X)
    assert domain.contains(X).all()
    np.testing.assert_allclose(domain.distance(X), 0.0, atol=1e-12)
    assert not domain.contains(np.full((1, 3), 8.0)).any()


def test_distance_is_root_mean_square_in_standard_deviations() -> None:
    X = np.array([[0.0, 0.0], [2.0, 20.0]])  # standard deviations 1 and 10
    domain = ApplicabilityDomain().fit(X)
    np.testing.assert_allclose(domain.distance([[3.0, 20.0]]), np.sqrt(0.5))
    np.testing.assert_allclose(domain.threshold_, 2.0)


def test_discrete_columns_do_not_close_the_domain() -> None:
    X = np.repeat([[0.0], [1.0]], 20, axis=0)
    domain = ApplicabilityDomain().fit(X)
    assert domain.contains([[0.0], [1.0], [1.04]]).all()
    assert not domain.contains([[3.0]]).any()


def test_missing_values_sit_at_the_median() -> None:
    X = np.random.default_rng(0).normal(size=(41, 2))
    domain = ApplicabilityDomain().fit(X)
    filled = np.array([[np.median(X[:, 0]), 0.3]])
    np.testing.assert_allclose(domain.distance([[np.nan, 0.3]]), domain.distance(filled))


def test_distance_is_that_of_the_nearest_of_all_training_rows() -> None:
    rng = np.random.default_rng(1)
    X, new = rng.normal(size=(90, 4)), rng.normal(size=(150, 4))
    domain = ApplicabilityDomain().fit(X)
    apart = (new[:, None] - X) / X.std(axis=0)
    np.testing.assert_allclose(domain.distance(new), np.sqrt((apart**2).mean(axis=2)).min(axis=1))
