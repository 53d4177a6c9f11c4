"""How long a screen by the band centre takes, and how much memory: a pool and virtual compounds.

    python benchmarks/screen.py pool FILE [--model FOLDER] [--processes 2]
    python benchmarks/screen.py prototypes [--model FOLDER] [--processes 2]
    python benchmarks/screen.py peer FILE [--count 20]

`pool` and `prototypes` screen from end to end and print wall seconds, CPU seconds of this process
and of its workers, and the largest memory of any of them. `peer` computes the 128 structure
features of the first crystals of a pool with pymatgen and matminer, the usual way, for comparison.
CPU seconds and ratios hold on a busy machine, wall times only on an idle one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

_WHO = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def main() -> None:
    """Do what the command line asks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("what", choices=["pool", "prototypes", "peer"])
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--count", type=int, default=20)
    given = parser.parse_args()
    if given.what != "prototypes" and given.file is None:
        parser.error("name the pool")
    if given.what == "peer":
        print(json.dumps(peer(given.file, given.count), indent=1))
        return
    source = pool_source(given.file) if given.what == "pool" else prototype_source()
    print(json.dumps(screen(source, given.model, given.processes), indent=1))


def pool_source(path: Path) -> Any:
    """The crystals of a file or folder."""
    from sse_flows.screening.pools import open_pool

    return open_pool(path)


def prototype_source() -> Any:
    """The children of the six prototypes with all elements of the table."""
    from sse_flows.screening.pools import PrototypeChildren
    from sse_flows.structures.library import Library
    from sse_flows.structures.prototypes import load_prototypes

    return PrototypeChildren(Library.of(load_prototypes(), scale_volume=True))


def screen(source: Any, model: Path | None, processes: int) -> dict[str, Any]:
    """Screen once; what was found and what it cost."""
    from sse_flows.screening.band_center import load_centers
    from sse_flows.screening.center_screen import screen_centers

    def work() -> Any:
        return screen_centers(source, load_centers(model), processes=processes)

    found, cost = measured(work)
    said = found.summary
    return {
        "pool": said.source,
        "processes": processes,
        "predicted": said.predicted,
        "kept": len(found.table),
        "failed": len(said.failed),
        **cost,
        "predicted a CPU second": round(said.predicted / cost["CPU s"]),
    }


def peer(path: Path, count: int) -> dict[str, Any]:
    """The structure features of the first crystals by pymatgen and matminer, one process."""
    from matminer.featurizers.base import MultipleFeaturizer
    from matminer.featurizers.structure import (
        ChemicalOrdering,
        MaximumPackingEfficiency,
        SiteStatsFingerprint,
        StructuralHeterogeneity,
    )

    featurizer = MultipleFeaturizer(
        [
            SiteStatsFingerprint.from_preset("CoordinationNumber_ward-prb-2017"),
            StructuralHeterogeneity(),
            ChemicalOrdering(),
            MaximumPackingEfficiency(),
            SiteStatsFingerprint.from_preset("LocalPropertyDifference_ward-prb-2017"),
        ]
    )
    crystals = (one for batch in pool_source(path).batches() for one in batch.crystals())
    structures = [one.structure for one in itertools.islice(crystals, count)]
    _, cost = measured(lambda: [featurizer.featurize(one) for one in structures])
    return {"crystals": count, **cost, "a CPU second": round(count / cost["CPU s"], 3)}


def measured(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What a call returns and its wall seconds, CPU seconds with workers, and memory (GB)."""
    before, start = _cpu(), time.perf_counter()
    found = work()
    wall, cpu = time.perf_counter() - start, _cpu() - before
    memory = max(
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cost = {"wall s": wall, "CPU s": cpu, "largest process GB": memory / 1e6}
    return found, {name: round(value, 2) for name, value in cost.items()}


def _cpu() -> float:
    """User and system seconds of this process and of those that have ended."""
    uses = [resource.getrusage(who) for who in _WHO]
    return sum(use.ru_utime + use.ru_stime for use in uses)


if __name__ == "__main__":
    main()
