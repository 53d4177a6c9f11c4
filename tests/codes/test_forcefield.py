"""Force fields by name or file, and relaxations that phonons can trust."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from monty.json import MontyDecoder, MontyEncoder
from pymatgen.core import Lattice, Structure

from sse_flows.codes.forcefield import (
    DEFAULT_MODEL,
    SHIPPED_MODELS,
    ForceField,
    RelaxMaker,
    StaticMaker,
    _check_relaxed,
)
from sse_flows.errors import SSEError

pytestmark = pytest.mark.forcefield


def rocksalt(edge: float) -> Structure:
    cell = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge), ["Li", "F"], [[0, 0, 0], [0.5, 0.5, 0.5]]
    )
    return cell.get_primitive_structure()


@pytest.fixture(scope="module")
def checkpoint() -> Path:
    """Weights of SevenNet-0 as a file, as a user's own would be."""
    package = Path(importlib.util.find_spec("sevenn").origin).parent
    return next(package.glob("pretrained_potentials/SevenNet_0__11Jul2024/*.pth"))


@pytest.fixture(scope="module")
def relaxed():
    maker = ForceField(DEFAULT_MODEL).relax_maker()
    return maker.run_ase(rocksalt(4.2))


def test_an_unknown_model_lists_the_choices():
    with pytest.raises(SSEError, match="unknown force field 'SevenNet-O'") as caught:
        ForceField("SevenNet-O")
    assert all(name in caught.value.mend for name in [*SHIPPED_MODELS, "MACE-MP-0", "M3GNet"])
    assert "checkpoint" in caught.value.mend
    assert "Forcefield" not in caught.value.mend


def test_a_model_whose_package_is_missing_says_what_to_install():
    if importlib.util.find_spec("deepmd"):
        pytest.skip("deepmd-kit is installed")
    with pytest.raises(SSEError, match="deepmd-kit") as caught:
        ForceField("DeepMD")
    assert caught.value.mend == "pip install deepmd-kit"


def test_the_method_names_model_package_and_version():
    from importlib.metadata import version

    assert ForceField("SevenNet-0").method == f"SevenNet-0 (sevenn {version('sevenn')})"


def test_makers_carry_the_model_and_its_version():
    field = ForceField("SevenNet-0", {"modal": "x"})
    maker = field.static_maker()
    assert maker.calculator_kwargs == {"model": "7net-0", "modal": "x"}
    assert maker.model_version.startswith("sevenn ")
    assert SHIPPED_MODELS["SevenNet-0"][1] == {"model": "7net-0"}  # not changed by the options
    phonons = field.phonon_maker(0.03)
    assert phonons.displacement == 0.03
    assert (phonons.bulk_relax_maker, phonons.static_energy_maker) == (None, None)
    assert phonons.phonon_displacement_maker == maker


def test_a_file_is_known_by_its_content(checkpoint, tmp_path):
    copy = tmp_path / "mine.pth"
    copy.write_bytes(checkpoint.read_bytes())
    first = ForceField(str(copy)).static_maker()
    assert first.calculator_kwargs["model"] == str(copy)
    assert "sha256" in first.model_version
    copy.write_bytes(checkpoint.read_bytes() + b"\0")
    assert ForceField(str(copy)).static_maker().model_version != first.model_version


def test_makers_survive_json():
    maker = ForceField("SevenNet-0").relax_maker(0.005, 77)
    again = json.loads(json.dumps(maker, cls=MontyEncoder), cls=MontyDecoder)
    assert isinstance(again, RelaxMaker)
    assert again.relax_kwargs["fmax"] == 0.005
    assert (again.steps, again.model_version) == (77, maker.model_version)


def test_makers_share_one_loaded_model():
    field = ForceField("SevenNet-0")
    relax, static = field.relax_maker()._get_calculator(), field.static_maker()._get_calculator()
    assert relax is static
    assert field.relax_maker(0.01)._get_calculator() is relax
    other = StaticMaker(force_field_name="CHGNet", calculator_kwargs={})
    assert other._get_calculator() is not relax


def test_a_file_gives_the_forces_of_the_model_it_holds(checkpoint):
    cell = rocksalt(4.0)
    cell.translate_sites(0, [0.02, 0, 0])
    named = ForceField("SevenNet-0").static_maker().run_ase(cell)
    filed = ForceField(str(checkpoint)).static_maker().run_ase(cell)
    assert filed.final_energy == pytest.approx(named.final_energy, abs=1e-4)


def test_a_relaxation_keeps_the_space_group_and_reaches_the_force(relaxed):
    final = relaxed.final_mol_or_struct
    assert final.get_space_group_info() == ("Fm-3m", 225)
    assert 3.95 < (4 * final.volume) ** (1 / 3) < 4.2  # 4.03 Å by experiment
    static = ForceField(DEFAULT_MODEL).static_maker().run_ase(final)
    forces = np.array(static.trajectory.frame_properties[-1]["forces"])
    assert np.linalg.norm(forces, axis=1).max() < 0.001


def test_no_stress_is_left(relaxed):
    from pymatgen.io.ase import AseAtomsAdaptor

    atoms = AseAtomsAdaptor.get_atoms(relaxed.final_mol_or_struct)
    atoms.calc = ForceField(DEFAULT_MODEL).static_maker()._get_calculator()
    assert np.abs(atoms.get_stress()).max() < 1e-3  # eV/Å^3


def test_one_that_does_not_converge_is_an_error():
    with pytest.raises(SSEError, match=r"did not reach 0\.001 eV/Å in 2 steps") as caught:
        ForceField("SevenNet-0").relax_maker(steps=2).run_ase(rocksalt(4.4))
    assert "relax.steps" in caught.value.mend


def test_a_crystal_that_falls_apart_is_an_error(relaxed):
    with pytest.raises(SSEError, match="the volume changed by a factor") as caught:
        _check_relaxed(rocksalt(9.0), relaxed, 500, 0.001)
    assert "missing atoms" in caught.value.mend


def test_the_fallback_leaves_the_makers_own_optimizer_in_place():
    maker = ForceField("SevenNet-0").relax_maker(steps=2)
    with pytest.raises(SSEError):
        maker.run_ase(rocksalt(4.4))
    assert maker.optimizer_kwargs == {"optimizer": "BFGS"}
