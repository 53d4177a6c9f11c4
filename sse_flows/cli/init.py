"""``sse init``: a commented campaign file to start from, and the files of a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from typer.core import TyperGroup

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
  name: forcefield        # or espresso or vasp: docs/espresso.md, docs/vasp.md
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


class InitGroup(TyperGroup):
    """``sse init cluster`` is a command; ``sse init`` and anything else writes a campaign file."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Put the command in front that was left out."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["campaign", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=InitGroup,
    help="Write a commented campaign file, or with `cluster` the files of a cluster.",
    rich_markup_mode=None,
)


@app.command("campaign")
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


Folder = Annotated[
    Path, typer.Argument(help="Where to write them.", show_default="~/.fireworks, found by itself")
]
Uri = Annotated[
    str | None,
    typer.Option(
        metavar="mongodb://...",
        help="Instead of host and port; without user and password.",
        show_default=False,
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        help="Of MongoDB; its password is asked for, or SSE_MONGODB_PASSWORD.", show_default=False
    ),
]
AuthSource = Annotated[
    str | None,
    typer.Option(help="Database that knows the user.", show_default="the database itself"),
]
Code = Annotated[
    Literal["forcefield", "dft"],
    typer.Option(help="What the heavy jobs run: a process a core, or MPI programs."),
]


@app.command("cluster")
def cluster(
    folder: Folder = Path("~/.fireworks"),
    host: Annotated[str, typer.Option(help="Of MongoDB.")] = "localhost",
    port: Annotated[int, typer.Option(help="Of MongoDB.")] = 27017,
    database: Annotated[str, typer.Option(help="Name of the database.")] = "sse",
    uri: Uri = None,
    username: Username = None,
    auth_source: AuthSource = None,
    tls: Annotated[bool, typer.Option("--tls", help="Encrypt the connection.")] = False,
    tls_ca_file: Annotated[
        Path | None, typer.Option(help="Certificate to trust.", show_default=False)
    ] = None,
    partition: Annotated[
        str | None, typer.Option(help="Of Slurm.", show_default="the default one")
    ] = None,
    account: Annotated[
        str | None, typer.Option(help="Of Slurm.", show_default="the user's own")
    ] = None,
    code: Code = "forcefield",
    max_queued: Annotated[int, typer.Option(min=1, help="Most jobs in the queue at a time.")] = 20,
    force: Annotated[bool, typer.Option("--force", help="Replace files.")] = False,
) -> None:
    """Write the files of FireWorks and jobflow for this cluster; what Slurm knows is not asked."""
    from sse_flows.launchers.discovery import ask_slurm
    from sse_flows.launchers.site import (
        Choices,
        Database,
        find_password,
        next_steps,
        refuse_certificate,
        refuse_password,
        write_site,
    )

    refuse_password(uri)
    refuse_certificate(tls_ca_file)
    password = find_password(username, typer.prompt)  # first: Slurm's commands must not inherit it
    slurm = ask_slurm(partition)
    there = Database(
        host=host,
        port=port,
        name=database,
        username=username,
        password=password,
        auth_source=auth_source,
        tls=tls,
        tls_ca_file=str(tls_ca_file) if tls_ca_file else None,
        uri=uri,
    )
    choices = Choices(partition, account, code, max_queued)
    written = write_site(folder, there, slurm, choices, force)
    typer.echo(slurm.summary())
    typer.echo(f"wrote {len(written)} files in {written[0].parent}")
    if slurm.version and not uri and host in ("localhost", "127.0.0.1"):
        typer.echo("note: the nodes must find the database, too; on them localhost is another one")
    for line in next_steps(folder):
        typer.echo(line)
