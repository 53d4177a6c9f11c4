"""Band centres of Li2O by Quantum ESPRESSO, beside the Kyoto database's and a force field's.

Runs a campaign on one compound: relaxation, 24 atoms (2x2x2 of the primitive cell, the default) or
96 (2x2x2 of the conventional one), Born charges. The two columns to compare with are those of
docs/force_fields.csv, which benchmarks/force_fields.py measured. Results are kept in the folder: a
second run prints them, an interrupted one goes on.

    python benchmarks/espresso_li2o.py [--folder runs/espresso_li2o] [--atoms 24] [--cutoff 60]

Needs pw.x, ph.x and PBEsol pseudopotentials of Li and O (ESPRESSO_PSEUDO). Each of the two
displaced supercells takes minutes of one core with 24 atoms, far more with 96.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from espresso_phonon import cpu_seconds

ROOT = Path(__file__).resolve().parents[1]
EDGE = 4.57  # Å, the start of the relaxation
CAMPAIGN = """\
name: espresso-li2o
screen: {{files: [li2o.cif]}}
train: {{table: builtin}}
code:
  name: espresso
  functional: PBEsol
  kpoints: 0.3
  supercell_kpoints: {kpoints}
  input: {{system: {{ecutwfc: {cutoff}}}}}
phonons: {phonons}
models: {{max_features: 1, trees: 10, nested: false}}
formation_energies: false
results: {{folder: results}}
"""
PHONONS = {24: "{supercell: primitive_2x2x2}", 96: "{min_length: 9.0}"}
KPOINTS = {24: "[3, 3, 3]", 96: "[2, 2, 2]"}
CENTRES = {"total": "total", "mobile": "Li", "anion": "O"}


def write_campaign(folder: Path, atoms: int, cutoff: float) -> Path:
    """Structure and campaign file."""
    from pymatgen.core import Lattice, Structure

    folder.mkdir(parents=True, exist_ok=True)
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(EDGE), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )
    crystal.to(str(folder / "li2o.cif"))
    text = CAMPAIGN.format(kpoints=KPOINTS[atoms], cutoff=cutoff, phonons=PHONONS[atoms])
    path = folder / "campaign.yaml"
    path.write_text(text)
    return path


def measured(path: Path) -> tuple[dict[str, float], float]:
    """Run the campaign; band centres, meV, and the lattice constant, Å."""
    from sse_flows.campaign.flow import Plan
    from sse_flows.campaign.local import run_campaign
    from sse_flows.campaign.results import CampaignResults
    from sse_flows.store.jobstore import open_store

    outcome = run_campaign(path, processes=1, note=print, report=False)
    for problem in outcome.status.problems:
        print(f"{problem.stage}: {problem.reason}. {problem.mend}")
    folder = path.parent / "results"
    sets = CampaignResults(open_store(folder), Plan.read(folder)).descriptors()
    if not sets:
        raise SystemExit("the campaign did not come through")
    values = sets[0].values
    centres = {part: values[f"phonon_band_center_{part}"] for part in CENTRES}
    return centres, (4 * values["volume_per_formula"]) ** (1 / 3)


def compared() -> dict[str, dict[str, float]]:
    """Band centres of Kyoto and of the default force field, meV, from the table in docs."""
    with (ROOT / "docs" / "force_fields.csv").open() as handle:
        rows = [
            row
            for row in csv.DictReader(handle)
            if (row["compound_id"], row["model"], row["cell"])
            == ("mp-1960", "SevenNet-0", "relaxed")
        ]
    (row,) = rows
    return {
        "Kyoto (PBEsol)": {part: float(row[f"phonon_band_center_{part}_dft"]) for part in CENTRES},
        "SevenNet-0": {part: float(row[f"phonon_band_center_{part}"]) for part in CENTRES},
    }


def main() -> None:
    """Run and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "runs" / "espresso_li2o")
    parser.add_argument("--atoms", type=int, choices=sorted(PHONONS), default=24)
    parser.add_argument("--cutoff", type=float, default=60.0, help="Ry")
    args = parser.parse_args()
    folder = args.folder.resolve() / f"{args.atoms}-atoms-{args.cutoff:g}-Ry"
    centres, edge = measured(write_campaign(folder, args.atoms, args.cutoff))
    rows = {**compared(), f"Quantum ESPRESSO, {args.atoms} atoms": centres}
    print(f"{'band centre, meV':<28}" + "".join(f"{name:>8}" for name in CENTRES.values()))
    for name, values in rows.items():
        print(f"{name:<28}" + "".join(f"{values[part]:8.2f}" for part in CENTRES))
    print(f"lattice constant {edge:.3f} Å")
    outputs = [*folder.glob("results/work/*/pw.out"), *folder.glob("results/work/*/ph.out")]
    print(f"pw.x and ph.x: {sum(cpu_seconds(path.read_text()) for path in outputs):.0f} CPU s")


if __name__ == "__main__":
    main()
