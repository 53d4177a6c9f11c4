"""Properties of the elements, from matminer's copy of the Magpie tables and from pymatgen.

matminer's own reader needs the whole of matminer, which takes seconds to import; the files are
plain text with one line an element.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import numpy as np

from sse_flows.descriptors.crystal.arrays import MAX_NUMBER, FloatArray

PROPERTIES: tuple[str, ...] = (
    "Number",
    "MendeleevNumber",
    "AtomicWeight",
    "MeltingT",
    "Column",
    "Row",
    "CovalentRadius",
    "Electronegativity",
    "NsValence",
    "NpValence",
    "NdValence",
    "NfValence",
    "NValence",
    "NsUnfilled",
    "NpUnfilled",
    "NdUnfilled",
    "NfUnfilled",
    "NUnfilled",
    "GSvolume_pa",
    "GSbandgap",
    "GSmagmom",
    "SpaceGroupNumber",
)
"""The 22 elemental properties of Ward 2016, by their Magpie names."""


@cache
def property_table() -> FloatArray:
    """Magpie values of the 22 properties by atomic number, shape (119, 22); row 0 is zero.

    What a table lacks is the mean of that property over the elements that have it, which is
    what matminer does by default (``impute_nan=True``).
    """
    table = np.zeros((MAX_NUMBER + 1, len(PROPERTIES)))
    for column, name in enumerate(PROPERTIES):
        table[1:, column] = _magpie_values(name)
    table.flags.writeable = False
    return table


def _magpie_values(name: str) -> FloatArray:
    """One Magpie table, shape (118,), gaps filled with its mean."""
    folder = files("matminer") / "utils" / "data_files" / "magpie_elementdata"
    lines = (folder / f"{name}.table").read_text(encoding="utf-8").splitlines()
    values = np.array([_number(line) for line in lines[:MAX_NUMBER]])
    values = np.pad(values, (0, MAX_NUMBER - len(values)), constant_values=np.nan)
    return np.where(np.isnan(values), np.nanmean(values), values)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def property_column(name: str) -> FloatArray:
    """One property by atomic number, shape (119,)."""
    return property_table()[:, PROPERTIES.index(name)]


@cache
def pauling_electronegativity() -> FloatArray:
    """Electronegativities of pymatgen by atomic number, shape (119,), gaps filled with their mean.

    The ionic characters of Ward 2016 use these in matminer, not the Magpie ones.
    """
    import warnings

    from pymatgen.core import Element

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # pymatgen warns of every gap
        listed = [(one.Z, float(one.X)) for one in Element]
    mean = np.mean([x for _, x in listed if x > 0])
    table = np.zeros(MAX_NUMBER + 1)
    for number, x in listed:
        table[number] = x if x > 0 else mean
    table.flags.writeable = False
    return table


@cache
def oxidation_states(*, fill: bool = False) -> tuple[tuple[int, ...], ...]:
    """Common oxidation states of pymatgen by atomic number; an empty place (0) is neutral.

    Parameters
    ----------
    fill
        Take the states found in the ICSD where an element has no common ones.
    """
    from pymatgen.core import Element

    states: list[tuple[int, ...]] = [(0,)]
    for number in range(1, MAX_NUMBER + 1):
        element = Element.from_Z(number)
        known = element.common_oxidation_states or (element.icsd_oxidation_states if fill else ())
        states.append(tuple(sorted({int(state) for state in known})))
    return tuple(states)
