"""The ``sse`` command: one file a noun, a few lines a command, heavy imports inside."""

from __future__ import annotations

import os
import sys

import typer

from sse_flows.cli import (
    band_center,
    campaign,
    center_screen,
    check,
    export,
    imports,
    init,
    models,
    recover,
    retrain,
    screen,
    submit,
    subsets,
    substitute,
    worker,
)
from sse_flows.cli.options import INTERRUPTED, Stopped
from sse_flows.errors import SSEError, configuration_error, one_line

app = typer.Typer(
    name="sse",
    help="Campaigns for solid electrolytes: phonons, descriptors, models, screening.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("check")(check.check)
app.add_typer(init.app, name="init")
app.command("run")(campaign.run)
app.command("submit")(submit.submit)
app.command("status", cls=campaign.StatusCommand)(campaign.status)
app.command("results")(campaign.results)
app.command("report")(campaign.report)
app.command("recover")(recover.recover)
app.command("train")(models.train)
app.command("evaluate")(models.evaluate)
app.command("export")(export.export)
app.add_typer(imports.app, name="import")
app.command(
    "screen",
    cls=center_screen.ScreenCommand,
    epilog="Screening by the phonon band centre: sse screen --model band-center --help",
)(screen.screen)
app.command("substitute")(substitute.substitute)
app.command("retrain")(retrain.retrain)
app.command("versions")(retrain.versions)
app.add_typer(worker.app, name="worker")
app.add_typer(subsets.app, name="subsets")
app.add_typer(band_center.app, name="band-center")


@app.callback(invoke_without_command=True)
def version(
    show: bool = typer.Option(False, "--version", help="Print the version and leave."),
) -> None:
    """Campaigns for solid electrolytes: phonons, descriptors, models, screening."""
    if show:
        from sse_flows import __version__

        typer.echo(f"sse-flows {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line; what a user can mend is one line on stderr, never a traceback."""
    try:
        app()
    except SystemExit as end:
        # where it is interrupted, typer ends in silence
        if end.code == INTERRUPTED and not isinstance(end, Stopped):
            _say_stopped()
        raise
    except SSEError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        _say_stopped()
        sys.exit(INTERRUPTED)
    except BrokenPipeError:  # the reader, head for instance, has had enough
        sys.stderr.close()
        sys.exit(141)
    except Exception as error:
        if os.environ.get("SSE_TRACEBACK"):
            raise
        typer.echo(f"error: {_told(error)}", err=True)
        sys.exit(1)


def _say_stopped() -> None:
    typer.echo("stopped; run the same command again to go on", err=True)


def _told(error: Exception) -> str:
    """What a foreign error says; nothing of a configuration, which may hold a password."""
    if wrong_file := configuration_error(error):
        return str(wrong_file)
    if type(error).__module__ == "pymongo.errors":
        from sse_flows.store.refusals import refused

        if no_right := refused(error, "the database"):
            return str(no_right)
    return f"{one_line(error)}. Set SSE_TRACEBACK=1 to see where"
