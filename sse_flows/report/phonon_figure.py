"""Phonon bands and element-projected DOS of one compound, side by side on one energy axis."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sse_flows.phonons.document import BandStructure, LatticeDynamics
from sse_flows.report import svg
from sse_flows.report.svg import Panel

WIDTH, HEIGHT = 600.0, 298.0
_TOP, _BOTTOM, _LEFT = 10.0, 274.0, 48.0
_BANDS_RIGHT, _DOS_LEFT, _RIGHT = 402.0, 414.0, 590.0
_NOISE = 1.0  # meV: imaginary energies above -1 meV do not stretch the axis
_WINDOW = 30.0  # meV: upper end of the descriptors' low-energy window
_LABEL_GAP = 17.0
_MANY = 75  # bands

_GREEK = {"gamma": "Γ", "sigma": "Σ", "delta": "Δ", "lambda": "Λ"}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def elements_of(dynamics: LatticeDynamics) -> list[str]:
    """Element of each atom of the primitive cell."""
    return [site.species.elements[0].symbol for site in dynamics.primitive]


def phonon_figure(dynamics: LatticeDynamics, mobile_ion: str, *, key: str = "0") -> Markup:
    """Draw bands and projected DOS.

    Parameters
    ----------
    dynamics
        Lattice dynamics of the compound.
    mobile_ion
        Its curve is drawn last, on top.
    key
        Makes the ids within the figure unique in the page.

    Returns
    -------
    str
        An SVG element. Curves carry the classes ``el-X`` of their element.
    """
    ylim = energy_limits(dynamics)
    projected = element_dos(dynamics)
    peak = max([float(np.max(g, initial=0.0)) for g in projected.values()], default=0.0)
    total = (
        np.sum(list(projected.values()), axis=0) if projected else np.zeros(len(dynamics.energies))
    )
    peak = max(peak, float(np.max(total, initial=0.0))) * 1.06 or 1.0
    height = _BOTTOM - _TOP
    dos = Panel(_DOS_LEFT, _TOP, _RIGHT - _DOS_LEFT, height, (0.0, peak), ylim)
    bands = Panel(_LEFT, _TOP, _BANDS_RIGHT - _LEFT, height, (0.0, 1.0), ylim)
    soft = dynamics.soft_modes.count > 0
    children = [_soft_gradient(bands, key) if soft else ""]
    for panel in (bands, dos):
        children.append(_imaginary_zone(panel))
        children.append(_energy_axis(panel, first=panel is bands))
    children.append(_bands(bands, dynamics.band_structure, key if soft else None))
    children.append(_dos(dos, dynamics, projected, total, mobile_ion))
    children += [svg.frame(bands), svg.frame(dos)]
    return svg.figure(WIDTH, HEIGHT, children, label=_description(dynamics))


def _energy_axis(panel: Panel, *, first: bool) -> str:
    """Grid of energies, with numbers and a title on the first panel only."""
    title = "energy (meV)" if first else ""
    return svg.y_axis(panel, svg.ticks(*panel.ylim, 6), title=title, labels=first)


def _description(dynamics: LatticeDynamics) -> str:
    centres = ", ".join(f"{k} {v:.1f} meV" for k, v in dynamics.band_center.items())
    return f"Phonon bands and projected density of states of {dynamics.formula}; centres: {centres}"


def energy_limits(dynamics: LatticeDynamics) -> tuple[float, float]:
    """Energies (meV) that the figure shows: all modes, and below zero only what is real."""
    energies = np.asarray(dynamics.energies, float)
    occupied = np.zeros(energies.shape, bool)
    for row in dynamics.projected_dos:
        g = np.asarray(row, float)
        occupied |= g > 1e-3 * np.max(g, initial=0.0)
    found = [energies[occupied], [dynamics.soft_modes.lowest_energy, 0.0]]
    if dynamics.band_structure:
        found += [np.ravel(s) for s in dynamics.band_structure.energies]
    values = np.concatenate([np.asarray(f, float) for f in found])
    low, high = svg.finite_limits(values, pad=0.0, fallback=(0.0, 50.0))
    low = low * 1.06 if low < -_NOISE else 0.0
    return low, max(high, 1.0) * 1.04


def element_dos(dynamics: LatticeDynamics) -> dict[str, NDArray[np.float64]]:
    """DOS of each element, 1/(meV atom): summed over its atoms, per atom of the cell."""
    result: dict[str, NDArray[np.float64]] = {}
    symbols = elements_of(dynamics) if dynamics.projected_dos else []
    for symbol, row in zip(symbols, dynamics.projected_dos, strict=True):
        result[symbol] = result.get(symbol, 0.0) + np.asarray(row, float) / len(symbols)
    return result


def _soft_gradient(panel: Panel, key: str) -> str:
    """Stroke that turns to the warning colour below zero energy."""
    share = (float(panel.y(0.0)) - panel.top) / panel.height
    stops = [svg.tag("stop", cls=c, offset=f"{share:.4f}") for c in ("stop-real", "stop-soft")]
    return svg.tag(
        "linearGradient",
        *stops,
        id=f"soft-{key}",
        gradientUnits="userSpaceOnUse",
        x1=0,
        x2=0,
        y1=panel.top,
        y2=panel.bottom,
    )


def _imaginary_zone(panel: Panel) -> str:
    """Shade what lies below zero, where modes are imaginary."""
    if panel.ylim[0] >= 0:
        return ""
    zero = float(panel.y(0.0))
    return svg.rect(panel.left, zero, panel.width, panel.bottom - zero, cls="imag") + svg.line(
        panel.left, zero, panel.right, zero, cls="zero"
    )


def _bands(panel: Panel, bands: BandStructure | None, gradient: str | None) -> str:
    """Bands along the path with the names of its points, or a note that there is none."""
    if bands is None or not bands.distances:
        middle = panel.left + panel.width / 2
        return svg.text(middle, panel.top + panel.height / 2, "no band path", cls="note mid")
    lengths = [d[-1] - d[0] for d in bands.distances]
    starts = np.concatenate([[0.0], np.cumsum(lengths)])
    panel = Panel(
        panel.left,
        panel.top,
        panel.width,
        panel.height,
        (0.0, float(starts[-1]) or 1.0),
        panel.ylim,
    )
    paths = []
    for start, distances, energies in zip(starts, bands.distances, bands.energies, strict=False):
        x = panel.x(np.asarray(distances, float) - distances[0] + start)
        paths.append(svg.simplified_path(x, panel.y(np.asarray(energies, float)).T))
    stroke = f"url(#soft-{gradient})" if gradient is not None else None
    curves = svg.tag(
        "path", cls=_band_class(bands, gradient is not None), d="".join(paths), stroke=stroke
    )
    return _path_labels(panel, starts, bands.labels) + curves


def _band_class(bands: BandStructure, soft: bool) -> str:
    """Classes of the curves: finer lines where there are many, a second colour where soft."""
    many = len(bands.energies[0][0]) > _MANY
    return "band" + (" many" if many else "") + (" soft" if soft else "")


def _path_labels(panel: Panel, starts: NDArray[np.float64], labels: list[list[str]]) -> str:
    """Names of the points of high symmetry; one that would cover its neighbour is left out."""
    parts, last = [], -np.inf
    for i, name in enumerate(path_names(labels)[: len(starts)]):
        at = float(panel.x(starts[i]))
        parts.append(svg.line(at, panel.top, at, panel.bottom, cls="grid strong"))
        room = _LABEL_GAP if len(name) < 3 else 1.5 * _LABEL_GAP
        if at - last >= room:
            parts.append(svg.text(at, panel.bottom + 17, name, cls="tick mid"))
            last = at
    return "".join(parts)


def path_names(labels: list[list[str]]) -> list[str]:
    """Names of the ends of segments, two of them where the path jumps (``U|K``)."""
    if not labels:
        return []
    names = [point_name(labels[0][0])]
    for i, (_, end) in enumerate(labels):
        following = point_name(labels[i + 1][0]) if i + 1 < len(labels) else point_name(end)
        here = point_name(end)
        names.append(here if following == here else f"{here}|{following}")
    return names


def point_name(raw: str) -> str:
    r"""Plain name of a point: ``$\\Gamma$`` and ``GAMMA`` -> Γ, ``S_0`` -> S₀."""
    name = re.sub(r"\\?(?:mathrm|mathbf|text)|[${}\\]", "", raw).strip()
    match = re.fullmatch(r"([A-Za-z]+)'?_?(\d*)(.*)", name)
    if not match:
        return name
    stem = _GREEK.get(match[1].lower(), match[1]) if len(match[1]) > 1 else match[1]
    return stem + match[2].translate(_SUBSCRIPTS) + match[3]


def _dos(
    panel: Panel,
    dynamics: LatticeDynamics,
    projected: Mapping[str, NDArray[np.float64]],
    total: NDArray[np.float64],
    mobile_ion: str,
) -> str:
    """Projected DOS with the low-energy window and a mark at each band centre."""
    energies = np.asarray(dynamics.energies, float)
    inside = (energies >= panel.ylim[0]) & (energies <= panel.ylim[1])
    y = panel.y(energies[inside])
    parts = []
    if panel.ylim[1] > _WINDOW:
        parts.append(
            svg.line(panel.left, panel.y(_WINDOW), panel.right, panel.y(_WINDOW), cls="window")
        )
    if inside.any():
        parts.append(svg.tag("path", cls="dos-total", d=_upright(y, panel.x(total[inside]))))
    for element in sorted(projected, key=lambda e: (e == mobile_ion, e)):
        outline = _upright(y, panel.x(projected[element][inside])) if inside.any() else ""
        parts.append(svg.tag("path", cls=f"dos el-{element}", d=outline))
    parts += [
        _centre_mark(panel, energy, "" if name == "total" else f" el-{name}", name)
        for name, energy in dynamics.band_center.items()
        if name in ("total", mobile_ion)
    ]
    middle = panel.left + panel.width / 2
    parts.append(svg.text(middle, panel.bottom + 17, "DOS (1/(meV atom))", cls="axis mid"))
    return "".join(parts)


def _upright(y: NDArray[np.float64], x: NDArray[np.float64]) -> str:
    """Curve x(y), as the DOS stands on its side: simplified along y."""
    order = np.argsort(y)
    y, x = y[order], x[order]
    keep = svg.keep_points(y, x, 0.2)[0]
    return svg.path_data(x[keep], y[keep])


def _centre_mark(panel: Panel, energy: float, cls: str, name: str) -> str:
    """A small triangle at the right edge, pointing at a band centre."""
    at = float(panel.y(energy))
    points = " ".join(
        f"{svg.number(panel.right + dx)},{svg.number(at + dy)}"
        for dx, dy in ((0, 0), (8, -5), (8, 5))
    )
    title = svg.tag("title", f"band centre {name}: {energy:.1f} meV")
    return svg.tag("polygon", title, cls=f"centre{cls}", points=points)
