"""From a structure as it came to a compound that can be calculated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sse_flows.roles import assign_roles, oxidation_states
from sse_flows.structures.compound import Compound
from sse_flows.structures.disorder import site_disorder
from sse_flows.structures.ordering import order, tidy


def prepare(
    compound: Compound,
    mobile_ions: str | Sequence[str] | None = None,
    *,
    charges: Mapping[str, float] | None = None,
    max_atoms: int = 200,
    timeout: float = 120.0,
    tolerance: float = 0.08,
) -> Compound:
    """Decide the roles, measure the disorder, then order the crystal.

    Parameters
    ----------
    compound
        What intake gave; it is not changed.
    mobile_ions
        Wanted mobile ions in order of preference; the compound's own where not given.
    charges
        Oxidation state of each element, e, where the guess is not to be trusted.
    max_atoms, timeout, tolerance
        As in `sse_flows.structures.ordering.order`: largest cell, seconds, change of an
        element's amount accepted for a smaller cell.

    Returns
    -------
    Compound
        A copy with mobile ion, disorder (of the structure as measured) and ordered cell set, and
        the ordering's warnings added.

    Raises
    ------
    SSEError
        If the compound holds no mobile ion or no anion, is too large or has overlapping atoms.
    """
    wanted = compound.mobile_ion if mobile_ions is None else mobile_ions
    roles = assign_roles(compound.structure, wanted, charges, compound.compound_id)
    ordering = order(
        compound.structure,
        oxidation_states(compound.structure, charges),
        max_atoms=max_atoms,
        timeout=timeout,
        tolerance=tolerance,
        compound_id=compound.compound_id,
    )
    known = [w for w in ordering.warnings if w not in compound.warnings]
    return compound.model_copy(
        update={
            "mobile_ion": roles.mobile,
            "disorder": site_disorder(tidy(compound.structure), roles),
            "ordered": ordering.structure,
            "warnings": [*compound.warnings, *known],
        }
    )
