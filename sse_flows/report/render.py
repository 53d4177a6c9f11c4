"""Pages as text and as a file: one HTML document that asks nothing of the network."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sse_flows.errors import SSEError
from sse_flows.models.document import TrainedModels
from sse_flows.report import text
from sse_flows.report.document import ReportData
from sse_flows.report.model_page import ModelPage, make_model_page
from sse_flows.report.page import Page, make_page
from sse_flows.report.palette import diverging_css, element_css, element_slots
from sse_flows.report.phonon_figure import elements_of
from sse_flows.screening.versions import ModelVersion

_TEMPLATES = Path(__file__).parent / "templates"


@lru_cache(maxsize=1)
def environment() -> Environment:
    """Templates that escape everything and refuse a name that is not there."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sortkey"] = text.sort_key
    return environment


def render(report: ReportData) -> str:
    """The report as one HTML document.

    Parameters
    ----------
    report
        All that the page shows; models, screening and any compound's documents may be absent.

    Returns
    -------
    str
        HTML with its style, script and figures inside. Its Content-Security-Policy names the
        style and the script by their hashes and forbids everything else, the network included.
    """
    return _filled("page.html.j2", make_page(report), _element_style(report))


def render_model(
    models: TrainedModels, name: str = "Trained models", version: ModelVersion | None = None
) -> str:
    """Trained models alone as one HTML document, as self-contained as that of a campaign."""
    return _filled("model_page.html.j2", make_model_page(models, name, version))


def _filled(template: str, page: Page | ModelPage, more_style: str = "") -> str:
    """A page with its style, script and policy."""
    style = page_style() + diverging_css() + more_style
    script = environment().get_template("script.html.j2").render()
    return (
        environment()
        .get_template(template)
        .render(
            page=page,
            policy=page_policy(style, script),
            style=Markup(style),  # noqa: S704  our own file and element symbols
            script=Markup(script),  # noqa: S704
        )
    )


def write_report(report: ReportData, path: str | Path) -> Path:
    """Write the page, at once or not at all.

    Parameters
    ----------
    report
        What to show.
    path
        The file to make; folders above it are made too. A reader never sees half a page.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SSEError
        If the file cannot be written.
    """
    return _written(render(report), Path(path))


def write_model_page(
    models: TrainedModels, path: str | Path, version: ModelVersion | None = None
) -> Path:
    """Write a page of trained models alone: scores, figures, signs, correlations, compounds.

    Parameters
    ----------
    models
        What `train` or `load_models` gave; its estimators are not opened.
    path
        The file to make, as for `write_report`. The page is named after its folder.
    version
        Which version of a series they are: the page then says what changed since the one before.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SSEError
        If the file cannot be written.
    """
    path = Path(path)
    return _written(render_model(models, path.resolve().parent.name, version), path)


def _written(page: str, path: Path) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, page)
    except OSError as error:
        raise SSEError(
            f"the report cannot be written to {path}: {error.strerror or error}",
            mend="Free space or choose a folder you may write to.",
        ) from error
    return path


def replace(path: Path, content: str) -> None:
    """Write beside `path`, then take its place."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp's 0600 would hide the page from the group
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _element_style(report: ReportData) -> str:
    """Colours of the elements that occur."""
    drawn = [set(elements_of(c.dynamics)) for c in report.compounds if c.dynamics]
    return element_css(element_slots(drawn, report.mobile_ion))


def page_style() -> str:
    """The style sheet of all pages."""
    return (_TEMPLATES / "page.css").read_text(encoding="utf-8")


def page_policy(style: str, script: str | None = None) -> str:
    """A policy under which the page runs its own style and script, if any, and nothing else."""
    own = "" if script is None else f"script-src 'sha256-{_sha256(script)}'; "
    return (
        f"default-src 'none'; style-src 'sha256-{_sha256(style)}'; "
        f"{own}base-uri 'none'; form-action 'none'"
    )


def _sha256(content: str) -> str:
    return base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
