"""What is expected of each descriptor, and why: the ruler that trained models are held against.

Signs are those of the published equation of J. Kim et al. (2024) for its six descriptors, those of
other studies where they state one, and none where physics pulls both ways. An expectation is no
proof: models of a few dozen compounds may disagree with it for good reasons and bad.
"""

from __future__ import annotations

from sse_flows.models.explanation import Expectation, Sign
from sse_flows.models.kim2024 import Kim2024

KIM = "J. Kim et al. (2024), sign of the published coefficient"
MUY = "S. Muy et al., Energy Environ. Sci. 11, 850 (2018)"
KRAFT = "M. A. Kraft et al., J. Am. Chem. Soc. 139, 10909 (2017)"
JAAFREH = "R. Jaafreh et al., Int. J. Energy Res. 2024, 2138847"
WAKAMURA = "K. Wakamura, Phys. Rev. B 56, 11593 (1997)"
WANG = "Y. Wang et al., Nat. Mater. 14, 1026 (2015)"
SENDEK = "A. D. Sendek et al., Energy Environ. Sci. 10, 306 (2017)"
ZENG = "Y. Zeng et al., Science 378, 1320 (2022)"
ANALOGY = "by analogy with the share of such modes in J. Kim et al. (2024)"

_EXPECTED: dict[str, tuple[Sign, str, str]] = {
    "phonon_band_center_mobile": (
        -1,
        "Low vibrations of the mobile ion mean a shallow site and wide swings towards the next.",
        MUY,
    ),
    "phonon_band_center_anion": (
        -1,
        "A soft anion lattice yields where the ion squeezes through.",
        KRAFT,
    ),
    "phonon_band_center_total": (-1, "A soft lattice as a whole lowers the barriers.", JAAFREH),
    "peak_energy_mobile": (
        -1,
        "The lower the energy at which most mobile ions vibrate, the wider they swing.",
        WAKAMURA,
    ),
    "peak_energy_anion": (
        0,
        "Heavy anions vibrate low and light ones high, whether ions move between them or not.",
        "",
    ),
    "peak_energy_hybrid": (
        0,
        "It says where ion and anion move together, not how much of it there is.",
        "",
    ),
    "peak_dos_mobile": (
        1,
        "Many modes of the mobile ion at one low energy are many soft attempts to leave its site.",
        ANALOGY,
    ),
    "peak_dos_anion": (0, "Anions dominate the low energies of most crystals, fast or slow.", ""),
    "peak_dos_hybrid": (
        1,
        "Low modes in which anions move with the ion open its way as it goes.",
        ANALOGY,
    ),
    "soft_mode_flag": (
        0,
        "A soft mode may be an ion about to hop or a lattice about to distort, and the values of "
        "the flag are no order.",
        "",
    ),
    "low_energy_ratio_mobile": (
        1,
        "A large share of the mobile ion in the low modes means that heat moves the ion first.",
        KIM,
    ),
    "low_energy_ratio_anion": (
        0,
        "Anions in the low modes soften the lattice but leave a smaller share to the ion.",
        "",
    ),
    "low_energy_ratio_hybrid": (
        1,
        "Low modes shared by ion and anion carry the surroundings along with a jump.",
        KIM,
    ),
    "vibrational_entropy": (
        1,
        "A large entropy is that of many soft modes; it also grows with the formula unit.",
        KIM,
    ),
    "band_gap": (0, "It decides whether electrons are blocked, not whether ions move.", ""),
    "formation_energy": (
        0,
        "Strongly bound crystals are stable and stiff, but their bonds need not be the ion's.",
        "",
    ),
    "volume_per_formula": (0, "It measures how much is in a formula unit as well as room.", ""),
    "volume_per_mobile": (0, "More room for each ion also means fewer ions to carry charge.", ""),
    "volume_per_anion": (1, "A wide anion lattice has wide windows for the ion.", WANG),
    "volume_per_atom": (0, "Large anions and large cations raise it alike.", ""),
    "distance_mobile_anion": (1, "A longer bond holds the ion less tightly.", SENDEK),
    "distance_mobile_mobile": (
        -1,
        "Sites close together mean short jumps and ions that push each other on.",
        SENDEK,
    ),
    "formula_units": (
        -1,
        "A small cell is a simple lattice of like sites, with fewer kinds of jump to slow a path.",
        KIM,
    ),
    "density": (0, "It weighs the framework more than the ion's way through it.", ""),
    "formula_mass": (0, "It measures how much is in a formula unit.", ""),
    "mobile_per_formula": (
        0,
        "More carriers, but a sublattice filled to the last site leaves nowhere to go.",
        "",
    ),
    "disorder_mobile": (
        1,
        "Sites that are partly filled are places to go, at little cost in energy.",
        ZENG,
    ),
    "disorder_anion": (1, "Mixed anions flatten the energies of the sites between them.", KIM),
    "disorder_cation": (1, "Mixed cations flatten the energies of the sites between them.", KIM),
    "disorder_total": (
        1,
        "Disorder spreads the energies of the sites until they overlap into a path.",
        ZENG,
    ),
}

EXPECTATIONS: dict[str, Expectation] = {
    name: Expectation(
        sign=sign,
        reason=reason,
        source=source,
        published_coefficient=Kim2024.coefficients.get(name),
    )
    for name, (sign, reason, source) in _EXPECTED.items()
}
"""Expectation of every descriptor, by name."""
