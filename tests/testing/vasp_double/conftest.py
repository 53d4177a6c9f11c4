"""The double installed for this folder's tests, and folders with inputs for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.testing.vasp_double import installed

for _name in ("FAULT", "FAULT_STATE", "MODEL", "STEP_SECONDS"):
    os.environ.pop(f"VASP_DOUBLE_{_name}", None)


def cubic(lattice: float, species: list[str], sites: list[list[float]]) -> Structure:
    return Structure.from_spacegroup("Fm-3m", Lattice.cubic(lattice), species, sites)


@pytest.fixture(scope="session")
def double(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of the double, in this process too."""
    with installed(tmp_path_factory.mktemp("double")) as environment:
        yield environment


@pytest.fixture(scope="session")
def li2o() -> Structure:
    return cubic(4.6, ["Li", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]).get_primitive_structure()


@pytest.fixture
def inputs(double, tmp_path) -> Callable[..., Path]:
    """Write the inputs of an atomate2 maker for a structure into a folder."""

    def write(maker, structure: Structure, **incar) -> Path:
        generator = maker.input_set_generator
        generator.user_incar_settings = {**generator.user_incar_settings, **incar}
        folder = tmp_path / "run"
        generator.get_input_set(structure, potcar_spec=False).write_input(folder)
        return folder

    return write


@pytest.fixture
def vasp(double) -> Callable[..., subprocess.CompletedProcess]:
    """Run vasp_std in a folder; its output goes to vasp.out as custodian lets it."""

    def run(folder: Path, **variables: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, **double, **variables}
        done = subprocess.run(
            ["vasp_std"],
            cwd=folder,
            env=environment,
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        (folder / "vasp.out").write_text(done.stdout)
        return done

    return run
