"""Names of the features, as matminer 0.10 writes them and in the order of its Ward 2017 preset."""

from __future__ import annotations

from sse_flows.descriptors.crystal.elements import PROPERTIES

FIVE_STATISTICS = ("minimum", "maximum", "range", "mean", "avg_dev")
NORMS = (0, 2, 3, 5, 7, 10)
ORBITALS = "spdf"

COORDINATION_LABELS = tuple(f"{name} CN_VoronoiNN" for name in FIVE_STATISTICS)
HETEROGENEITY_LABELS = (
    "mean absolute deviation in relative bond length",
    "max relative bond length",
    "min relative bond length",
    *(f"{name} neighbor distance variation" for name in FIVE_STATISTICS),
    "mean absolute deviation in relative cell size",
)
ORDERING_LABELS = tuple(f"mean ordering parameter shell {shell}" for shell in (1, 2, 3))
PACKING_LABELS = ("max packing efficiency",)
DIFFERENCE_LABELS = tuple(
    f"{name} local difference in {of}" for of in PROPERTIES for name in FIVE_STATISTICS
)
STOICHIOMETRY_LABELS = tuple(f"{norm}-norm" for norm in NORMS)
ELEMENT_LABELS = tuple(
    f"MagpieData {name} {of}" for of in PROPERTIES for name in (*FIVE_STATISTICS, "mode")
)
VALENCE_LABELS = tuple(f"frac {orbital} valence electrons" for orbital in ORBITALS)
IONIC_LABELS = ("compound possible", "max ionic char", "avg ionic char")

LABEL_GROUPS: dict[str, tuple[str, ...]] = {
    "coordination": COORDINATION_LABELS,
    "heterogeneity": HETEROGENEITY_LABELS,
    "ordering": ORDERING_LABELS,
    "packing": PACKING_LABELS,
    "local differences": DIFFERENCE_LABELS,
    "stoichiometry": STOICHIOMETRY_LABELS,
    "elements": ELEMENT_LABELS,
    "valence": VALENCE_LABELS,
    "ionic": IONIC_LABELS,
}
"""The groups in the order of the columns; the first five need the structure."""

STRUCTURE_LABELS: tuple[str, ...] = (
    *COORDINATION_LABELS,
    *HETEROGENEITY_LABELS,
    *ORDERING_LABELS,
    *PACKING_LABELS,
    *DIFFERENCE_LABELS,
)
"""The 128 features that need the tessellation."""

COMPOSITION_LABELS: tuple[str, ...] = (
    *STOICHIOMETRY_LABELS,
    *ELEMENT_LABELS,
    *VALENCE_LABELS,
    *IONIC_LABELS,
)
"""The 145 features of the composition."""

WARD_LABELS: tuple[str, ...] = (*STRUCTURE_LABELS, *COMPOSITION_LABELS)
"""All 273."""

PAPER_LABELS: tuple[str, ...] = tuple(
    label
    for label in WARD_LABELS
    if label not in {"range CN_VoronoiNN", "range neighbor distance variation"}
)
"""The 271 of Ward 2017, which has no range of these two."""
