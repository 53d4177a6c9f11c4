"""Import of the Kyoto phonon database beside phonopy's own command line.

    python benchmarks/import_kyoto.py DATA_FOLDER [--limit N] [--sample N] [--processes N]

Per entry of a sample, spread evenly over sizes: CPU seconds of ours (read, force constants,
projected DOS, soft modes, entropy, bands, 30 descriptors) against `phonopy-load` with a projected
DOS on the same Γ-centred mesh, less what phonopy-load takes to start; and how far the total band
centres agree. Then the import of all entries (or the first N) with its total CPU and wall time.
phonopy gets the entry as phonopy_params.yaml, whose making is not counted.
"""

# ruff: noqa: E402 - threads are pinned before NumPy is imported
from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np

from sse_flows.campaign.importing import describe_entry, import_entries
from sse_flows.phonons.born import read_born
from sse_flows.phonons.crystal import read_crystal
from sse_flows.phonons.entries import Entry, Source, find_entries, read_entry
from sse_flows.phonons.force_sets import force_constants_of
from sse_flows.phonons.imported import entry_dynamics
from sse_flows.store.jobstore import open_store
from sse_flows.units import THZ_TO_MEV


def children_seconds() -> float:
    """CPU seconds of all processes that ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_phonopy(folder: Path, *arguments: str) -> float:
    """CPU seconds of phonopy-load in a folder."""
    script = Path(sys.executable).with_name("phonopy-load")
    before = children_seconds()
    subprocess.run([str(script), *arguments], cwd=folder, check=True, capture_output=True)
    return children_seconds() - before


def write_params(entry: Entry, file: Path) -> None:
    """The entry as phonopy's own file, with displacements, forces and Born charges."""
    from phonopy import Phonopy

    crystal = read_crystal(entry)
    _, axes = force_constants_of(entry, crystal)
    phonon = Phonopy(crystal.unitcell, crystal.supercell_matrix, primitive_matrix=axes)
    phonon.dataset = crystal.dataset
    if "BORN" in entry.files:
        phonon.nac_params = {**read_born(entry, crystal, axes), "factor": 14.399652}
    phonon.save(file, settings={"force_sets": True})


def compare(source: Source) -> tuple[float, float, float, int]:
    """CPU seconds of ours and of phonopy-load, deviation of the band centre, atoms."""
    start = time.process_time()
    entry = read_entry(source)
    dynamics = entry_dynamics(entry)
    describe_entry(dynamics, "Li")
    ours = time.process_time() - start
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_params(entry, folder / "phonopy_params.yaml")
        atoms = " ".join(str(i + 1) for i in range(len(dynamics.primitive)))
        mesh = " ".join(map(str, dynamics.mesh))
        theirs = run_phonopy(
            folder, "phonopy_params.yaml", "--mesh", *mesh.split(), "--gc", "--pdos", atoms
        )
        grid, *columns = np.loadtxt(folder / "projected_dos.dat").T
        dos = np.sum(columns, axis=0)
    stable = grid > 0
    center = float(grid[stable] @ dos[stable] / dos[stable].sum()) * THZ_TO_MEV
    return ours, theirs, center / dynamics.band_center["total"] - 1, len(dynamics.primitive)


def benchmark_sample(sources: list[Source]) -> None:
    """Print a table of entries, and the ratio."""
    with tempfile.TemporaryDirectory() as scratch:
        start_up = run_phonopy(Path(scratch), "--help")
    entry_dynamics(read_entry(sources[0]))  # imports, on both sides not counted
    print(f"phonopy-load starts in {start_up:.2f} CPU s")
    print(f"{'entry':<12}{'atoms':>6}{'ours':>9}{'phonopy':>9}{'ratio':>8}{'centre':>9}")
    sums = np.zeros(2)
    for source in sources:
        ours, whole, deviation, atoms = compare(source)
        theirs = max(whole - start_up, 0.0)
        sums += ours, theirs
        print(
            f"{source.compound_id:<12}{atoms:>6}{ours:>9.2f}{theirs:>9.2f}"
            f"{theirs / ours:>8.1f}{deviation:>9.2%}",
            flush=True,
        )
    print(f"all{sums[0]:>24.2f}{sums[1]:>9.2f}{sums[1] / sums[0]:>8.1f}")


def benchmark_import(sources: list[Source], processes: int) -> None:
    """Import into a store of its own; print CPU, wall time and memory."""
    before, start = children_seconds(), time.monotonic()
    with tempfile.TemporaryDirectory() as scratch:
        outcomes = import_entries(sources, open_store(scratch), processes=processes)
        size = sum(file.stat().st_size for file in Path(scratch).iterdir())
    wall, cpu = time.monotonic() - start, children_seconds() - before
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
    done = sum(one.state == "imported" for one in outcomes)
    print(
        f"{done} of {len(sources)} entries on {processes} processes: {wall / 60:.1f} min, "
        f"{cpu / 60:.1f} CPU min, largest worker {memory:.2f} GB, store {size / 1e6:.0f} MB"
    )


def main() -> None:
    """Read the arguments and run both parts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data_folder", type=Path)
    parser.add_argument("--limit", type=int, help="import only so many entries (0: none)")
    parser.add_argument("--sample", type=int, default=8, help="entries to compare with phonopy")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    sources = find_entries([options.data_folder])
    by_size = sorted(sources, key=lambda one: one.path.stat().st_size)
    steps = np.linspace(0, 0.9 * (len(by_size) - 1), options.sample).astype(int)
    benchmark_sample([by_size[i] for i in steps])
    chosen = sources if options.limit is None else sources[: options.limit]
    if chosen:
        benchmark_import(chosen, options.processes)


if __name__ == "__main__":
    main()
