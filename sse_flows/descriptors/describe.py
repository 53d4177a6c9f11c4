"""All 30 descriptors of a compound from its record and its lattice dynamics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from sse_flows.descriptors.document import DESCRIPTORS, DISORDER_DESCRIPTORS, DescriptorSet
from sse_flows.descriptors.phonon import phonon_descriptors
from sse_flows.descriptors.static import static_descriptors
from sse_flows.errors import SSEError
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.roles import Roles, assign_roles
from sse_flows.structures.compound import Compound

if TYPE_CHECKING:
    from pymatgen.core import Structure

_REASONS: dict[str, str] = {
    "band_gap": "neither the source of the structure nor a calculation gives a band gap",
    "formation_energy": "neither the source of the structure nor a calculation gives a heat of "
    "formation",
    "volume_per_anion": "the cell has no anion",
    "distance_mobile_anion": "the cell has no anion",
}
"""Why a descriptor may be missing; the rest are those of an empty DOS."""


def describe(
    compound: Compound,
    dynamics: LatticeDynamics,
    *,
    structure: Structure | None = None,
    formation_energy: float | None = None,
    formation_energy_source: str | None = None,
    band_gap: float | None = None,
    band_gap_source: str | None = None,
    roles: Roles | None = None,
    oxidation_states: Mapping[str, float] | None = None,
) -> DescriptorSet:
    """Compute the 30 descriptors of one compound.

    Parameters
    ----------
    compound, dynamics
        Its record (disorder, conductivity, what its source knows) and its lattice dynamics.
    structure
        Cell for the static descriptors; by default the primitive cell of `dynamics`.
    formation_energy, formation_energy_source, band_gap, band_gap_source
        Heat of formation, eV/atom, and band gap, eV, in place of the compound's own, and where
        they came from.
    roles
        Mobile ion and anions, if they are known already.
    oxidation_states
        Overrides for the assignment of roles, by element.

    Returns
    -------
    DescriptorSet
        All 30 by name; what is missing is None, with the reason.

    Raises
    ------
    SSEError
        If the two documents are not of the same compound or the roles cannot be assigned.
    """
    _check_same(compound, dynamics)
    crystal = dynamics.primitive if structure is None else structure
    parts = roles or assign_roles(
        crystal, compound.mobile_ion, oxidation_states, compound.compound_id
    )
    given = _given_values(
        compound, (formation_energy, formation_energy_source), (band_gap, band_gap_source)
    )
    values = {
        **_phonon_values(dynamics, parts),
        **static_descriptors(
            crystal,
            mobile=parts.mobile,
            anions=parts.anions,
            band_gap=given["band_gap"][0],
            formation_energy=given["formation_energy"][0],
        ),
        **_disorder_values(compound),
    }
    return _document(compound, dynamics, parts, values, given)


def _document(
    compound: Compound,
    dynamics: LatticeDynamics,
    roles: Roles,
    values: Mapping[str, float | None],
    given: Mapping[str, tuple[float | None, str | None]],
) -> DescriptorSet:
    """The values with what a reader needs beside them."""
    return DescriptorSet(
        compound_id=compound.compound_id,
        formula=compound.formula,
        mobile_ion=roles.mobile,
        anions=list(roles.anions),
        values={name: values[name] for name in DESCRIPTORS},
        missing=_missing(values),
        conductivity=compound.conductivity,
        conductivity_source=compound.conductivity_source,
        energy_above_hull=compound.energy_above_hull,
        family=compound.family,
        method=dynamics.method,
        flags=_flags(compound, dynamics, values),
        provenance=_provenance(compound, dynamics, roles, given),
    )


def _check_same(compound: Compound, dynamics: LatticeDynamics) -> None:
    if compound.compound_id != dynamics.compound_id:
        raise SSEError(
            f"the lattice dynamics is of {dynamics.compound_id}",
            compound=compound.compound_id,
            mend="Give the two documents of one compound",
        )


def _given_values(
    compound: Compound,
    energy: tuple[float | None, str | None],
    gap: tuple[float | None, str | None],
) -> dict[str, tuple[float | None, str | None]]:
    """Formation energy and band gap with their source: as given, else the compound's own."""
    own = compound.property_source or compound.source
    return {
        "formation_energy": energy if energy[0] is not None else (compound.formation_energy, own),
        "band_gap": gap if gap[0] is not None else (compound.band_gap, own),
    }


def _phonon_values(dynamics: LatticeDynamics, roles: Roles) -> dict[str, float | None]:
    return phonon_descriptors(
        dynamics.energies,
        dynamics.projected_dos,
        [site.specie.symbol for site in dynamics.primitive],
        mobile=roles.mobile,
        anions=roles.anions,
        soft_modes=dynamics.soft_modes,
        entropy=dynamics.entropy,
    )


def _disorder_values(compound: Compound) -> dict[str, float | None]:
    disorder = compound.disorder
    kinds = (disorder.mobile, disorder.anion, disorder.cation, disorder.total)
    return dict(zip(DISORDER_DESCRIPTORS, kinds, strict=True))


def _missing(values: Mapping[str, float | None]) -> dict[str, str]:
    """Reason by name of every value that is None."""
    empty = "there are no modes of these atoms in the energy window"
    return {n: _REASONS.get(n, empty) for n in DESCRIPTORS if values[n] is None}


def _flags(
    compound: Compound, dynamics: LatticeDynamics, values: Mapping[str, float | None]
) -> list[str]:
    """What a reader should know before trusting the numbers."""
    flags = list(compound.warnings)
    soft = dynamics.soft_modes
    if soft.count:
        q = ", ".join(f"{x:.3g}" for x in soft.lowest_qpoint)
        doubt = "" if soft.commensurate_count else " (interpolated: a larger supercell may lift it)"
        flags.append(
            f"soft modes: the lowest at {soft.lowest_energy:.2f} meV, q = ({q}){doubt}, led by "
            f"{soft.leading_species}; entropy and DOS integrals leave imaginary modes out"
        )
    if dynamics.born is None and (values["band_gap"] is None or values["band_gap"] > 0):
        flags.append("no Born charges: LO-TO splitting is missing from the phonons")
    if not _same_composition(dynamics.formula, compound.formula):
        flags.append(
            f"the phonons are of {dynamics.formula}, an ordered approximant of {compound.formula}"
        )
    return flags


def _same_composition(first: str, second: str) -> bool:
    """Whether two formulas are the same but for order, grouping and formula units."""
    from pymatgen.core import Composition

    fractions = [Composition(formula).fractional_composition for formula in (first, second)]
    return fractions[0].almost_equals(fractions[1], rtol=0, atol=1e-4)


def _provenance(
    compound: Compound,
    dynamics: LatticeDynamics,
    roles: Roles,
    given: Mapping[str, tuple[float | None, str | None]],
) -> dict[str, str]:
    """Where the values came from: structure, phonons, roles, given properties."""
    known = {
        name: source for name, (value, source) in given.items() if value is not None and source
    }
    return {
        "structure": compound.source,
        "phonons": dynamics.method,
        "roles": f"mobile {roles.mobile}; anions {' '.join(roles.anions)}; "
        f"cations {' '.join(roles.cations)}",
        **known,
        **{f"phonons.{key}": value for key, value in dynamics.provenance.items()},
    }
