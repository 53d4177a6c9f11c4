"""``sse init``: a commented campaign file to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sse_flows.errors import SSEError

TEMPLATE = """\
# A campaign of sse-flows. Run it with `sse run {file}`; run it again to resume.
name: {name}
mobile_ion: Li            # an element symbol, or several by priority: [Li, Na]

# What the models learn from: compounds with a measured conductivity.
train:
  conductors: [li3n-alpha, li2s, lii]   # built-in ones to compute here; all for every one
  table: builtin          # descriptors of the built-in conductors, computed before; or a CSV file
  # files: [my_conductors/]             # CIF, POSCAR or pymatgen JSON; folders and patterns too
  # conductivities: my_conductors.csv   # columns id and conductivity_S_per_cm, for these files

# What is screened.
screen:
  files: []               # for example [pool/, candidates/*.cif]
  # materials_project:    # needs MP_API_KEY and pip install 'sse-flows[mp]'
  #   chemsys: [Li-P-S]
  #   energy_above_hull_max: 0.02       # eV/atom

# What computes energies and forces.
code:
  name: forcefield        # or espresso, see docs/espresso.md
  model: SevenNet-0       # or CHGNet, SevenNet-l3i5, a model atomate2 knows, a checkpoint file

relax:
  force_max: 0.001        # eV/Å, the space group is kept
phonons:
  displacement: 0.01      # Å
  supercell: min_length   # or primitive_2x2x2
  min_length: 10.0        # Å between periodic images

models:
  threshold: 1.0e-4       # S/cm: superionic above
  max_features: 4         # largest subset of descriptors; up to 30, which takes hours
filters:
  max_energy_above_hull: 0.05           # eV/atom; unknown values pass with a flag
  # anions: [O, S]
  # min_band_gap: 1.0     # eV
  # exclude_soft_modes: true

results:
  folder: runs/{{name}}     # relative to this file
"""


def init(
    path: Annotated[Path, typer.Argument(help="File to write.")] = Path("campaign.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite it.")] = False,
) -> None:
    """Write a commented campaign file."""
    if path.exists() and not force:
        raise SSEError(f"{path} exists already", mend="Name another file, or pass --force")
    name = "".join(c if c.isalnum() or c in "_.-" else "-" for c in path.stem).lstrip("_.-")
    try:
        path.write_text(TEMPLATE.format(name=name or "campaign", file=path.name))
    except OSError as error:
        raise SSEError(f"cannot write {path}: {error.strerror}") from error
    typer.echo(f"wrote {path}; edit it, then run: sse run {path}")
