"""Modes, DOS, entropy and soft modes against closed forms, phonopy, and the Kyoto database."""

from __future__ import annotations

import gzip
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure
from scipy.constants import atomic_mass, e, hbar

from sse_flows.errors import SSEError
from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.modes import lattice_dynamics, mesh_modes
from sse_flows.phonons.thermal import ZERO_ENERGY, vibrational_entropy
from sse_flows.units import THZ_TO_MEV

_spec = importlib.util.spec_from_file_location("crystals", Path(__file__).with_name("crystals.py"))
crystals = importlib.util.module_from_spec(_spec)
sys.modules["crystals"] = crystals
_spec.loader.exec_module(crystals)

LABELS = {"compound_id": "test", "method": "springs"}
SMALL_KYOTO = ["mp-1960", "mp-12558", "mp-37906", "mp-1138", "mp-22905", "mp-2251"]


def energy_of(constant: float, mass: float) -> float:
    """ħ sqrt(k/m) in meV for k in eV/Å^2 and m in u."""
    return hbar * np.sqrt(constant * e / 1e-20 / (mass * atomic_mass)) / e * 1e3


def run(case, **options) -> LatticeDynamics:
    return lattice_dynamics(**{**case.arguments(), **LABELS, "with_bands": False, **options})


def total(dynamics: LatticeDynamics, power: int = 0, lowest: float = 0.0) -> np.ndarray:
    """∫ E^power g dE over E > lowest for each atom."""
    grid = np.array(dynamics.energies)
    weight = np.where(grid > lowest, grid**power, 0.0) * (grid[1] - grid[0])
    return np.array(dynamics.projected_dos) @ weight


@pytest.fixture(scope="module")
def antifluorite():
    return crystals.spring_crystal(
        crystals.ANTIFLUORITE, 2, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5
    )


@pytest.fixture(scope="module")
def kyoto(shared_data):
    cases: dict[str, object] = {}

    def load(mp_id: str):
        return cases.setdefault(mp_id, crystals.kyoto_case(shared_data, mp_id))

    return load


@pytest.fixture(scope="module")
def kyoto_centers(shared_data) -> dict[str, dict]:
    with gzip.open(shared_data / "kyoto_band_centers.jsonl.gz", "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return {row["id"]: row for row in rows if row.get("id") in SMALL_KYOTO}


# closed forms -------------------------------------------------------------------------------


def chain(species: list[str], constant: float):
    """Chains along z whose atoms are bound by one spring, equal in all three directions."""
    cell = Structure(
        Lattice.tetragonal(9.0, 2.0 * len(species)),
        species,
        [[0, 0, i / len(species)] for i in range(len(species))],
    )
    springs = {
        frozenset(p): (constant, constant)
        for p in zip(species, species[1:] + species[:1], strict=True)
    }
    return crystals.spring_crystal(cell, [1, 1, 4], springs, cutoff=2.5)


def test_monatomic_chain_has_the_closed_form_band_centre():
    """E(q) = E_max |sin(qa/2)|, so the centre is (2/π) E_max and ∫E^2 g / ∫g is E_max^2 / 2."""
    dynamics = run(chain(["Li"], 1.7), mesh=[1, 1, 201])
    top = energy_of(4 * 1.7, 6.941)
    assert dynamics.band_center["total"] == pytest.approx(2 / np.pi * top, rel=5e-3)
    second = total(dynamics, 2)[0] / 3
    assert second - 0.6**2 == pytest.approx(top**2 / 2, rel=1e-3)  # less the broadening's own


def test_diatomic_chain_has_its_gap_where_the_masses_say():
    """Acoustic branch up to sqrt(2k/M), optical from sqrt(2k/m) to sqrt(2k(1/m + 1/M))."""
    constant, light, heavy = 1.7, 6.941, 126.90447
    bands = run(chain(["Li", "I"], constant), mesh=[1, 1, 200], with_bands=False)
    grid, dos = np.array(bands.energies), np.array(bands.projected_dos)
    edges = [
        energy_of(2 * constant, heavy),
        energy_of(2 * constant, light),
        energy_of(2 * constant * (1 / light + 1 / heavy), 1.0),
    ]
    inside = (grid > edges[0] + 3) & (grid < edges[1] - 3)
    assert dos[:, inside].max() < 1e-5
    lithium = grid[(grid > edges[0] + 3)] @ dos[0, grid > edges[0] + 3]
    optical_center = lithium / dos[0, grid > edges[0] + 3].sum()
    assert edges[1] < optical_center < edges[2]


def test_second_moment_is_the_trace_of_the_on_site_force_constants(antifluorite):
    """∫E^2 g_i dE = ħ^2 Tr Φ_ii / m_i, whatever the dispersion."""
    dynamics = run(antifluorite)
    mass = {"Li": 6.941, "O": 15.9994}
    for site, moment, norm in zip(
        dynamics.primitive, total(dynamics, 2), total(dynamics, 0, -1e9), strict=True
    ):
        symbol = site.specie.symbol
        row = next(i for i, s in enumerate(antifluorite.unitcell) if s.specie.symbol == symbol)
        row *= 8  # phonopy keeps the 8 copies of an atom together
        trace = np.trace(antifluorite.force_constants[row, row])
        assert norm == pytest.approx(3, abs=1e-9)
        assert moment - 3 * 0.6**2 == pytest.approx(energy_of(trace, mass[symbol]) ** 2, rel=2e-4)


# invariants ---------------------------------------------------------------------------------


def rotated(case, angles=(0.3, 1.1, 2.0)):
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("zyx", angles).as_matrix()
    cell = case.unitcell
    lattice = Lattice(cell.lattice.matrix @ turn.T)
    return crystals.Case(
        Structure(lattice, cell.species, cell.frac_coords),
        case.supercell_matrix,
        np.einsum("ac,ijcd,bd->ijab", turn, case.force_constants, turn),
    )


def other_cells():
    """The antifluorite crystal in other cells, supercells and orders of its atoms."""
    cubic = crystals.ANTIFLUORITE
    order = np.random.default_rng(1).permutation(len(cubic))
    shuffled = Structure.from_sites([cubic[i] for i in order])
    doubled = cubic.copy().make_supercell([2, 1, 1], in_place=False)
    yield "primitive", cubic.get_primitive_structure(), 4
    yield "shuffled", shuffled, 2
    yield "doubled", doubled, [1, 2, 2]
    yield "larger supercell", cubic, [3, 2, 2]


@pytest.mark.parametrize(
    ("cell", "repeat"), [(c, r) for _, c, r in other_cells()], ids=[n for n, *_ in other_cells()]
)
def test_results_do_not_depend_on_the_cell(antifluorite, cell, repeat):
    expected = run(antifluorite)
    found = run(crystals.spring_crystal(cell, repeat, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5))
    assert_same(found, expected)


def test_results_do_not_depend_on_the_orientation(antifluorite):
    assert_same(run(rotated(antifluorite)), run(antifluorite))


def assert_same(found: LatticeDynamics, expected: LatticeDynamics) -> None:
    assert found.mesh == expected.mesh
    assert found.entropy == pytest.approx(expected.entropy, rel=1e-6)
    assert found.band_center == pytest.approx(expected.band_center, rel=1e-6)
    assert found.soft_modes.count == expected.soft_modes.count
    assert found.energies == pytest.approx(expected.energies)
    for symbol in ("Li", "O"):
        assert summed(found, symbol) == pytest.approx(summed(expected, symbol), abs=1e-6)


def summed(dynamics: LatticeDynamics, symbol: str) -> np.ndarray:
    rows = [site.specie.symbol == symbol for site in dynamics.primitive]
    return np.array(dynamics.projected_dos)[rows].sum(axis=0)


def test_full_and_compact_force_constants_give_the_same_document(antifluorite):
    full = run(antifluorite)
    again = lattice_dynamics(
        full.unitcell,
        full.supercell_matrix,
        full.force_constants,
        primitive_matrix=full.primitive_matrix,
        **LABELS,
        with_bands=False,
    )
    assert_same(again, full)
    assert np.shape(full.force_constants) == (3, 96, 3, 3)


def test_symmetry_reduced_mesh_equals_the_full_mesh_atom_by_atom():
    case = crystals.spring_crystal(crystals.TERNARY, 3, crystals.TERNARY_SPRINGS, cutoff=3.0)
    phonon = adapter.phonopy_from_force_constants(**case.arguments())
    reduced = mesh_modes(phonon, [4, 4, 4])
    grid = np.stack(np.meshgrid(*[np.arange(4) / 4] * 3), axis=-1).reshape(-1, 3)
    frequencies, vectors = adapter.solve(phonon, grid, eigenvectors=True)
    squares = (np.abs(vectors) ** 2).reshape(64, 5, 3, 15).sum(axis=2)
    expected = np.einsum("qs,qas->a", frequencies * THZ_TO_MEV, squares) / 64
    found = np.einsum("q,qs,qas->a", reduced.weights, reduced.energies, reduced.atom_weights) / 64
    assert len(reduced.weights) == 10
    assert found == pytest.approx(expected, rel=1e-9)


# phonopy and the Kyoto database ---------------------------------------------------------------


@pytest.mark.parametrize("mp_id", SMALL_KYOTO)
def test_band_centres_are_those_of_the_kyoto_database(kyoto, kyoto_centers, mp_id):
    dynamics, reference = run(kyoto(mp_id)), kyoto_centers[mp_id]
    centers = {**reference["centers"], "total": reference["center"]}
    assert dynamics.band_center == pytest.approx(centers, rel=1e-3)
    per_formula = dynamics.primitive.composition.reduced_composition.num_atoms
    entropy = reference["s300"] * 8.314462618 * per_formula
    assert dynamics.entropy == pytest.approx(entropy, rel=4e-3)  # its mesh leaves 0.3 %


@pytest.mark.parametrize("mp_id", ["mp-1960", "mp-2251"])
def test_entropy_is_phonopys(kyoto, mp_id):
    """To 3e-6, by which phonopy's physical constants (before 2019) differ from scipy's."""
    phonon = adapter.phonopy_from_force_constants(**kyoto(mp_id).arguments())
    mesh = [9, 9, 9]
    modes = mesh_modes(phonon, mesh)
    phonon.run_mesh(mesh, is_gamma_center=True)
    phonon.run_thermal_properties(temperatures=[300], cutoff_frequency=ZERO_ENERGY / THZ_TO_MEV)
    expected = phonon.get_thermal_properties_dict()["entropy"][0]
    assert vibrational_entropy(modes.energies, modes.weights, 300.0) == pytest.approx(
        expected, rel=3e-6
    )


def test_projected_dos_has_the_centres_of_phonopys(kyoto):
    """Against the tetrahedron method on the same mesh."""
    dynamics = run(kyoto("mp-1960"), mesh=[11, 11, 11])
    phonon = adapter.phonopy_from_document(dynamics)
    phonon.run_mesh(
        [11, 11, 11], with_eigenvectors=True, is_mesh_symmetry=False, is_gamma_center=True
    )
    phonon.run_projected_dos(freq_min=1e-3, freq_max=25.0, freq_pitch=0.05)
    reference = phonon.get_projected_dos_dict()
    frequencies, dos = reference["frequency_points"], reference["projected_dos"]
    expected = THZ_TO_MEV * (dos @ frequencies) / dos.sum(axis=1)
    assert total(dynamics, 1) / total(dynamics) == pytest.approx(expected, rel=5e-3)
    by_element = [dynamics.band_center[site.specie.symbol] for site in dynamics.primitive]
    assert total(dynamics, 1) / total(dynamics) == pytest.approx(by_element, rel=1e-3)


@pytest.mark.parametrize("mp_id", ["mp-1960", "mp-1138", "mp-22905"])
def test_the_mesh_is_converged(kyoto, mp_id):
    coarse, fine = run(kyoto(mp_id)), run(kyoto(mp_id), mesh_length=120)
    assert coarse.entropy == pytest.approx(fine.entropy, rel=5e-3)
    assert coarse.band_center == pytest.approx(fine.band_center, rel=5e-3)
    shares = [share_below_30(dynamics) for dynamics in (coarse, fine)]
    assert shares[0] == pytest.approx(shares[1], rel=5e-3)


def share_below_30(dynamics: LatticeDynamics) -> list[float]:
    """Low-energy share of Li, of the other species, and of their overlap."""
    grid = np.array(dynamics.energies)
    window = (grid > 0) & (grid <= 30)
    other = next(s for s in dynamics.band_center if s not in ("Li", "total"))
    parts = [summed(dynamics, symbol)[window] for symbol in ("Li", other)]
    whole = np.array(dynamics.projected_dos).sum(axis=0)[window].sum()
    return [float(part.sum() / whole) for part in (*parts, np.minimum(*parts))]


def test_force_constants_obey_the_acoustic_sum_rule(kyoto):
    case = kyoto("mp-37906")
    phonon = adapter.phonopy_from_force_constants(**case.arguments())
    assert adapter.drift(phonon.force_constants) < 1e-10
    energies = adapter.solve(phonon, [[0, 0, 0]], eigenvectors=False)[0] * THZ_TO_MEV
    assert np.abs(energies[0, :3]).max() < 1e-3


def test_born_charges_split_the_optical_modes_at_gamma(kyoto):
    """Li2O: three optical branches meet Γ at 2 TO and 1 LO energies."""
    case = kyoto("mp-1960")
    bands = run(case, with_bands=True).band_structure
    gamma = [
        energies[0 if labels[0] == "Γ" else -1]
        for energies, labels in zip(bands.energies, bands.labels, strict=True)
        if "Γ" in labels
    ]
    assert gamma
    bare = run(
        crystals.Case(case.unitcell, case.supercell_matrix, case.force_constants), with_bands=True
    )
    assert max(map(max, gamma)) > 1.3 * max(bare.band_structure.energies[0][0])
    for energies in gamma:
        assert np.abs(energies[:3]).max() < 0.05


# bands ----------------------------------------------------------------------------------------


def test_bands_are_the_energies_on_the_path(antifluorite):
    dynamics = run(antifluorite, with_bands=True)
    bands = dynamics.band_structure
    assert sum(map(len, bands.distances)) <= 300
    assert {len(point) for segment in bands.energies for point in segment} == {9}
    ends = {label for pair in bands.labels for label in pair}
    assert {"Γ", "X", "L"} <= ends
    phonon = adapter.phonopy_from_document(dynamics)
    x_point = np.sort(phonon.get_frequencies([0.5, 0.0, 0.5])) * THZ_TO_MEV
    segment, end = next((i, -pair.index("X")) for i, pair in enumerate(bands.labels) if "X" in pair)
    assert bands.energies[segment][end] == pytest.approx(x_point, abs=1e-4)


# errors ---------------------------------------------------------------------------------------


def test_force_constants_of_another_supercell_are_refused(antifluorite):
    case = crystals.Case(antifluorite.unitcell, np.eye(3, dtype=int), antifluorite.force_constants)
    with pytest.raises(SSEError, match=r"test: force constants have shape .*supercell_matrix"):
        run(case)


def test_nan_is_refused(antifluorite):
    broken = antifluorite.force_constants.copy()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(SSEError, match="NaN"):
        run(crystals.Case(antifluorite.unitcell, antifluorite.supercell_matrix, broken))


def test_disordered_cells_are_refused(antifluorite):
    cell = antifluorite.unitcell.copy()
    cell[0] = {"O": 0.5}
    with pytest.raises(SSEError, match="ordered"):
        run(crystals.Case(cell, 2, antifluorite.force_constants))


@pytest.mark.parametrize(
    ("born", "dielectric", "message"),
    [(np.zeros((3, 3, 3)), None, "together"), (np.zeros((5, 3, 3)), np.eye(3), "do not fit")],
)
def test_born_charges_must_fit(antifluorite, born, dielectric, message):
    with pytest.raises(SSEError, match=message):
        run(antifluorite, born=born, dielectric=dielectric)
