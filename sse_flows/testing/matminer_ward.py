"""matminer's own featurizer with the columns of `WardFeaturizer`, to compare with."""

from __future__ import annotations

from typing import Any


def matminer_ward() -> Any:
    """The preset of Ward 2016 and 2017 put together from matminer's featurizers.

    Returns
    -------
    MultipleFeaturizer
        With 273 features in the order of `sse_flows.descriptors.crystal.labels.WARD_LABELS`. Its
        values are wrong for sites outside [0, 1): wrap them first.
    """
    from matminer.featurizers.base import MultipleFeaturizer
    from matminer.featurizers.composition import (
        ElementProperty,
        IonProperty,
        Stoichiometry,
        ValenceOrbital,
    )
    from matminer.featurizers.structure import (
        ChemicalOrdering,
        MaximumPackingEfficiency,
        SiteStatsFingerprint,
        StructuralHeterogeneity,
        StructureComposition,
    )

    return MultipleFeaturizer(
        [
            SiteStatsFingerprint.from_preset("CoordinationNumber_ward-prb-2017"),
            StructuralHeterogeneity(),
            ChemicalOrdering(),
            MaximumPackingEfficiency(),
            SiteStatsFingerprint.from_preset("LocalPropertyDifference_ward-prb-2017"),
            StructureComposition(Stoichiometry()),
            StructureComposition(ElementProperty.from_preset("magpie")),
            StructureComposition(ValenceOrbital(props=["frac"])),
            StructureComposition(IonProperty(fast=True)),
        ]
    )
