"""What the page says of one compound: its figure, key values, descriptors and provenance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from markupsafe import Markup, escape
from pymatgen.core import Structure
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from sse_flows.descriptors.document import DescriptorSet
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.report import definitions, text
from sse_flows.report.document import CompoundReport, Failure
from sse_flows.report.phonon_figure import elements_of, phonon_figure
from sse_flows.report.views import Chip, FigureView

_SYMMETRY_TOLERANCE = 0.01  # Å


@dataclass(frozen=True)
class Row:
    """A line of a table of values: its label, its text, and a note in smaller type."""

    label: str
    value: str | Markup
    note: str | Markup = ""


@dataclass(frozen=True)
class LegendEntry:
    """An element of a phonon figure and its band centre."""

    element: str
    band_center: str
    mobile: bool


@dataclass
class Card:
    """All that the page shows of one compound."""

    anchor: str
    compound_id: str
    formula: Markup
    badges: list[Chip] = field(default_factory=list)
    summary: list[Row] = field(default_factory=list)
    figure: Markup | None = None
    legend: list[LegendEntry] = field(default_factory=list)
    facts: list[Row] = field(default_factory=list)
    why: list[FigureView] = field(default_factory=list)
    groups: list[tuple[str, list[Row]]] = field(default_factory=list)
    provenance: list[Row] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    no_figure: str = ""


def make_card(
    entry: CompoundReport,
    key: str,
    *,
    failures: Iterable[Failure] = (),
    prediction: Iterable[Row] = (),
    why: Iterable[FigureView] = (),
) -> Card:
    """Gather what is known of one compound.

    Parameters
    ----------
    entry
        The compound with its documents.
    key
        Makes the ids of its figure unique in the page.
    failures
        Its failed stages.
    prediction
        What the screening says of it, first among its values.
    why
        What adds up to its predictions.
    """
    compound, dynamics, descriptors = entry.compound, entry.dynamics, entry.descriptors
    card = Card(
        text.slug(compound.compound_id), compound.compound_id, text.formula(compound.formula)
    )
    card.failures = list(failures)
    card.why = list(why)
    card.badges = _badges(entry, bool(card.failures))
    card.facts = [*prediction, *_conductivity(entry)]
    card.warnings = [*compound.warnings, *(descriptors.flags if descriptors else [])]
    card.warnings = list(dict.fromkeys([*card.warnings, *entry.remarks]))
    if dynamics:
        card.figure = phonon_figure(dynamics, compound.mobile_ion, key=key)
        card.legend = legend(dynamics, compound.mobile_ion)
        card.facts += phonon_facts(dynamics, compound.mobile_ion)
    else:
        card.no_figure = (
            "Its phonons failed: see above." if card.failures else "No phonons in this report."
        )
    card.summary = _summary(entry)
    card.facts += _known_properties(entry)
    card.groups = descriptor_groups(descriptors) if descriptors else []
    card.provenance = provenance(entry)
    return card


def _badges(entry: CompoundReport, failed: bool) -> list[Chip]:
    """Short labels of a card with their kinds."""
    badges = []
    if failed:
        badges.append(Chip("failed", "bad"))
    if entry.dynamics and entry.dynamics.soft_modes.count:
        badges.append(Chip("soft modes", "warn"))
    if not entry.live and not failed:
        badges.append(Chip("from the store", "quiet", "found in the store, not computed again"))
    return [*badges, Chip(text.humanise(entry.role), "role")]


def _summary(entry: CompoundReport) -> list[Row]:
    """What a closed card says."""
    dynamics, mobile_ion = entry.dynamics, entry.compound.mobile_ion
    rows = []
    if dynamics:
        rows.append(Row(f"{mobile_ion} centre", f"{_center(dynamics, mobile_ion)} meV"))
        rows.append(Row("entropy", f"{text.fixed(dynamics.entropy, 0)} J/(K mol)"))
    if entry.compound.conductivity:
        rows.append(Row("σ measured", f"{text.scientific(entry.compound.conductivity)} S/cm"))
    return rows


def _center(dynamics: LatticeDynamics, name: str) -> str:
    return text.fixed(dynamics.band_center.get(name), 1)


def _conductivity(entry: CompoundReport) -> list[Row]:
    """Measured conductivity with its source."""
    value = entry.compound.conductivity
    if value is None:
        return []
    shown = f"{text.scientific(value)} S/cm (log₁₀ {text.fixed(math.log10(value))})"
    return [Row("measured conductivity", shown, text.linked(entry.compound.conductivity_source))]


def legend(dynamics: LatticeDynamics, mobile_ion: str) -> list[LegendEntry]:
    """Elements of the figure with their band centres, the mobile ion first."""
    elements = sorted(set(elements_of(dynamics)), key=lambda e: (e != mobile_ion, e))
    return [LegendEntry(e, _center(dynamics, e), e == mobile_ion) for e in elements]


def phonon_facts(dynamics: LatticeDynamics, mobile_ion: str) -> list[Row]:
    """Band centres, entropy and soft modes."""
    return [
        Row(f"band centre, {mobile_ion}", f"{_center(dynamics, mobile_ion)} meV"),
        Row("band centre, total", f"{_center(dynamics, 'total')} meV"),
        Row(
            f"entropy, {text.plain(dynamics.temperature)} K",
            f"{text.fixed(dynamics.entropy, 1)} J/(K mol)",
            "per formula unit",
        ),
        _soft_modes(dynamics),
    ]


def _soft_modes(dynamics: LatticeDynamics) -> Row:
    """How many modes are imaginary, how far, where, and who moves."""
    soft = dynamics.soft_modes
    if not soft.count:
        return Row("soft modes", "none", f"lowest energy {text.fixed(soft.lowest_energy, 1)} meV")
    point = ", ".join(text.plain(q) for q in soft.lowest_qpoint)
    shares = sorted(soft.species_weights.items(), key=lambda item: -item[1])
    movers = ", ".join(f"{e} {text.percent(w)}" for e, w in shares[:4])
    lowest = f"{soft.count} below {text.plain(soft.threshold)} meV"
    note = (
        f"{soft.commensurate_count} of them at wave vectors of the supercell; "
        f"lowest {text.fixed(soft.lowest_energy, 1)} meV at q = ({point}); moved by {movers}"
    )
    return Row("soft modes", lowest, note)


def _known_properties(entry: CompoundReport) -> list[Row]:
    """Properties that came with the structure."""
    compound = entry.compound
    rows = [
        ("band gap", compound.band_gap, "eV", 2),
        ("heat of formation", compound.formation_energy, "eV/atom", 3),
        ("energy above hull", compound.energy_above_hull, "eV/atom", 3),
    ]
    return [Row(n, f"{text.fixed(v, d)} {u}") for n, v, u, d in rows if v is not None]


def descriptor_groups(descriptors: DescriptorSet) -> list[tuple[str, list[Row]]]:
    """All descriptors by group, with their units or with why they are missing."""
    return [
        (group, [_descriptor(descriptors, name) for name in names])
        for group, names in definitions.GROUPS.items()
    ]


def _descriptor(descriptors: DescriptorSet, name: str) -> Row:
    value = descriptors.values.get(name)
    if not text.is_number(value):
        reason = descriptors.missing.get(name, "not computed")
        return Row(definitions.label(name), text.MISSING, reason)
    note = descriptors.missing.get(name, "")  # a value with a remark, e.g. an imputed one
    return Row(
        definitions.label(name), f"{text.plain(value, 4)} {definitions.unit(name)}".strip(), note
    )


def provenance(entry: CompoundReport) -> list[Row]:
    """Where every number of the compound came from."""
    compound, dynamics, descriptors = entry.compound, entry.dynamics, entry.descriptors
    rows = [Row("structure", text.linked(compound.source))]
    if compound.property_source:
        rows.append(Row("gap, energies", text.linked(compound.property_source)))
    if compound.aliases:
        rows.append(Row("merged duplicates", ", ".join(compound.aliases)))
    if dynamics:
        rows += _calculation(dynamics)
        rows += _items(dynamics.provenance, "phonons")
    elif descriptors:
        rows.append(Row("forces", descriptors.method))
    if descriptors:  # the phonons' own provenance is listed already
        own = {k: v for k, v in descriptors.provenance.items() if _is_new(k, v, rows)}
        rows += _items(own, "descriptors")
    return rows + _items(entry.keys, "key")


def _is_new(key: str, value: str, rows: list[Row]) -> bool:
    """Whether a line of the descriptors' provenance says what no line before it says."""
    return not key.startswith("phonons.") and all(
        text.linked(value) != escape(row.value) for row in rows
    )


def _items(items: Mapping[str, str], prefix: str) -> list[Row]:
    return [Row(f"{prefix}: {text.humanise(k)}", text.linked(str(v))) for k, v in items.items()]


def _calculation(dynamics: LatticeDynamics) -> list[Row]:
    """Code, cell, supercell and mesh of the phonons."""
    lattice = dynamics.primitive.lattice
    lengths = " ".join(f"{v:.4f}" for v in lattice.abc)
    angles = " ".join(f"{v:.2f}" for v in lattice.angles)
    images = round(abs(np.linalg.det(np.asarray(dynamics.supercell_matrix, float))))
    energy = dynamics.energy_per_atom
    rows = [
        Row("forces", dynamics.method),
        Row("relaxed cell", f"{lengths} Å; {angles}°", f"{lattice.volume:.2f} Å³, primitive"),
        Row("space group", space_group(dynamics.primitive), f"tolerance {_SYMMETRY_TOLERANCE} Å"),
        Row("supercell", f"{images * len(dynamics.unitcell)} atoms", _matrix(dynamics)),
        Row("q mesh of the DOS", "×".join(str(m) for m in dynamics.mesh)),
        Row("non-analytic correction", "Born charges" if dynamics.born else "none"),
    ]
    return rows + ([Row("energy", f"{energy:.4f} eV/atom")] if energy is not None else [])


def _matrix(dynamics: LatticeDynamics) -> str:
    """Supercell matrix in words: ``2×2×2`` where it is diagonal, else its rows."""
    matrix = np.rint(np.asarray(dynamics.supercell_matrix, float)).astype(int)
    if np.array_equal(matrix, np.diag(np.diag(matrix))):
        return "×".join(str(n) for n in np.diag(matrix)) + " of the cell"
    return "rows " + "; ".join(" ".join(str(n) for n in row) for row in matrix)


def space_group(structure: Structure) -> str:
    """International symbol and number, or a note that spglib found none."""
    try:
        analyzer = SpacegroupAnalyzer(structure, symprec=_SYMMETRY_TOLERANCE)
        return f"{analyzer.get_space_group_symbol()} ({analyzer.get_space_group_number()})"
    except Exception:  # spglib raises its own kinds; a label must not cost a page
        return "not found"
