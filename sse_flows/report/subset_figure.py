"""Best score against the number of features, as a file of its own: SVG, HTML or PNG."""

from __future__ import annotations

from html import escape
from pathlib import Path

from markupsafe import Markup

from sse_flows.errors import SSEError
from sse_flows.models.subset_document import SubsetResult
from sse_flows.report import svg
from sse_flows.report.model_figures import HEIGHT, WIDTH, curve_figure

SCORE_NAMES = {"accuracy": "accuracy", "f1": "F1", "log_loss": "log loss (nats)"}
SUFFIXES = (".svg", ".html", ".png")

_COLOURS = ("#0d6b70", "#d9721a")
_STYLE = """
svg { font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; background: #fff; }
svg text { font-size: 12px; fill: #5a6675; }
svg .mid { text-anchor: middle; } svg .end { text-anchor: end; }
svg .grid { stroke: #e9ecee; } svg .frame { fill: none; stroke: #dfe3e6; }
svg .threshold { stroke: #5a6675; stroke-dasharray: 4 4; }
svg .curve { fill: none; stroke: var(--c); stroke-width: 1.8; }
svg .dot { fill: var(--c); stroke: #fff; stroke-width: 1; }
"""
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body {{ max-width: 46rem; margin: 2rem auto; padding: 0 1rem; color: #18212b;
font-family: system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }} svg {{ width: 100%; }}
ul {{ list-style: none; padding: 0; display: flex; gap: 1.2rem; }}
li::before {{ content: "■ "; color: var(--c); }}{style}</style></head>
<body><h1>{title}</h1>{figure}<ul>{legend}</ul><p>{caption}</p></body></html>
"""


def write_subset_figure(result: SubsetResult, path: Path) -> None:
    """Draw the figure into a file; the suffix says which kind.

    Raises
    ------
    SSEError
        If the suffix is none of these, or the file cannot be written.
    """
    check_suffix(path)
    try:
        if path.suffix.lower() == ".png":
            return _write_png(result, path)
        as_html = path.suffix.lower() == ".html"
        path.write_text(_html(result) if as_html else _svg(result), encoding="utf-8")
    except OSError as error:
        raise SSEError(f"cannot write {path}: {error.strerror}", mend="Name another") from error


def check_suffix(path: Path) -> None:
    """Refuse a kind of figure that cannot be drawn, before a long search begins."""
    if path.suffix.lower() not in SUFFIXES:
        raise SSEError(
            f"no figure can be written as {path.name!r}", mend=f"End it in {', '.join(SUFFIXES)}"
        )


def subset_curves(result: SubsetResult) -> dict[str, list[float]]:
    """Scores of every size: of rows left out, and of rows fitted to."""
    return {
        "left out": [size.score for size in result.sizes],
        "fitted rows": [size.train_score for size in result.sizes],
    }


def _figure(result: SubsetResult) -> Markup:
    return curve_figure(
        [size.n_features for size in result.sizes],
        subset_curves(result),
        "number of features",
        f"best {SCORE_NAMES[result.settings.scoring]}",
        chosen=len(result.features),
    )


def _style() -> str:
    series = "".join(f"svg .series-{i} {{ --c: {c}; }}\n" for i, c in enumerate(_COLOURS))
    return _STYLE + series


def _svg(result: SubsetResult) -> str:
    """A drawing that stands alone: name space, size, style and legend inside."""
    tall = HEIGHT + 24
    legend = "".join(
        svg.text(54 + 100 * i, tall - 12, f"■ {name}", style=f"fill:{_COLOURS[i]}")
        for i, name in enumerate(subset_curves(result))
    )
    inner = str(_figure(result)).replace(
        "<svg", f'<svg width="{WIDTH:.0f}" height="{HEIGHT:.0f}"', 1
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH:.0f}" height="{tall:.0f}" '
        f'viewBox="0 0 {WIDTH:.0f} {tall:.0f}"><style>{_style()}</style>{inner}{legend}</svg>\n'
    )


def _html(result: SubsetResult) -> str:
    legend = "".join(
        f'<li style="--c:{_COLOURS[i]}">{escape(name)}</li>'
        for i, name in enumerate(subset_curves(result))
    )
    return _PAGE.format(
        title=escape(f"Best subsets: {' or '.join(result.classes)}"),
        style=_style(),
        figure=_figure(result),
        legend=legend,
        caption=escape(_caption(result)),
    )


def _caption(result: SubsetResult) -> str:
    return (
        f"Best of all {result.n_subsets:,} subsets of {len(result.columns)} columns, "
        f"{result.n_rows} rows; dashed: the chosen size, {', '.join(result.features)}. The best of "
        "so many is optimistic: see the nested score for what a new row may expect."
    )


def _write_png(result: SubsetResult, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(6.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    sizes = [size.n_features for size in result.sizes]
    for (name, values), colour in zip(subset_curves(result).items(), _COLOURS, strict=True):
        axes.plot(sizes, values, "o-", color=colour, label=name)
    axes.axvline(len(result.features), color="#5a6675", linestyle="--", linewidth=1)
    axes.set(xlabel="number of features", ylabel=f"best {SCORE_NAMES[result.settings.scoring]}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(frameon=False)
    figure.savefig(path, dpi=200)
