"""Wall time of phonons: this package's flow against atomate2's as it comes.

Each flow computes the compounds one after the other in one fresh process: same model, same
relaxation threshold, same supercells and displacement. What is not a force call (imports, loading
the model, symmetry, the DOS, handling documents) is overhead; the imports, which both flows pay
once a process, are also listed alone. Prints a row a compound and the ratio of overheads.

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
from pathlib import Path

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
    spent = {"calls": 0, "seconds": 0.0, "cpu": 0.0}
    original = calculator.calculate

    def calculate(self, *args, **kwargs):
        start, cpu = time.perf_counter(), time.process_time()
        try:
            return original(self, *args, **kwargs)
        finally:
            spent["calls"] += 1
            spent["seconds"] += time.perf_counter() - start
            spent["cpu"] += time.process_time() - cpu

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


def run_all(kind: str, names: list[str], started: float) -> list[dict]:
    """Run one kind of flow in this process; a row for the imports and one for each compound."""
    import warnings

    warnings.filterwarnings("ignore")
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore
    from sevenn.calculator import SevenNetCalculator

    from sse_flows.phonons.supercell import smallest_supercell

    make = atomate2_flow if kind == "atomate2" else our_flow
    supercells = {name: smallest_supercell(structure(name), MIN_LENGTH) for name in names}
    flows = {name: make(name, supercells[name]) for name in names}
    spent = count_force_calls(SevenNetCalculator)
    rows = [_row("imports", started, 0.0, spent)]
    for name, flow in flows.items():
        spent.update(calls=0, seconds=0.0, cpu=0.0)
        start, cpu = time.time(), time.process_time()
        store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        run_locally(flow, store=store, log=False, ensure_success=True)
        row = _row(name, start, cpu, spent)
        row["center"] = band_center(store, flow, kind == "ours")
        rows.append(row)
    return rows


def _row(name: str, start: float, cpu: float, spent: dict[str, float]) -> dict:
    wall, total = time.time() - start, time.process_time() - cpu
    return {
        "name": name,
        "wall": wall,
        "force": spent["seconds"],
        "calls": spent["calls"],
        "overhead": wall - spent["seconds"],
        "overhead_cpu": total - spent["cpu"],
    }


def measure(kind: str, names: list[str]) -> list[dict]:
    """Run one kind of flow in a fresh process and folder."""
    script = str(Path(__file__).resolve())
    command = [sys.executable, script, "--one", kind, repr(time.time()), *names]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{kind} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def middle(runs: list[list[dict]], row: int, key: str) -> float:
    """Median over the runs of one figure."""
    return statistics.median(run[row][key] for run in runs)


def report(runs: dict[str, list[list[dict]]]) -> None:
    """Print the table and the ratios."""
    print("what      flow      wall/s  force/s  calls  overhead/s  overhead/CPU s  centre/meV")
    for row, first in enumerate(runs["ours"][0]):
        for kind, found in runs.items():
            figures = [middle(found, row, key) for key in ("wall", "force", "calls")]
            over = [middle(found, row, key) for key in ("overhead", "overhead_cpu")]
            center = found[0][row].get("center")
            print(
                f"{first['name']:8}  {kind:8}  {figures[0]:6.1f}  {figures[1]:7.1f}  "
                f"{figures[2]:5.0f}  {over[0]:10.1f}  {over[1]:14.1f}  "
                + (f"{center:10.3f}" if center else "")
            )
    for key, label in (("overhead", "wall"), ("overhead_cpu", "CPU")):
        pairs = list(zip(runs["ours"], runs["atomate2"], strict=True))
        whole = [sum(r[key] for r in a) / sum(r[key] for r in b) for a, b in pairs]
        alone = [sum(r[key] for r in a[:2]) / sum(r[key] for r in b[:2]) for a, b in pairs]
        warm = [sum(r[key] for r in a[1:]) / sum(r[key] for r in b[1:]) for a, b in pairs]
        print(
            f"overhead ours/atomate2, {label}: {statistics.median(whole):.3f} of the whole run, "
            f"{statistics.median(alone):.3f} of the first compound with the imports, "
            f"{statistics.median(warm):.3f} without the imports"
        )
    for ours, theirs in zip(runs["ours"][0][1:], runs["atomate2"][0][1:], strict=True):
        shift = abs(ours["center"] / theirs["center"] - 1)
        print(f"{ours['name']}: band centres differ by {shift:.2%}")


def main() -> None:
    """Measure all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("compounds", nargs="*", default=list(COMPOUNDS))
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    runs: dict[str, list[list[dict]]] = {"atomate2": [], "ours": []}
    for _ in range(options.repeat):  # in turn, so that a drift of the machine hits both
        for kind, found in runs.items():
            found.append(measure(kind, options.compounds))
    report(runs)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(run_all(sys.argv[2], sys.argv[4:], float(sys.argv[3]))))
    else:
        main()
