"""One campaign by every code there is: the same file but for `code:`, descriptors side by side.

Lithia, 12-atom supercells, few k points: small enough for minutes of one core, so that the codes
can be compared, not the numbers believed. Each code runs in a process of its own and writes its
report; one that is not available is left out, with the reason. VASP is the stand-in of the tests:
its column shows that the way is the same, not what VASP would say.

    python benchmarks/codes_side_by_side.py [--folder runs/side_by_side] [forcefield espresso vasp]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EDGE = 4.57  # Å
CAMPAIGN = """\
name: side-by-side
screen: {{files: [li2o.cif]}}
train: {{table: builtin}}
code: {code}
phonons: {{min_length: 4.0}}
models: {{max_features: 1, trees: 50, nested: false}}
formation_energies: false
results: {{folder: results}}
"""
SECTIONS = {
    "forcefield": "forcefield",
    "espresso": (
        "{name: espresso, kpoints: [4, 4, 4], supercell_kpoints: [2, 2, 2], "
        "input: {system: {ecutwfc: 45}}}"
    ),
    "vasp": "vasp",
}
DOUBLE = "sse_flows.testing.vasp_double"


def why_not(code: str) -> str | None:
    """Why a code cannot run here; None where it can."""
    from sse_flows.campaign.codes import CODES

    if code not in CODES:
        return f"this version of sse-flows has no code: {code}"
    if code == "forcefield":
        return None if importlib.util.find_spec("sevenn") else "sevenn is not installed"
    if code == "vasp":
        return None if importlib.util.find_spec(DOUBLE) else "there is no stand-in for VASP"
    from sse_flows.codes.espresso.check import find_program

    missing = [name for name in ("pw.x", "ph.x") if find_program(name=name) is None]
    if missing:
        return f"{' and '.join(missing)} not on PATH"
    return None if os.environ.get("ESPRESSO_PSEUDO") else "ESPRESSO_PSEUDO is not set"


def environment(code: str, folder: Path) -> dict[str, str]:
    """Variables that the process of a code needs beside the present ones."""
    if code != "vasp":
        return {}
    with warnings.catch_warnings(action="ignore"):
        return importlib.import_module(DOUBLE).install(folder / "stand-in")


def write_campaign(folder: Path, code: str) -> Path:
    """Structure and campaign file."""
    from pymatgen.core import Lattice, Structure

    folder.mkdir(parents=True, exist_ok=True)
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(EDGE), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    crystal.to(str(folder / "li2o.cif"))
    path = folder / "campaign.yaml"
    path.write_text(CAMPAIGN.format(code=SECTIONS[code]))
    return path


def run_one(path: Path) -> None:
    """Run the campaign in this process; the answer goes into a file beside it."""
    from sse_flows.campaign.flow import Plan
    from sse_flows.campaign.local import run_campaign
    from sse_flows.campaign.results import CampaignResults
    from sse_flows.store.jobstore import open_store

    outcome = run_campaign(path, processes=1)
    folder = path.parent / "results"
    sets = CampaignResults(open_store(folder), Plan.read(folder)).descriptors()
    problems = [f"{one.stage}: {one.reason}" for one in outcome.status.problems]
    answer = {"problems": problems, "report": str(outcome.report)}
    if sets:
        answer |= {"method": sets[0].method, "values": sets[0].values}
    (path.parent / "answer.json").write_text(json.dumps(answer))


def measure(code: str, folder: Path) -> dict:
    """Run one code in a process of its own: its answer, wall and CPU seconds."""
    path = write_campaign(folder, code)
    began = time.perf_counter()
    command = [sys.executable, str(Path(__file__).resolve()), "--campaign", str(path)]
    process = subprocess.Popen(command, env={**os.environ, **environment(code, folder)})
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        return {"problems": ["the process ended with an error"]}
    answer = json.loads((folder / "answer.json").read_text())
    seconds = {"wall": time.perf_counter() - began, "cpu": usage.ru_utime + usage.ru_stime}
    return {**answer, **seconds}


def show(answers: dict[str, dict]) -> None:
    """Print descriptors, times and where the reports are."""
    from sse_flows.descriptors.document import UNITS

    done = {code: one for code, one in answers.items() if "values" in one}
    print(f"{'':<42}" + "".join(f"{code:>12}" for code in done))
    for name, unit in UNITS.items():
        label = f"{name}, {unit}" if unit else name
        cells = (one["values"][name] for one in done.values())
        print(
            f"{label:<42}" + "".join("           -" if v is None else f"{v:12.3f}" for v in cells)
        )
    for key in ("cpu", "wall"):
        print(f"{key + ', s':<42}" + "".join(f"{one[key]:12.0f}" for one in done.values()))
    for code, one in answers.items():
        print(f"{code}: {one.get('method', 'failed')}; report {one.get('report')}")
        for problem in one["problems"]:
            print(f"    {problem}")


def main() -> None:
    """Run the codes in turn and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("codes", nargs="*", help="forcefield, espresso, vasp; by default all")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "side_by_side")
    parser.add_argument("--campaign", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.campaign:
        return run_one(args.campaign)
    if unknown := set(args.codes) - set(SECTIONS):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(SECTIONS)}")
    answers = {}
    for code in args.codes or SECTIONS:
        if reason := why_not(code):
            print(f"{code}: left out, {reason}")
        else:
            answers[code] = measure(code, args.folder.resolve() / code)
    if answers:
        show(answers)
    return None


if __name__ == "__main__":
    main()
