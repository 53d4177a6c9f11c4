"""Spins with the real pw.x and ph.x: magnetic order in supercells, Born charges of magnets."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.codes import born
from sse_flows.codes.espresso.code import Espresso
from sse_flows.codes.espresso.makers import BornMaker, ScfMaker

pytestmark = [pytest.mark.espresso, pytest.mark.usefixtures("espresso_here")]

HYDROGEN = Structure(Lattice.tetragonal(2.6, 2.9), ["H", "H"], [[0, 0, 0], [0.5, 0.5, 0.5]])
OPPOSED = HYDROGEN.copy(site_properties={"magmom": [1.0, -1.0]})


def code(element: str, file: str, spin: str = "auto", kpoints: int = 2, **system) -> Espresso:
    return Espresso(
        "tight",
        functional="LDA",
        pseudopotentials={element: file},
        kpoints=[kpoints] * 3,
        spin=spin,
        input={"system": {"ecutwfc": 16, **system}},
    ).of([element])


def run(maker, structure: Structure, folder: str, prev_dir: Path | None = None):
    Path(folder).mkdir()
    with contextlib.chdir(folder):
        if isinstance(maker, BornMaker):
            return BornMaker.make.original(maker, structure)
        return maker.run(structure, prev_dir)


def test_an_order_of_the_primitive_cell_is_that_of_a_displaced_supercell(espresso_here):
    """Hydrogen, one atom up and one down: wide apart, they keep moments of their own."""
    plain = code("H", "H.pz-vbc.UPF", spin="polarised")
    maker = plain.with_order(OPPOSED).phonon_maker().phonon_displacement_maker
    maker.settings = plain._settings
    supercell = HYDROGEN.copy()
    supercell.make_supercell([1, 1, 2])
    supercell.translate_sites([0], [0.01, 0, 0], frac_coords=False)
    opposed = run(maker, supercell, "opposed")
    assert opposed.structure.site_properties["magmom"] == [1.0, 1.0, -1.0, -1.0]
    assert opposed.output.magnetization == pytest.approx(0.0, abs=0.05)
    text = Path("opposed/pw.out").read_text()
    size = [line.split()[3] for line in text.splitlines() if "absolute magnetization" in line]
    assert float(size[-1]) > 0.2


def test_a_density_of_another_order_is_no_start(espresso_here):
    maker = ScfMaker(code("H", "H.pz-vbc.UPF", spin="polarised")._settings, keep_density=True)
    run(maker, HYDROGEN, "parallel")
    before = Path("parallel").resolve()
    assert run(maker, OPPOSED, "opposed", before).density_from is None
    assert run(maker, HYDROGEN, "again", before).density_from


def test_born_charges_of_spins_that_agree_are_those_without_spins(silicon, monkeypatch):
    """With fixed occupations pw.x wants the total moment, which is found first."""
    monkeypatch.setattr(born, "MAX_CHARGE", 20.0)  # few k points
    one, two = (
        run(code("Si", "Si.pz-vbc.UPF", spin, degauss=1e-3).born_maker(), silicon, spin)
        for spin in ("none", "polarised")
    )
    np.testing.assert_allclose(two.dielectric, one.dielectric, rtol=1e-3)
    np.testing.assert_allclose(two.born, one.born, atol=2e-3)
    assert not Path("polarised/moment").exists()
    assert not two.corrections


@pytest.mark.parametrize("spin", ["none", "polarised"])
def test_a_metal_whose_gap_nobody_knew_has_no_born_charges(spin):
    lattice = Lattice([[0, 2.0, 2.0], [2.0, 0, 2.0], [2.0, 2.0, 0]])
    aluminium = Structure(lattice, ["Al"], [[0, 0, 0]])
    maker = code("Al", "Al.pz-vbc.UPF", spin, ecutwfc=12).born_maker()
    document = run(maker, aluminium, "metal")
    assert document.born is None
    assert document.note == born.METAL_NOTE


def test_the_density_of_a_crystal_with_hubbard_corrections_starts_another():
    """Without the occupations of its orbitals pw.x refuses the density, and all is lost."""
    iron = Structure(
        Lattice([[-1.43, 1.43, 1.43], [1.43, -1.43, 1.43], [1.43, 1.43, -1.43]]),
        ["Fe"],
        [[0, 0, 0]],
    )
    given = Espresso(
        "tight",
        functional="PBE",
        pseudopotentials={"Fe": "Fe.pbe-nd-rrkjus.UPF"},
        kpoints=[2, 2, 2],
        input={
            "system": {"ecutwfc": 20, "ecutrho": 100, "lda_plus_u": True, "Hubbard_U(1)": 2.0},
            "electrons": {"conv_thr": 1e-6},
        },
    ).of(["Fe"])
    maker = ScfMaker(given._settings, keep_density=True)
    first = run(maker, iron, "first")
    second = run(maker, iron, "second", Path("first").resolve())
    assert second.density_from
    assert not second.corrections
    assert second.output.energy == pytest.approx(first.output.energy, abs=1e-3)


def test_a_density_that_cannot_be_read_is_left_out(silicon):
    maker = ScfMaker(code("Si", "Si.pz-vbc.UPF")._settings, keep_density=True)
    whole = run(maker, silicon, "whole")
    (density,) = Path("whole/out/pwscf.save").glob("charge-density.*")
    density.write_bytes(density.read_bytes()[:-300])
    document = run(maker, silicon, "from-damaged", Path("whole").resolve())
    assert document.corrections == ["started again"]
    assert document.density_from is None
    assert document.output.energy == pytest.approx(whole.output.energy, abs=1e-6)
