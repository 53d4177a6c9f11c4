r"""How disordered the experimental structure is: one number for each group of ions.

Definition. A site :math:`j` of multiplicity :math:`m_j` is occupied by species :math:`k` with
probability :math:`x_{jk}` and empty with :math:`x_{j0} = 1 - \sum_k x_{jk}`. Its disorder is the
entropy of ideal mixing of its occupants and vacancies, in units of :math:`k_B`,

.. math:: s_j = -\sum_{k \ge 0} x_{jk} \ln x_{jk},

and the disorder of a group :math:`G` (mobile ion, anions, other cations) is the mean over its
sites,

.. math:: D_G = \frac{\sum_j m_j f_{jG} s_j}{\sum_j m_j f_{jG}}, \qquad
          f_{jG} = \frac{\sum_{k \in G} x_{jk}}{\sum_{k \ge 1} x_{jk}}.

:math:`f_{jG}` shares a mixed site among the groups by occupancy: a site with half Li and half La
counts one half for the mobile ion and one half for the cations, a site of S and Br wholly for the
anions, and a trace of a dopant changes a group's number only by a trace. The total has f = 1.

Why this one. Kim et al. (2024) use four "disorder" descriptors weighted by Wyckoff multiplicity
but print no formula. The mixing entropy treats substitution and vacancies alike, needs no
threshold, is 0 for an ordered site and only then, is largest for equal shares (ln 2 = 0.693 for a
half-filled site), and is what configurational disorder contributes to the free energy. Summing
over all sites of any cell is the weighting by multiplicity; numerator and denominator grow alike
with the cell, so the numbers do not depend on the cell, its setting, or the order of the sites.
"""

from __future__ import annotations

import numpy as np
from pymatgen.core import PeriodicSite, Structure

from sse_flows.roles import Roles
from sse_flows.structures.compound import Disorder

OCCUPANCY_TOLERANCE = 5e-3
"""Occupancies this near to 1 are full: 0.333 + 0.333 + 0.333 of a CIF is no vacancy."""
GROUPS = ("mobile", "anion", "cation")


def site_disorder(structure: Structure, roles: Roles) -> Disorder:
    """Measure the site disorder of each group of ions.

    Parameters
    ----------
    structure
        The crystal as measured, in any cell; species that share a position must share a site.
    roles
        Which elements are mobile ion, anions and cations.

    Returns
    -------
    Disorder
        Entropy of mixing per site of each group and of all sites, in k_B; 0 where a group has no
        sites. See the module's docstring for the definition.
    """
    weighted = dict.fromkeys(GROUPS, 0.0)
    weights = dict.fromkeys(GROUPS, 0.0)
    total = 0.0
    for site in structure:
        entropy = site_entropy(site)
        total += entropy
        for group, share in _shares(site, roles).items():
            weighted[group] += share * entropy
            weights[group] += share
    means = {g: weighted[g] / weights[g] if weights[g] else 0.0 for g in GROUPS}
    return Disorder(**means, total=total / len(structure) if len(structure) else 0.0)


def site_entropy(site: PeriodicSite) -> float:
    """Entropy of mixing of one site's occupants and vacancy, in k_B."""
    occupancies = np.array([n for n in site.species.values() if n > 0], dtype=float)
    filled = occupancies.sum()
    if filled > 1 - OCCUPANCY_TOLERANCE:
        occupancies = occupancies / filled
    elif filled:
        occupancies = np.append(occupancies, 1 - filled)
    # "+ 0.0" turns the -0.0 of an ordered site into 0.0
    return float(-(occupancies * np.log(occupancies)).sum()) + 0.0


def _shares(site: PeriodicSite, roles: Roles) -> dict[str, float]:
    """Fraction of a site's occupancy that belongs to each group."""
    amounts: dict[str, float] = {}
    for species, n in site.species.items():
        group = roles.group(species.symbol)
        amounts[group] = amounts.get(group, 0.0) + float(n)
    filled = sum(amounts.values())
    return {group: n / filled for group, n in amounts.items()} if filled else {}
