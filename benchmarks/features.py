"""The 273 features of Ward 2016 and 2017 beside matminer: agreement and speed.

    python benchmarks/features.py POOL.jsonl.gz [--minutes N] [--cache FILE] [--count N]

POOL has one header line, then a JSON object per crystal with `id`, `cell` [a, b, c, α, β, γ], `sp`
symbols and `xyz` fractional coordinates. A sample spread over sizes is computed by both, one
process and thread each; matminer's values and CPU seconds are kept in the cache file, so a run that
was cut off goes on. The relative deviation of a value is taken from the value or from the root
mean square of its column, whichever is larger.
"""

# ruff: noqa: E402 - threads are pinned before NumPy is imported
from __future__ import annotations

import argparse
import gzip
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"
warnings.filterwarnings("ignore")

import numpy as np
from pymatgen.core import Lattice, Structure

from sse_flows.descriptors.crystal.featurizer import BondStiffnessFeaturizer, WardFeaturizer
from sse_flows.descriptors.crystal.labels import LABEL_GROUPS, WARD_LABELS
from sse_flows.descriptors.crystal.rows import feature_rows
from sse_flows.descriptors.crystal.tessellation import tessellate
from sse_flows.testing.matminer_ward import matminer_ward

SAMPLE = ((1, 6, 45), (7, 12, 65), (13, 20, 45), (21, 30, 35), (31, 50, 24), (51, 80, 7))
"""Fewest sites, most sites, how many crystals; for these matminer takes minutes, not hours."""

LARGE = ((100, 112, 2), (140, 150, 1), (190, 200, 1))
"""The same, computed last."""

TOLERANCE = 1e-8
"""Relative deviation above which a crystal is listed."""


def read_pool(file: Path) -> list[dict]:
    """All crystals of the pool."""
    with gzip.open(file, "rt") as lines:
        next(lines)
        return [json.loads(line) for line in lines]


def choose(pool: list[dict], limit: int | None) -> list[dict]:
    """A sample spread evenly over the pool, sizes as in SAMPLE and then LARGE."""
    chosen = []
    for fewest, most, count in (*SAMPLE, *LARGE):
        fitting = [row for row in pool if fewest <= len(row["sp"]) <= most]
        steps = np.linspace(0, len(fitting) - 1, min(count, len(fitting))).astype(int)
        chosen += [fitting[k] for k in steps]
    return chosen[:limit]


def structure_of(row: dict) -> Structure:
    """The crystal with all sites in the cell: elsewhere matminer's values are wrong."""
    lattice = Lattice.from_parameters(*row["cell"])
    return Structure(lattice, row["sp"], row["xyz"], to_unit_cell=True)


def reference(featurizer, structure: Structure) -> dict:
    """Matminer's values or why it gave none, and its CPU seconds."""
    start = time.process_time()
    try:
        values = [float(value) for value in featurizer.featurize(structure)]
        outcome: dict = {"values": values}
    except Exception as problem:
        outcome = {"error": f"{type(problem).__name__}: {problem}"[:200]}
    return {**outcome, "seconds": time.process_time() - start}


def references(sample: list[dict], cache: Path, minutes: float) -> dict[str, dict]:
    """What matminer gives, from the cache or computed until the time is up."""
    known = {}
    if cache.exists():
        known = {one["id"]: one for one in map(json.loads, cache.read_text().splitlines())}
    featurizer = matminer_ward()
    assert featurizer.feature_labels() == list(WARD_LABELS)
    end = time.process_time() + 60 * minutes
    with cache.open("a") as file:
        for row in sample:
            if row["id"] not in known and time.process_time() < end:
                found = {"id": row["id"], **reference(featurizer, structure_of(row))}
                known[row["id"]] = found
                file.write(json.dumps(found) + "\n")
                file.flush()
    return known


def own_rows(sample: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    """Our features and CPU seconds of each crystal."""
    featurizer, rows, seconds = WardFeaturizer(), [], []
    featurizer.featurize(structure_of(sample[0]))  # loads the compiled code
    for row in sample:
        structure = structure_of(row)
        start = time.process_time()
        rows.append(featurizer.featurize(structure))
        seconds.append(time.process_time() - start)
    return np.array(rows), np.array(seconds)


def report_agreement(sample: list[dict], ours: np.ndarray, theirs: np.ndarray) -> None:
    """Largest relative deviation by group of columns, and every crystal beyond the tolerance."""
    scale = np.maximum(np.abs(theirs), np.sqrt(np.mean(theirs**2, axis=0)))
    deviation = np.abs(ours - theirs) / np.where(scale > 0, scale, 1.0)
    print(f"\n{'group':<20}{'columns':>8}{'largest relative deviation':>30}")
    for name, labels in LABEL_GROUPS.items():
        columns = [WARD_LABELS.index(label) for label in labels]
        print(f"{name:<20}{len(labels):>8}{deviation[:, columns].max():>30.1e}")
    for row, one in zip(sample, deviation, strict=True):
        if one.max() > TOLERANCE:
            names = [WARD_LABELS[k] for k in np.argsort(-one)[:3]]
            print(
                f"{row['id']}, {len(row['sp'])} sites: {one.max():.1e} in {', '.join(names)}; "
                f"pymatgen's cells fill the crystal {matminer_filling(structure_of(row)):.6f} times"
            )


def matminer_filling(structure: Structure) -> float:
    """Summed volume of the Voronoi cells that matminer uses, over that of the crystal."""
    from pymatgen.analysis.local_env import VoronoiNN

    cells = VoronoiNN().get_all_voronoi_polyhedra(structure)
    return sum(face["volume"] for cell in cells for face in cell.values()) / structure.volume


def report_speed(sample: list[dict], ours: np.ndarray, theirs: np.ndarray) -> None:
    """CPU seconds by size."""
    sizes = np.array([len(row["sp"]) for row in sample])
    print(f"\n{'sites':<10}{'crystals':>9}{'matminer, s':>13}{'ours, ms':>10}{'ratio':>9}")
    for fewest, most, _ in (*SAMPLE, *LARGE, (1, 1000, 0)):
        some = (sizes >= fewest) & (sizes <= most)
        if some.any():
            slow, fast = theirs[some].mean(), ours[some].mean()
            print(
                f"{f'{fewest}-{most}':<10}{some.sum():>9}{slow:>13.2f}{1000 * fast:>10.2f}"
                f"{slow / fast:>9.0f}"
            )
    print(f"structures a second and core: matminer {1 / theirs.mean():.2f}, {1 / ours.mean():.0f}")


def verdict(featurizer, structure: Structure, ours: np.ndarray) -> str:
    """How matminer does on one crystal whose features we know."""
    found = reference(featurizer, structure)
    if "error" in found:
        return found["error"].split("\n")[0]
    wrong = np.sum(~np.isclose(ours, found["values"], rtol=TOLERANCE, atol=1e-8))
    if not wrong:
        return "equal"
    return f"{wrong} values differ, its cells fill {matminer_filling(structure):.4f} crystals"


def report_odd(pool: list[dict]) -> None:
    """Small crystals with sites outside [0, 1), and with faces beyond pymatgen's 13 Å."""
    featurizer, ours = matminer_ward(), WardFeaturizer()
    small = [row for row in pool if len(row["sp"]) <= 12]
    outside = [row for row in small if np.any(np.floor(row["xyz"]))]
    print(f"\n{len(outside)} of {len(small)} crystals up to 12 sites have sites outside [0, 1):")
    for row in outside[:: max(1, len(outside) // 10)][:10]:
        given = Structure(Lattice.from_parameters(*row["cell"]), row["sp"], row["xyz"])
        values = np.array(ours.featurize(given))
        for name, one in (("as given", given), ("wrapped", structure_of(row))):
            print(f"{row['id']}, {len(given)} sites, {name}: {verdict(featurizer, one, values)}")
    sparse = [row for row in small if is_sparse(structure_of(row))]
    print(f"\n{len(sparse)} have faces between sites more than 13 Å apart:")
    for row in sparse:
        values = np.array(ours.featurize(structure_of(row)))
        print(
            f"{row['id']}, {len(row['sp'])} sites:", verdict(featurizer, structure_of(row), values)
        )


def is_sparse(structure: Structure) -> bool:
    """Whether two sites farther apart than pymatgen looks (13 Å) share a face."""
    cells = tessellate(structure.lattice.matrix, structure.frac_coords)
    return bool(np.any((cells.distances > 13.0) & (cells.areas > 1e-4)))


def report_pool(pool: list[dict]) -> None:
    """Speed over every 20th crystal of the pool, from arrays."""
    crystals = []
    for row in pool[::20]:
        crystals.append((Lattice.from_parameters(*row["cell"]).matrix, row["sp"], row["xyz"]))
    for chosen in ([WardFeaturizer()], [WardFeaturizer(), BondStiffnessFeaturizer()]):
        start = time.process_time()
        rows = feature_rows(crystals, chosen)
        spent = time.process_time() - start
        failed = sum(isinstance(row, Exception) for row in rows)
        columns = sum(len(one.feature_labels()) for one in chosen)
        print(
            f"{columns} features of {len(crystals)} crystals from arrays: "
            f"{1000 * spent / len(crystals):.2f} ms of CPU each, {failed} failed"
        )


def main() -> None:
    """Read the arguments, compute, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pool", type=Path)
    parser.add_argument("--minutes", type=float, default=25, help="CPU time matminer may take")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "ward_matminer.jsonl"
    )
    parser.add_argument("--count", type=int, help="only the first N of the sample")
    options = parser.parse_args()
    pool = read_pool(options.pool)
    sample = choose(pool, options.count)
    known = references(sample, options.cache, options.minutes)
    for row in sample:
        if "error" in known.get(row["id"], {}):
            print(
                f"matminer fails: {row['id']}, {len(row['sp'])} sites: {known[row['id']]['error']}"
            )
    done = [row for row in sample if "values" in known.get(row["id"], {})]
    theirs = np.array([known[row["id"]]["values"] for row in done])
    ours, seconds = own_rows(done)
    print(f"{len(done)} crystals of {min(len(r['sp']) for r in done)} sites or more")
    report_agreement(done, ours, theirs)
    report_speed(done, seconds, np.array([known[row["id"]]["seconds"] for row in done]))
    report_odd(pool)
    report_pool(pool)


if __name__ == "__main__":
    main()
