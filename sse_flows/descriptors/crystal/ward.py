"""The 273 features of Ward 2016 and 2017 for many decorations of one geometry in one call."""

from __future__ import annotations

import numpy as np

from sse_flows.descriptors.crystal.arrays import FloatArray, IntArray
from sse_flows.descriptors.crystal.composition import composition_features
from sse_flows.descriptors.crystal.decoration import find_slots, slot_features
from sse_flows.descriptors.crystal.shells import Ordering
from sse_flows.descriptors.crystal.tessellation import Tessellation


def decorate(
    tessellation: Tessellation,
    numbers: IntArray,
    *,
    ordering: Ordering = "matminer",
    mixed_valence: bool = False,
) -> FloatArray:
    """Compute all 273 features of decorations of one geometry.

    A prototype is tessellated once; the features of its substituted children are then weighted
    sums over the few kinds of sites. Children that differ from the geometry by a scale alone need
    no other tessellation, since no feature depends on the scale.

    Parameters
    ----------
    tessellation
        The geometry.
    numbers
        Atomic number of each site in each decoration, shape (decorations, sites) or (sites,).
    ordering
        Definition of the ordering parameters, see `shells`.
    mixed_valence
        See `charges.can_be_neutral`.

    Returns
    -------
    ndarray
        Shape (decorations, 273), columns as `labels.WARD_LABELS`.

    Raises
    ------
    SSEError
        If the atomic numbers are not those of the sites of this geometry.
    """
    slots = find_slots(numbers)
    structure = slot_features(tessellation, slots, ordering=ordering)
    composition = composition_features(*slots.merged(), mixed_valence=mixed_valence)
    return np.hstack([structure, composition])
