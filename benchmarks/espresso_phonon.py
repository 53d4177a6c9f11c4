"""CPU time of the displaced supercells of Quantum ESPRESSO: this package's flow against phonopy's.

Lithia sheared until only its centres of inversion are left: nine displaced cells of 12 atoms, no
relaxation. Three ways with the same keys of pw.x, each in a fresh process: our flow, where the
undisplaced cell comes first and its density starts the others; our flow without that; and phonopy's
command line by hand (`phonopy --qe -d`, pw.x on each cell, `phonopy --qe -f`). Prints the CPU
seconds of pw.x and of all (start of Python and imports included), how far the forces are apart, and
the band centres.

    python benchmarks/espresso_phonon.py [--cutoff 40] [--repeat 1]

Needs pw.x and PBEsol pseudopotentials of Li and O (ESPRESSO_PSEUDO). Minutes of one core.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELL = (4.50, 4.57, 4.64, 88, 93, 91)  # Å, degrees
DISPLACEMENT = 0.01  # Å
MESH = 15
MEV_PER_THZ = 4.135667696
ROUTES = ("with the density", "without", "phonopy by hand")


def crystal():
    """Cell of 12 atoms."""
    from pymatgen.core import Lattice, Structure

    cubic = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(CELL[0]), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    return Structure(Lattice.from_parameters(*CELL), cubic.species, cubic.frac_coords)


def quantum_espresso(cutoff: float):
    """The code, with one k point and pseudopotentials of Li and O."""
    from sse_flows.codes.espresso.code import Espresso

    namelists = {"system": {"ecutwfc": cutoff}}
    return Espresso("tight", supercell_kpoints=[1, 1, 1], input=namelists).of(["Li", "O"])


def run_ours(cutoff: float, start: bool) -> dict:
    """Our flow in the present folder."""
    import numpy as np
    from jobflow import JobStore, run_locally
    from maggma.stores import MemoryStore

    from sse_flows.phonons.flow import LatticeDynamicsMaker

    code = quantum_espresso(cutoff)
    maker = LatticeDynamicsMaker(
        code.phonon_maker(DISPLACEMENT),
        code.method,
        min_length=4.0,
        supercell_maker=code.supercell_maker() if start else None,
    )
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    flow = maker.make(crystal())
    responses = run_locally(flow, store=store, create_folders=True, ensure_success=True, log=False)
    document = store.get_output(flow.output.uuid, load=True)
    forces = [
        output.output.forces
        for by_index in responses.values()
        for response in by_index.values()
        if getattr(output := response.output, "task_label", "").startswith("forces")
    ]
    return {"forces": np.array(forces).tolist(), "centre": mesh_centre_of(document)}


def mesh_centre_of(document: dict) -> float:
    """Band centre, meV, of our document, by phonopy on `MESH`."""
    import numpy as np
    from phonopy import Phonopy
    from pymatgen.core import Structure

    from sse_flows.phonons.phonopy_adapter import phonopy_atoms

    def plain(cell) -> Structure:
        return cell if isinstance(cell, Structure) else Structure.from_dict(cell)

    phonon = Phonopy(
        phonopy_atoms(plain(document["unitcell"])),
        document["supercell_matrix"],
        primitive_matrix=document["primitive_matrix"],
    )
    phonon.force_constants = np.array(document["force_constants"])
    return mesh_centre(phonon)


def mesh_centre(phonon) -> float:
    """Mean energy of the modes above zero, meV."""
    phonon.run_mesh([MESH] * 3)
    mesh = phonon.get_mesh_dict()
    energies = mesh["frequencies"] * MEV_PER_THZ
    weights = mesh["weights"][:, None] * (energies > 0)
    return float((energies * weights).sum() / weights.sum())


def run_by_hand(cutoff: float) -> dict:
    """What a user of phonopy's command line types, in the present folder."""
    from ase.units import Bohr

    cards = write_inputs(cutoff)
    phonopy = [str(Path(sys.executable).with_name("phonopy")), "--qe", "-c", "unit.in"]
    amplitude = ["--amplitude", str(DISPLACEMENT / Bohr)]
    cells = [*phonopy, "-d", "--dim", "1", "1", "1", "--pa", "auto", *amplitude]
    subprocess.run(cells, stdout=subprocess.DEVNULL, check=True)
    outputs = []
    for path in sorted(Path().glob("supercell-*.in")):
        path.write_text(cards + path.read_text())
        outputs.append(f"{path.stem}.out")
        with Path(outputs[-1]).open("w") as output:
            subprocess.run(["pw.x", "-in", path.name], stdout=output, check=True)
    subprocess.run([*phonopy[:2], "-f", *outputs], stdout=subprocess.DEVNULL, check=True)

    import phonopy as library

    phonon = library.load("phonopy_disp.yaml", force_sets_filename="FORCE_SETS", log_level=0)
    return {"displacements": len(outputs), "centre": mesh_centre(phonon)}


def write_inputs(cutoff: float) -> str:
    """Write the cell as phonopy reads it; returns what comes before the cell in each input."""
    from sse_flows.codes.espresso.inputs import read_input, write_pw

    maker, cell = quantum_espresso(cutoff).phonon_maker().phonon_displacement_maker, crystal()
    write_pw(Path("ours.in"), cell, maker.settings, "scf", os.environ["ESPRESSO_PSEUDO"])
    namelists, cards = read_input(Path("ours.in"))
    used = type(namelists)({name: keys for name, keys in namelists.items() if keys})
    text = "\n".join(cards)
    Path("unit.in").write_text(used.to_string() + text + "\n")
    points = re.search(r"^K_POINTS.*\n(?:\s*[\d ]+\n)?", text, re.MULTILINE)
    return used.to_string() + str(points and points.group(0)) + "\n"


def measure(route: str, cutoff: float, folder: Path) -> dict:
    """One route in a process of its own: its answer, wall and CPU seconds."""
    command = [sys.executable, str(Path(__file__).resolve())]
    command += ["--cutoff", str(cutoff), "--route", route]
    folder.mkdir()
    began = time.perf_counter()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    if status:
        raise SystemExit(f"{route} failed: {(folder / 'log').read_text()[-2000:]}")
    answer = json.loads((folder / "answer.json").read_text())
    runs = [path for path in folder.rglob("*.out") if path.is_file()]
    return {
        **answer,
        "wall": wall,
        "cpu": usage.ru_utime + usage.ru_stime,
        "pw.x": sum(cpu_seconds(path.read_text()) for path in runs),
        "runs": len(runs),
    }


def cpu_seconds(text: str) -> float:
    """CPU time that pw.x or ph.x says it took, in its last line of times."""
    found = re.findall(
        r"(?:PWSCF|PHONON)\s+:\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:([\d.]+)s)? CPU", text
    )
    hours, minutes, seconds = (float(number or 0) for number in (found or [("", "", "")])[-1])
    return 3600 * hours + 60 * minutes + seconds


def difference(first: list, second: list) -> float:
    """Largest difference of forces, eV/Å."""
    import numpy as np

    return float(np.abs(np.array(first) - np.array(second)).max())


def show(measured: dict[str, list[dict]]) -> None:
    """Print the table: medians over the repetitions."""
    reference = statistics.median(one["cpu"] for one in measured["phonopy by hand"])
    print(f"{'':<18}{'runs':>5}{'pw.x, CPU s':>13}{'all, CPU s':>12}{'wall s':>9}{'ratio':>8}")
    for route, rows in measured.items():
        pw, cpu, wall = (
            statistics.median(one[key] for one in rows) for key in ("pw.x", "cpu", "wall")
        )
        numbers = f"{rows[0]['runs']:>5}{pw:>13.1f}{cpu:>12.1f}{wall:>9.1f}{cpu / reference:>8.3f}"
        print(f"{route:<18}{numbers}  centre {rows[0]['centre']:.3f} meV")
    forces = [measured[route][0]["forces"] for route in ROUTES[:2]]
    print(f"forces with and without the density: within {difference(*forces):.1e} eV/Å")


def main() -> None:
    """Run all routes in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--cutoff", type=float, default=40.0, help="Ry")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--route", choices=ROUTES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.route:
        run = (
            run_by_hand(args.cutoff)
            if args.route == ROUTES[2]
            else run_ours(args.cutoff, start=args.route == ROUTES[0])
        )
        Path("answer.json").write_text(json.dumps(run))
        return
    measured: dict[str, list[dict]] = {route: [] for route in ROUTES}
    with contextlib.ExitStack() as stack:
        for number in range(args.repeat):
            base = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for route in ROUTES:
                folder = base / f"{number}-{route.replace(' ', '-')}"
                measured[route].append(measure(route, args.cutoff, folder))
    show(measured)


if __name__ == "__main__":
    main()
