"""All 30 descriptors of a compound, what is missing, and the table of them."""

from __future__ import annotations

import numpy as np
import pytest
from pymatgen.core import Structure

from sse_flows.descriptors.describe import describe
from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.descriptors.table import (
    COLUMNS,
    descriptor_sets,
    descriptor_table,
    read_descriptor_csv,
)
from sse_flows.errors import SSEError
from sse_flows.roles import Roles


def test_all_thirty_in_order(compound, dynamics):
    found = describe(compound, dynamics)
    assert tuple(found.values) == DESCRIPTORS
    assert not found.missing
    assert all(np.isfinite(value) for value in found.values.values())
    assert found.values["band_gap"] == 5.0
    assert found.values["formation_energy"] == -2.0
    assert found.values["disorder_anion"] == 0.2
    assert found.values["vibrational_entropy"] == dynamics.entropy
    assert found.values["formula_units"] == 4
    assert found.provenance["formation_energy"] == "made up"
    assert found.provenance["phonons.phonopy"]


def test_band_centres_from_the_dos_are_those_of_the_modes(compound, dynamics):
    values = describe(compound, dynamics).values
    for role, element in [("mobile", "Li"), ("anion", "O"), ("total", "total")]:
        assert values[f"phonon_band_center_{role}"] == pytest.approx(
            dynamics.band_center[element], rel=1e-3
        )


def test_what_is_missing_has_a_reason(compound, dynamics):
    bare = compound.model_copy(update={"band_gap": None, "formation_energy": None})
    found = describe(bare, dynamics)
    assert set(found.missing) == {"band_gap", "formation_energy"}
    assert found.values["band_gap"] is None
    assert "nor a calculation gives a band gap" in found.missing["band_gap"]
    assert "force field" not in " ".join(found.missing.values())
    given = describe(bare, dynamics, formation_energy=-1.5, formation_energy_source="job 7")
    assert given.values["formation_energy"] == -1.5
    assert given.provenance["formation_energy"] == "job 7"


def test_flags_name_the_soft_modes_and_the_ordering(compound, dynamics):
    soft = dynamics.soft_modes.model_copy(
        update={"count": 4, "lowest_energy": -3.2, "leading_species": "Li"}
    )
    unstable = dynamics.model_copy(update={"soft_modes": soft})
    mixed = compound.model_copy(update={"formula": "Li1.9O", "warnings": ["old data"]})
    found = describe(mixed, unstable)
    assert found.values["soft_mode_flag"] == 1
    assert found.flags[0] == "old data"
    assert "-3.20 meV" in found.flags[1]
    assert "larger supercell" in found.flags[1]
    assert any("approximant of Li1.9O" in flag for flag in found.flags)


def test_another_spelling_of_the_formula_is_no_approximant(compound, dynamics):
    found = describe(compound.model_copy(update={"formula": "OLi2"}), dynamics)
    assert not any("approximant" in flag for flag in found.flags)


def test_documents_of_two_compounds_are_refused(compound, dynamics):
    other = compound.model_copy(update={"compound_id": "another"})
    with pytest.raises(SSEError, match="another: the lattice dynamics is of antifluorite"):
        describe(other, dynamics)


def test_given_roles_are_used(compound, dynamics):
    found = describe(compound, dynamics, roles=Roles("O", ("Li",), ()))
    assert found.mobile_ion == "O"
    assert found.values["mobile_per_formula"] == 1


def test_descriptors_do_not_depend_on_the_cell(compound, dynamics, antifluorite_dynamics, model):
    shuffled = Structure.from_sites(list(model.ANTIFLUORITE)[::-1])
    primitive = model.ANTIFLUORITE.get_primitive_structure()
    expected = describe(compound, dynamics).values
    for other in (antifluorite_dynamics(shuffled), antifluorite_dynamics(primitive, 4)):
        assert describe(compound, other).values == pytest.approx(expected, rel=1e-5)


# the table ------------------------------------------------------------------------------------


@pytest.fixture
def table(compound, dynamics):
    bare = compound.model_copy(
        update={"compound_id": "bare", "conductivity": None, "band_gap": None, "family": "NA"}
    )
    of_bare = dynamics.model_copy(update={"compound_id": "bare"})
    return descriptor_table([describe(compound, dynamics), describe(bare, of_bare)])


def test_table_columns(table):
    assert tuple(table.columns) == COLUMNS
    assert list(table.index) == ["antifluorite", "bare"]
    assert table.loc["antifluorite", "log10_conductivity"] == pytest.approx(-4)
    assert np.isnan(table.loc["bare", "band_gap"])
    assert {str(table[name].dtype) for name in DESCRIPTORS} == {"float64"}


def test_csv_gives_the_table_back(table, tmp_path):
    import pandas as pd

    path = tmp_path / "descriptors.csv"
    table.to_csv(path)
    pd.testing.assert_frame_equal(read_descriptor_csv(path), table)


def test_documents_come_back_from_the_table(table, compound, dynamics):
    import pandas as pd

    sets = descriptor_sets(table)
    pd.testing.assert_frame_equal(descriptor_table(sets), table)
    original = describe(compound, dynamics)
    assert sets[0].values == original.values
    assert sets[1].missing == {"band_gap": "empty in the table"}
    only_log = table.assign(conductivity=np.nan)
    assert descriptor_sets(only_log)[0].conductivity == pytest.approx(1e-4)
    with pytest.raises(SSEError, match="bare: the table has no formula"):
        descriptor_sets(table.assign(formula=["Li2O", None]))


def test_an_empty_table_has_its_columns():
    assert tuple(descriptor_table([]).columns) == COLUMNS


def test_bad_tables_are_refused(table, tmp_path, compound, dynamics):
    path = tmp_path / "bad.csv"
    table.drop(columns="density").to_csv(path)
    with pytest.raises(SSEError, match="lacks the columns density"):
        read_descriptor_csv(path)
    table.astype({"density": object}).assign(density="dense").to_csv(path)
    with pytest.raises(SSEError, match="text in a column of numbers"):
        read_descriptor_csv(path)
    one = describe(compound, dynamics)
    with pytest.raises(SSEError, match="more than once: antifluorite"):
        descriptor_table([one, one])
