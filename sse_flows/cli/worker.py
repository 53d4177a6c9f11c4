"""``sse worker``: run fireworks of a LaunchPad, many in one batch job."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    help="Run fireworks, many in one batch job; qlaunch starts it on the nodes of a cluster.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Categories = Annotated[
    list[str] | None,
    typer.Option(
        "--category",
        metavar="NAME",
        help="relax, supercell, postprocess or models; may be repeated.",
        show_default="that of the firework, else those of my_fworker.yaml",
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(min=1, help="Worker processes.", show_default="of profiles.yaml, else 1"),
]
Threads = Annotated[
    int | None,
    typer.Option(min=1, help="Threads of each.", show_default="of profiles.yaml, else 1"),
]
TimeLimit = Annotated[
    str | None,
    typer.Option(
        metavar="[D-]HH:MM:SS", help="End earlier than the Slurm job.", show_default=False
    ),
]
MinSeconds = Annotated[
    float | None,
    typer.Option(
        min=0,
        help="Begin nothing with less time left, s.",
        show_default="of profiles.yaml, else 300, or a third of short jobs",
    ),
]
Idle = Annotated[
    float, typer.Option(min=0, help="Wait so long for new work while other jobs run, s.")
]


@app.command()
def singleshot(
    fw_id: Annotated[
        int | None,
        typer.Option("--fw_id", "--fw-id", help="Firework to run first.", show_default=False),
    ] = None,
    categories: Categories = None,
    processes: Processes = None,
    threads: Threads = None,
    time_limit: TimeLimit = None,
    min_seconds: MinSeconds = None,
    idle: Idle = 30.0,
) -> None:
    """Run a reserved firework, then READY ones of its category until time or work is used up."""
    _run(fw_id, categories, processes, threads, time_limit, min_seconds, idle)


@app.command()
def rapidfire(
    categories: Categories = None,
    processes: Processes = None,
    threads: Threads = None,
    time_limit: TimeLimit = None,
    min_seconds: MinSeconds = None,
    idle: Idle = 30.0,
) -> None:
    """Run READY fireworks of the categories of my_fworker.yaml, with no reservation."""
    _run(None, categories, processes, threads, time_limit, min_seconds, idle)


def _run(
    fw_id: int | None,
    categories: list[str] | None,
    processes: int | None,
    threads: int | None,
    time_limit: str | None,
    min_seconds: float | None,
    idle: float,
) -> None:
    from sse_flows.launchers.workers import Request, run_workers

    request = Request(
        fw_id=fw_id,
        categories=tuple(categories or ()),
        processes=processes,
        threads=threads,
        time_limit=None if time_limit is None else _seconds(time_limit),
        min_seconds=min_seconds,
        idle=idle,
    )
    if not run_workers(request, typer.echo):
        raise typer.Exit(1)


def _seconds(text: str) -> float:
    from sse_flows.codes.walltime import parse_time_left

    seconds = parse_time_left(text) if ":" in text else None
    if not seconds:
        raise typer.BadParameter(f"{text!r}: write 30:00 for half an hour, or 1-00:00:00")
    return seconds
