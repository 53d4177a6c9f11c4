"""Exhaustive best-subset search beside scikit-learn, mlxtend and abess.

    python benchmarks/subsets.py                      # up to 6 of 30 features, every kernel
    python benchmarks/subsets.py --full [--certify]   # all 2^30 subsets: minutes to hours
    python benchmarks/subsets.py --peers              # the other packages only

45 rows, 30 correlated features in groups of five, half of the rows positive; made here. Ours: wall
and CPU time and peak memory; the winners are scored again by scikit-learn. In the same run, on a
sample of subsets of the same sizes: subsets per second and core of scikit-learn's
LogisticRegression with LeaveOneOut (both solvers) and of mlxtend's ExhaustiveFeatureSelector over
it, and the ratios. abess looks for the best likelihood of the training rows, another criterion: its
time, and the leave-one-out accuracy of what it finds beside ours.
"""

# ruff: noqa: E402 - threads are pinned before NumPy is imported
from __future__ import annotations

import argparse
import os
import resource
import time
import warnings
from collections.abc import Callable, Iterable
from math import comb

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneOut, cross_val_score

from sse_flows.models import BestSubsetClassifier
from sse_flows.models.subset_search import SearchProgress, available_kernels

ROWS, FEATURES, GROUP = 45, 30, 5
Data = tuple[NDArray[np.float64], NDArray[np.bool_]]


def make_data(seed: int, raw: bool) -> Data:
    """Groups of correlated columns, some skewed or discrete; four of them and noise decide."""
    rng = np.random.default_rng(seed)
    common = np.repeat(rng.normal(size=(ROWS, FEATURES // GROUP)), GROUP, axis=1)
    values = np.sqrt(0.8) * common + np.sqrt(0.2) * rng.normal(size=(ROWS, FEATURES))
    values[:, 4::10] = np.exp(values[:, 4::10])
    values[:, 7] = np.round(values[:, 7])
    values = (values - values.mean(axis=0)) / values.std(axis=0)
    chosen = rng.choice(FEATURES, 4, replace=False)
    signal = values[:, chosen] @ rng.uniform(0.7, 1.5, 4) + 0.7 * rng.normal(size=ROWS)
    if raw:
        values = values * 10.0 ** rng.uniform(-1.3, 2.3, FEATURES)
    return values, signal > np.median(signal)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of all threads."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def told(state: SearchProgress) -> None:
    """Print how far the search is, each minute."""
    if state.seconds - told.last > 60:  # type: ignore[attr-defined]
        told.last = state.seconds  # type: ignore[attr-defined]
        print(f"  {state.done / state.total:.1%}, {state.seconds_left:.0f} s left", flush=True)


def ours(
    data: Data, largest: int, options: argparse.Namespace, kernel: str
) -> tuple[float, BestSubsetClassifier]:
    """Search; print time, memory and the winners; subsets per second and core."""
    told.last = 0.0  # type: ignore[attr-defined]
    settings = {"C": options.C, "standardize": not options.raw, "n_jobs": options.jobs}
    settings |= {"kernel": kernel, "rescore": False}
    BestSubsetClassifier(2, **settings).fit(*data)  # compiles what is not yet
    model = BestSubsetClassifier(largest, certify=options.certify, progress=told, **settings)
    wall, cpu = timed(lambda: model.fit(*data))
    search = model.search_
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"ours, {kernel}{', certified' if options.certify else ''}: {search.n_subsets:,} subsets "
        f"up to {largest} features in {wall:.1f} s wall, {cpu:.1f} s CPU ({search.cpu_seconds:.1f} "
        f"of the search), {search.n_subsets / cpu:,.0f} a second and core, peak {memory:.2f} GB"
    )
    return search.n_subsets / cpu, model


def check(model: BestSubsetClassifier, data: Data, C: float) -> None:
    """Score the best of every size by scikit-learn."""
    again = BestSubsetClassifier(**model.get_params()).set_params(rescore=True, C=C)
    rows = again.fit_search(*data, model.search_).cv_results_
    agree = (rows["score_sklearn_newton"] - rows["score"]).abs() < 1e-12
    default = (rows["score_sklearn"] - rows["score"]).abs() < 1e-12
    print(
        f"winners scored by scikit-learn: newton-cholesky agrees in {agree.sum()} of {len(rows)} "
        f"sizes, default lbfgs in {default.sum()}"
    )
    shown = ["n_features", "score", "score_sklearn", "train_score", "n_tied"]
    print(rows[shown].to_string(index=False, float_format="{:.3f}".format))


def sample_subsets(largest: int, number: int, seed: int = 0) -> list[NDArray[np.intp]]:
    """Subsets drawn evenly from those searched."""
    rng = np.random.default_rng(seed)
    sizes = np.arange(1, largest + 1)
    weights = np.array([comb(FEATURES, k) for k in sizes], dtype=float)
    drawn = rng.choice(sizes, number, p=weights / weights.sum())
    return [np.sort(rng.choice(FEATURES, k, replace=False)) for k in drawn]


def scikit_learn(
    data: Data, subsets: Iterable[NDArray[np.intp]], C: float, solver: str
) -> list[float]:
    """Leave-one-out accuracy of each subset."""
    values, target = data
    model = LogisticRegression(C=C, solver=solver)
    return [
        float(cross_val_score(model, values[:, subset], target, cv=LeaveOneOut()).mean())
        for subset in subsets
    ]


def mlxtend(data: Data, size: int, C: float) -> int:
    """All subsets of `size` of one column more; how many they were."""
    from mlxtend.feature_selection import ExhaustiveFeatureSelector

    selector = ExhaustiveFeatureSelector(
        LogisticRegression(C=C),
        min_features=size,
        max_features=size,
        cv=LeaveOneOut(),
        print_progress=False,
    )
    return len(selector.fit(data[0][:, : size + 1], data[1].astype(int)).subsets_)


def abess(data: Data, sizes: Iterable[int]) -> list[NDArray[np.intp]]:
    """The subset with the best likelihood of the training rows, of every size."""
    from abess import LogisticRegression as Best

    found = []
    for size in sizes:
        model = Best(support_size=size, max_iter=50)
        model.fit(data[0], data[1].astype(int))
        found.append(np.flatnonzero(np.ravel(model.coef_)))
    return found


def compare(data: Data, largest: int, options: argparse.Namespace, speed: float | None) -> None:
    """Subsets per second and core of the peers, on the columns that ours penalises."""
    subsets = sample_subsets(largest, options.sample)
    size = int(np.median([len(subset) for subset in subsets]))
    print(f"peers, on {len(subsets)} subsets of the same sizes (median {size} features):")
    for solver in ("lbfgs", "newton-cholesky"):
        _, cpu = timed(lambda s=solver: scikit_learn(data, subsets, options.C, s))
        report(f"scikit-learn, {solver}", len(subsets) / cpu, speed, largest)
    try:
        count: list[int] = []
        _, cpu = timed(lambda: count.append(mlxtend(data, size, options.C)))
        report(f"mlxtend, {count[0]} subsets of {size}", count[0] / cpu, speed, largest)
    except ImportError as error:
        print(f"  mlxtend is left out: {error}")


def report(name: str, theirs: float, speed: float | None, largest: int) -> None:
    """Print a speed, what it makes of the whole search, and the ratio."""
    total = sum(comb(FEATURES, k) for k in range(1, largest + 1))
    ratio = "" if speed is None else f"; ours is {speed / theirs:,.0f} times as fast"
    days = total / theirs / 86400
    print(f"  {name}: {theirs:.2f} subsets a second and core, {days:,.1f} core days for all{ratio}")


def compare_abess(data: Data, model: BestSubsetClassifier, C: float) -> None:
    """Time of abess, and leave-one-out accuracy of its subsets beside the best."""
    rows = model.cv_results_
    try:
        found: list[NDArray[np.intp]] = []
        _, cpu = timed(lambda: found.extend(abess(data, rows["n_features"])))
    except ImportError as error:
        print(f"  abess is left out: {error}")
        return
    left_out = scikit_learn(data, found, C, "newton-cholesky")
    pairs = ", ".join(f"{a:.3f}/{b:.3f}" for a, b in zip(left_out, rows["score"], strict=True))
    print(
        f"  abess, all sizes in {cpu:.2f} s CPU, by the likelihood of the training rows; "
        f"leave-one-out accuracy of its subsets/the best, by size: {pairs}"
    )


def main() -> None:
    """Read the arguments and run the parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--up-to", type=int, default=6, help="largest subset of the short search")
    parser.add_argument("--full", action="store_true", help="all 2^30 subsets instead")
    parser.add_argument("--certify", action="store_true", help="prove every bound")
    parser.add_argument("--raw", action="store_true", help="columns of different scales, as given")
    parser.add_argument("--C", type=float, default=1.0)
    parser.add_argument("--kernels", nargs="+", default=None, help="default: all available")
    parser.add_argument("--jobs", type=int, default=None, help="threads; default: all")
    parser.add_argument("--sample", type=int, default=20, help="subsets for the peers")
    parser.add_argument("--peers", action="store_true", help="only the other packages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")  # of solvers that stop early
    largest = FEATURES if options.full else options.up_to
    data = make_data(options.seed, options.raw)
    print(f"{ROWS} rows, {FEATURES} features, {data[1].sum()} positive, C = {options.C:g}")
    kernels = options.kernels or (available_kernels()[:1] if options.full else available_kernels())
    runs = [] if options.peers else [ours(data, largest, options, kernel) for kernel in kernels]
    if runs:
        check(runs[0][1], data, options.C)
        same = all(run[1].search_.sizes == runs[0][1].search_.sizes for run in runs)
        print(f"kernels agree on winners and ties: {same}" if runs[1:] else "")
    compare(data, largest, options, max((run[0] for run in runs), default=None))
    if runs:
        compare_abess(data, runs[0][1], options.C)


if __name__ == "__main__":
    main()
