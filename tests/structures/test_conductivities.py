"""Tables of measured conductivities: units, ids, temperatures, and the one that is shipped."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from pymatgen.core import Composition

from sse_flows.errors import SSEError
from sse_flows.structures.conductivities import Measured, read_conductivities


def test_values_keep_their_source_and_temperature(tmp_path):
    path = tmp_path / "sigma.csv"
    path.write_text(
        "id,conductivity_S_per_cm,source,temperature_K\nsalt,1.5e-9,10.1/x,300\nice,2e-8,,\n"
    )
    assert read_conductivities(path) == {
        "salt": Measured(1.5e-9, "10.1/x", 300.0),
        "ice": Measured(2e-8, "sigma.csv", 298.0),
    }


@pytest.mark.parametrize(
    "text",
    [
        "id,conductivity_mS_per_cm\na,0.5",
        "compound_id,conductivity,unit\na,0.5,mS/cm",
        "material_id,conductivity,unit\na,5e-4,S/cm",
        "id,conductivity,unit\na,0.05,S/m",
    ],
)
def test_units_are_converted(tmp_path, text):
    path = tmp_path / "sigma.csv"
    path.write_text(text)
    assert read_conductivities(path)["a"].conductivity == pytest.approx(5e-4)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("id,conductivity\na,1", "the unit belongs to the name"),
        ("id,conductivity,unit\na,1,", "a: unit '' .*is not one of S/cm, mS/cm"),
        ("id,conductivity,unit\na,1,Ohm", "a: unit 'Ohm'.*Convert the value"),
        ("id,conductivity_S_per_cm\na,-3.2", "a: conductivity '-3.2'.*logarithm"),
        ("id,conductivity_S_per_cm\na,0", "a: conductivity '0'"),
        ("id,conductivity_S_per_cm\na,nan", "a: conductivity"),
        ("id,conductivity_S_per_cm\na,inf", "a: conductivity"),
        ("id,conductivity_S_per_cm\na,fast", "a: conductivity 'fast'"),
        ("id,conductivity_S_per_cm\na,12", "a: conductivity 12 S/cm .*Check the unit"),
        ("id,conductivity_S_per_cm\na,1\na,2", "repeated id in line 3"),
        ("id,conductivity_S_per_cm\n,1", "missing id in line 2"),
        ("id,conductivity_S_per_cm,temperature_K\na,1,600", "a: temperature '600'"),
        ("id,conductivity_S_per_cm,temperature_K\na,1,hot", "a: temperature 'hot'"),
        ("id,conductivity_S_per_cm", "holds no conductivity"),
        ("", "unit belongs"),
    ],
)
def test_what_is_no_conductivity_is_refused(tmp_path, text, match):
    path = tmp_path / "sigma.csv"
    path.write_text(text)
    with pytest.raises(SSEError, match=match):
        read_conductivities(path)


def test_absent_and_binary_files_are_refused(tmp_path):
    with pytest.raises(SSEError, match="cannot read"):
        read_conductivities(tmp_path / "none.csv")
    (tmp_path / "bin.csv").write_bytes(bytes(range(200, 256)))
    with pytest.raises(SSEError, match="cannot read"):
        read_conductivities(tmp_path / "bin.csv")


def test_the_shipped_table_is_sane():
    table = read_conductivities("measured")
    assert len(table) == 56
    values = np.array([one.conductivity for one in table.values()])
    assert 1e-24 < values.min() < values.max() < 0.1
    assert all("Krenzer" in one.source and one.temperature == 298 for one in table.values())
    assert all(Composition(one.formula)["Li"] > 0 for one in table.values())


def test_the_shipped_table_is_that_of_its_source(shared_data):
    source = pd.read_csv(shared_data / "krenzer_li_phonon_descriptors.csv", index_col="mp_id")
    source = source["sigma_RT_S_cm"].dropna()
    table = read_conductivities("measured")
    assert {name: one.conductivity for name, one in table.items()} == source.to_dict()
