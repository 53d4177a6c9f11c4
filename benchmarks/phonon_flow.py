"""Wall time of one compound's phonons: this package's flow against atomate2's as it comes.

Each compound is computed by each flow in a fresh process: same model, same relaxation threshold,
same supercell and displacement. What is not a force call (imports, loading the model, symmetry,
the DOS, handling documents) is overhead. Prints one row a compound and the ratio of overheads.

    python benchmarks/phonon_flow.py [--repeat 3] [Li2O Li3N Li2S]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

COMPOUNDS = {
    "Li2O": ("Fm-3m", (4.57, 4.57, 4.57, 90, 90, 90), [("Li", [0.25] * 3), ("O", [0, 0, 0])]),
    "Li3N": (
        "P6/mmm",
        (3.65, 3.65, 3.87, 90, 90, 120),
        [("Li", [1 / 3, 2 / 3, 0]), ("Li", [0, 0, 0.5]), ("N", [0, 0, 0])],
    ),
    "Li2S": ("Fm-3m", (5.72, 5.72, 5.72, 90, 90, 90), [("Li", [0.25] * 3), ("S", [0, 0, 0])]),
}
FORCE_MAX = 0.001  # eV/Å
MIN_LENGTH = 10.0  # Å
DISPLACEMENT = 0.01  # Å


def structure(name: str):
    """Primitive cell of a compound."""
    from pymatgen.core import Lattice, Structure

    group, cell, sites = COMPOUNDS[name]
    species, coords = zip(*sites, strict=True)
    crystal = Structure.from_spacegroup(group, Lattice.from_parameters(*cell), species, coords)
    return crystal.get_primitive_structure()


def count_force_calls(calculator: type) -> dict[str, float]:
    """Make a calculator class count its calls and the time they take."""
    spent = {"calls": 0, "seconds": 0.0}
    original = calculator.calculate

    def calculate(self, *args, **kwargs):
        start = time.perf_counter()
        try:
            return original(self, *args, **kwargs)
        finally:
            spent["calls"] += 1
            spent["seconds"] += time.perf_counter() - start

    calculator.calculate = calculate
    return spent


def atomate2_flow(name: str, supercell: list[list[int]]):
    """atomate2's PhononMaker with its defaults but for model, threshold, cell and displacement."""
    from atomate2.forcefields.flows.phonons import PhononMaker
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker, ForceFieldStaticMaker

    model = {"force_field_name": "SevenNet"}
    relax = {"fmax": FORCE_MAX}
    maker = PhononMaker(
        displacement=DISPLACEMENT,
        bulk_relax_maker=ForceFieldRelaxMaker(relax_kwargs=relax, fix_symmetry=True, **model),
        static_energy_maker=ForceFieldStaticMaker(**model),
        phonon_displacement_maker=ForceFieldStaticMaker(**model),
    )
    return maker.make(structure(name), supercell_matrix=supercell)


def our_flow(name: str, supercell: list[list[int]]):
    """The chain of relaxation and lattice dynamics that a campaign runs."""
    from jobflow import Flow

    from sse_flows.codes.forcefield import ForceField
    from sse_flows.phonons.flow import LatticeDynamicsMaker

    code = ForceField("SevenNet-0")
    relax = code.relax_maker(FORCE_MAX).make(structure(name))
    maker = LatticeDynamicsMaker(
        code.phonon_maker(DISPLACEMENT), code.method, min_length=MIN_LENGTH
    )
    relaxed = relax.output
    return Flow([relax, maker.make(relaxed.structure, name, relaxed.output.energy)])


def band_center(store, flow, ours: bool) -> float:
    """Total phonon band centre of the flow's document, meV."""
    import numpy as np

    job = list(flow.iterflow())[-1][0]
    document = store.get_output(job.uuid, load=True)
    if ours:
        return document["band_center"]["total"]
    dos = document["phonon_dos"]
    frequencies, densities = np.array(dos["frequencies"]), np.array(dos["densities"])
    keep = frequencies > 0
    return 4.135667696 * (frequencies * densities)[keep].sum() / densities[keep].sum()


def run_one(kind: str, name: str, supercell: list[list[int]], started: float) -> dict:
    """Run one flow in this process and account for its time since the process was started."""
    import warnings

    warnings.filterwarnings("ignore")
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore
    from sevenn.calculator import SevenNetCalculator

    spent = count_force_calls(SevenNetCalculator)
    flow = (atomate2_flow if kind == "atomate2" else our_flow)(name, supercell)
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(flow, store=store, log=False, ensure_success=True)
    wall = time.time() - started
    return {
        "wall": wall,
        "force": spent["seconds"],
        "calls": spent["calls"],
        "overhead": wall - spent["seconds"],
        "center": band_center(store, flow, kind == "ours"),
    }


def measure(kind: str, name: str, supercell: list[list[int]]) -> dict:
    """Run one flow in a fresh process and folder."""
    command = [sys.executable, os.path.abspath(__file__), "--one", kind, name]
    command += [json.dumps(supercell), repr(time.time())]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{kind} {name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("compounds", nargs="*", default=list(COMPOUNDS))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    from sse_flows.phonons.supercell import smallest_supercell

    print("compound  flow      wall/s  force/s  calls  overhead/s  band centre/meV")
    for name in options.compounds:
        supercell = smallest_supercell(structure(name), MIN_LENGTH)
        runs: dict[str, list[dict]] = {"atomate2": [], "ours": []}
        for _ in range(options.repeat):  # in turn, so that a drift of the machine hits both
            for kind, found in runs.items():
                found.append(measure(kind, name, supercell))
        for kind, found in runs.items():
            middle = {key: statistics.median(run[key] for run in found) for key in found[0]}
            print(
                f"{name:8}  {kind:8}  {middle['wall']:6.1f}  {middle['force']:7.1f}  "
                f"{middle['calls']:5.0f}  {middle['overhead']:10.1f}  {middle['center']:8.3f}"
            )
        pairs = zip(runs["ours"], runs["atomate2"], strict=True)
        ratio = statistics.median(a["overhead"] / b["overhead"] for a, b in pairs)
        shift = abs(runs["ours"][0]["center"] / runs["atomate2"][0]["center"] - 1)
        print(f"{name:8}  overhead ours/atomate2 {ratio:.3f}; band centres differ by {shift:.2%}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        kind, name, supercell, started = sys.argv[2:]
        print(json.dumps(run_one(kind, name, json.loads(supercell), float(started))))
    else:
        main()
