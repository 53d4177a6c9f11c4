"""What documents say of a calculation."""

from __future__ import annotations

import pytest

from sse_flows.codes.espresso.documents import describe_run
from sse_flows.codes.espresso.inputs import Settings
from sse_flows.codes.espresso.outputs import Bands, PwResult


@pytest.mark.parametrize(
    ("system", "warnings"),
    [
        ({}, []),
        ({"ecutwfc": 40}, []),
        ({"ecutwfc": 24}, ["ecutwfc of 24 Ry is below the 40 Ry of Si.UPF"]),
    ],
)
def test_a_cutoff_below_that_of_the_file_stands_in_the_document(
    silicon, stand_in, system, warnings
):
    settings = Settings({"Si": stand_in("Si")}, [2, 2, 2], input={"system": system})
    result = PwResult(silicon, -10.0, None, None, Bands(0.0), None, 9, 0, "7.0")
    labels = {"task_label": "scf", "dir_name": "here", "uuid": ""}
    namelists = {"control": {"calculation": "scf"}, "system": system}
    document = describe_run(silicon, settings, result, namelists, **labels)
    assert document.warnings == warnings
    assert document.output.energy_per_atom == -5.0
