"""VASP runs give the phonons of FORCE_SETS, or are refused with the mend."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from phonopy import Phonopy
from phonopy.file_IO import get_FORCE_SETS_lines, write_force_constants_to_hdf5

from sse_flows.errors import SSEError
from sse_flows.phonons.crystal import read_crystal
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.entries import Entry, Source, find_entries, read_entry, run_number
from sse_flows.phonons.force_sets import parse_force_sets
from sse_flows.phonons.imported import entry_dynamics
from sse_flows.phonons.vasprun import Run, read_run

AXES = "0 1/2 1/2  1/2 0 1/2  1/2 1/2 0"
CONF = f"DIM = 2 2 2\nPRIMITIVE_AXIS = {AXES}\n"


@pytest.fixture(scope="module")
def phonon(springs):
    return sys.modules["entries"].displaced(springs)


@pytest.fixture(scope="module")
def runs(phonon) -> dict[int, str]:
    return sys.modules["vaspruns"].displaced_runs(phonon)


def write(path: Path, text: str) -> None:
    sys.modules["vaspruns"].write(path, text)


def dynamics(folder: Path) -> LatticeDynamics:
    return entry_dynamics(read_entry(Source("mine", folder, "phonopy")), with_bands=False)


def refused(folder: Path) -> SSEError:
    with pytest.raises(SSEError) as caught:
        dynamics(folder)
    assert caught.value.compound == "mine"
    assert caught.value.mend
    return caught.value


def with_yaml(folder: Path, phonon, runs: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    sys.modules["vaspruns"].disp_yaml(phonon, folder / "phonopy_disp.yaml")
    for name, text in runs.items():
        write(folder / name, text)
    return folder


def with_conf(folder: Path, phonon, runs: dict[str, str]) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "POSCAR-unitcell").write_text(sys.modules["vaspruns"].poscar(phonon))
    (folder / "phonopy.conf").write_text(CONF)
    for name, text in runs.items():
        write(folder / name, text)
    return folder


@pytest.fixture(scope="module")
def expected(tmp_path_factory, phonon) -> LatticeDynamics:
    """The same forces by FORCE_SETS."""
    folder = with_yaml(tmp_path_factory.mktemp("direct") / "mine", phonon, {})
    (folder / "FORCE_SETS").write_text("\n".join(get_FORCE_SETS_lines(phonon.dataset)))
    return dynamics(folder)


def assert_same(found: LatticeDynamics, expected: LatticeDynamics, rel: float) -> None:
    scale = np.abs(expected.force_constants).max()
    error = np.subtract(found.force_constants, expected.force_constants)
    assert np.abs(error).max() < rel * scale
    # an acoustic mode of -1e-6 meV at Γ may add one empty bin
    top = np.max(expected.projected_dos)
    for one, other in zip(found.projected_dos, expected.projected_dos, strict=True):
        moved = np.interp(expected.energies, found.energies, one)
        np.testing.assert_allclose(moved, other, atol=100 * rel * top)
    assert found.band_center == pytest.approx(expected.band_center, rel=rel)
    assert found.entropy == pytest.approx(expected.entropy, rel=rel)
    assert found.mesh == expected.mesh


class TestDisplacedSupercells:
    @pytest.mark.parametrize(
        "names",
        [
            "disp-{:03d}/vasprun.xml",
            "disp-{:03d}/vasprun.xml.gz",
            "vasprun.xml-{:03d}",
            "vasprun.xml-{:03d}.gz",
            "vasprun-{}.xml",
        ],
    )
    def test_equal_the_force_sets(self, tmp_path, phonon, runs, expected, names):
        folder = with_yaml(
            tmp_path / "mine", phonon, {names.format(k): text for k, text in runs.items()}
        )
        found = dynamics(folder)
        assert_same(found, expected, 2e-6)  # forces have eight digits in vasprun.xml
        assert found.method == "PBEsol, VASP 6.4.2 (mine)"
        assert found.provenance["residual forces"] == "subtracted"
        assert found.provenance["INCAR ENCUT"] == "600.0"
        assert found.provenance["displaced supercells"] == str(len(phonon.displacements))

    def test_without_phonopy_disp_the_positions_say_what_moved(
        self, tmp_path, phonon, runs, expected
    ):
        named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items() if k}
        found = dynamics(with_conf(tmp_path / "mine", phonon, named))
        assert_same(found, expected, 1e-5)  # and positions too
        assert "residual forces" not in found.provenance

    @pytest.mark.parametrize("perfect", ["perfect/vasprun.xml", "vasprun.xml-perfect", "disp-0"])
    def test_residual_forces_are_taken_off(self, tmp_path, phonon, runs, expected, perfect):
        rest = np.random.default_rng(3).normal(scale=0.02, size=(len(phonon.supercell), 3))
        vaspruns = sys.modules["vaspruns"]
        cells = enumerate(phonon.supercells_with_displacements)
        named = {
            f"disp-{k + 1}/vasprun.xml": vaspruns.vasprun(cell, phonon.forces[k] + rest)
            for k, cell in cells
        }
        name = perfect if "vasprun" in perfect else f"{perfect}/vasprun.xml"
        named[name] = vaspruns.vasprun(phonon.supercell, rest)
        assert_same(dynamics(with_yaml(tmp_path / "mine", phonon, named)), expected, 4e-6)

    def test_force_sets_come_first(self, tmp_path, phonon, expected):
        folder = with_yaml(tmp_path / "mine", phonon, {"disp-001/vasprun.xml": "broken"})
        (folder / "FORCE_SETS").write_text("\n".join(get_FORCE_SETS_lines(phonon.dataset)))
        assert_same(dynamics(folder), expected, 1e-12)

    def test_are_found_below_a_folder(self, tmp_path, phonon, runs):
        named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items()}
        with_yaml(tmp_path / "mp-7-mine", phonon, named)
        without_cell = tmp_path / "halfway"
        write(without_cell / "disp-001" / "vasprun.xml", runs[1])
        found = find_entries([tmp_path], "phonopy")
        assert {one.compound_id: one.origin for one in found} == {
            "halfway": "phonopy",
            "mp-7": "phonopy",
        }
        with pytest.raises(SSEError, match=r"halfway: the entry has no phonopy\.conf"):
            entry_dynamics(read_entry(found[0]))

    def test_digest_does_not_care_for_packing(self, tmp_path, runs):
        write(tmp_path / "a" / "vasprun.xml-001", runs[1])
        write(tmp_path / "b" / "vasprun.xml-001.gz", runs[1])
        write(tmp_path / "c" / "vasprun.xml-001", runs[2])
        digests = [read_entry(Source("x", tmp_path / n, "phonopy")).digest for n in "abc"]
        assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("disp-001/vasprun.xml", 1),
        ("disp_12/vasprun.xml", 12),
        ("disp000/vasprun.xml", 0),
        ("perfect/vasprun.xml", 0),
        ("vasprun.xml-003", 3),
        ("vasprun-4.xml", 4),
        ("vasprun.xml", None),
        ("relax/vasprun.xml", None),
    ],
)
def test_number_of_a_run(name, number):
    assert run_number(name) == number


class TestRefusedRuns:
    def broken(self, tmp_path, phonon, runs, change, number=2, write_folder=with_yaml) -> SSEError:
        """What is said where one run is changed: text of the run -> its new text, or None."""
        named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items()}
        text = change(runs[number])
        if text is None:
            del named[f"disp-{number:03d}/vasprun.xml"]
        else:
            named[f"disp-{number:03d}/vasprun.xml"] = text
        problem = refused(write_folder(tmp_path / "mine", phonon, named))
        assert "disp" in problem.message or "displacement" in problem.message
        return problem

    @pytest.mark.parametrize("part", [0.0, 0.3, 0.9])
    def test_cut_off(self, tmp_path, phonon, runs, part):
        problem = self.broken(tmp_path, phonon, runs, lambda t: t[: int(part * len(t))])
        assert "disp-002/vasprun.xml cannot be read" in problem.message
        assert "run it again" in problem.mend

    def test_packed_and_cut_off(self, tmp_path, phonon, runs):
        folder = with_yaml(
            tmp_path / "mine", phonon, {f"vasprun.xml-{k:03d}.gz": t for k, t in runs.items()}
        )
        file = folder / "vasprun.xml-001.gz"
        file.write_bytes(file.read_bytes()[:500])
        assert "vasprun.xml-001 cannot be read" in refused(folder).message
        with pytest.raises(SSEError, match="mine: vasprun"):
            _ = read_entry(Source("mine", folder, "phonopy")).digest

    def test_not_converged(self, tmp_path, phonon, runs):
        def change(text):
            return text.replace('name="NELM">60<', 'name="NELM">5<')

        problem = self.broken(tmp_path, phonon, runs, change)
        assert "not converged" in problem.message
        assert "all 5 steps of NELM" in problem.message
        assert "NELM" in problem.mend

    @pytest.mark.parametrize("value", ["NaN", "********", "inf"])
    def test_forces_that_are_no_numbers(self, tmp_path, phonon, runs, value):
        def change(text):
            before, after = text.split('<varray name="forces">\n<v> ', 1)
            return f'{before}<varray name="forces">\n<v> {value} {after.split(" ", 1)[1]}'

        assert "NaN or infinite" in self.broken(tmp_path, phonon, runs, change).message

    def test_missing(self, tmp_path, phonon, runs):
        problem = self.broken(tmp_path, phonon, runs, lambda _: None)
        assert problem.message == f"no vasprun.xml of displacement 2 of {len(runs) - 1}"

    def test_one_too_many(self, tmp_path, phonon, runs):
        named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items()}
        folder = with_yaml(tmp_path / "mine", phonon, {**named, "disp-099/vasprun.xml": runs[1]})
        assert "displacement 99" in refused(folder).message

    def test_twice(self, tmp_path, phonon, runs):
        named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items()}
        folder = with_yaml(tmp_path / "mine", phonon, {**named, "disp-1/vasprun.xml": runs[1]})
        assert "both of displacement 1" in refused(folder).message

    def test_under_the_wrong_number(self, tmp_path, phonon, runs):
        problem = self.broken(tmp_path, phonon, runs, lambda _: runs[1])
        assert "should hold displacement 2 but holds number 1" in problem.message

    def test_of_the_undisplaced_supercell(self, tmp_path, phonon, runs):
        problem = self.broken(tmp_path, phonon, runs, lambda _: runs[0])
        assert "no atom is displaced" in problem.message

    def test_displaced_where_it_should_not_be(self, tmp_path, phonon, runs):
        problem = self.broken(tmp_path, phonon, runs, lambda _: runs[1], number=0)
        assert "undisplaced" in problem.message

    def test_of_another_number_of_atoms(self, tmp_path, phonon, runs):
        small = sys.modules["vaspruns"].vasprun(
            phonon.unitcell, np.zeros((len(phonon.unitcell), 3))
        )
        problem = self.broken(tmp_path, phonon, runs, lambda _: small)
        assert f"of {len(phonon.unitcell)} atoms, the supercell has" in problem.message

    def test_in_another_order(self, tmp_path, phonon, runs):
        cell = phonon.supercells_with_displacements[1]
        turned = cell.copy()
        turned.symbols = list(reversed(cell.symbols))
        turned.scaled_positions = cell.scaled_positions[::-1]
        text = sys.modules["vaspruns"].vasprun(turned, phonon.forces[1][::-1])
        assert "another order" in self.broken(tmp_path, phonon, runs, lambda _: text).message

    def test_with_atoms_of_one_element_exchanged(self, tmp_path, phonon, runs):
        cell = phonon.supercells_with_displacements[1].copy()
        places = cell.scaled_positions
        places[[5, 6]] = places[[6, 5]]
        cell.scaled_positions = places
        text = sys.modules["vaspruns"].vasprun(cell, phonon.forces[1])
        problem = self.broken(tmp_path, phonon, runs, lambda _: text)
        assert "more than one atom" in problem.message

    def test_of_a_relaxation(self, tmp_path, phonon, runs):
        cell = phonon.supercells_with_displacements[1]
        text = sys.modules["vaspruns"].vasprun(cell, phonon.forces[1], ionic=3)
        assert "3 ionic steps" in self.broken(tmp_path, phonon, runs, lambda _: text).message

    def test_of_another_lattice(self, tmp_path, phonon, runs):
        cell = phonon.supercells_with_displacements[1].copy()
        cell.cell = cell.cell * 1.01
        text = sys.modules["vaspruns"].vasprun(cell, phonon.forces[1])
        problem = self.broken(tmp_path, phonon, runs, lambda _: text)
        assert "other lattice vectors" in problem.message

    def test_too_few_for_force_constants(self, tmp_path, phonon, runs):
        problem = self.broken(tmp_path, phonon, runs, lambda _: None, write_folder=with_conf)
        assert "vasprun.xml of the displaced supercells gives no force constants" in problem.message


@pytest.mark.parametrize("cells", [with_yaml, with_conf])
def test_forces_of_dft_equal_those_of_their_force_sets(shared_data, tmp_path, cells):
    """Li8PtO6 of the Kyoto database (18 displacements), its forces written as vasprun.xml."""
    (source,) = find_entries((shared_data / "kyoto_phonondb_li").glob("mp-8610-*"))
    entry = read_entry(source)
    crystal = read_crystal(entry)
    phonon = Phonopy(crystal.unitcell, crystal.supercell_matrix, crystal.primitive_matrix)
    phonon.dataset = parse_force_sets(entry, len(phonon.supercell))
    runs = sys.modules["vaspruns"].displaced_runs(phonon)
    named = {f"disp-{k:03d}/vasprun.xml": text for k, text in runs.items() if k}
    folder = cells(tmp_path / "mine", phonon, named)
    (folder / "phonopy.conf").write_text(entry.files["phonopy.conf"])
    expected = entry_dynamics(entry, with_bands=False)
    assert_same(dynamics(folder), expected, 1e-12 if cells is with_yaml else 2e-6)


class TestHessian:
    def run(self, phonon, springs, **more) -> str:
        cell = phonon.supercell
        forces = np.zeros((len(cell), 3))
        return sys.modules["vaspruns"].vasprun(
            cell, forces, **{"hessian": springs.force_constants, "ibrion": 8, **more}
        )

    @pytest.mark.parametrize("unit", [None, "THz^2"])
    @pytest.mark.parametrize("cells", [with_conf, with_yaml])
    def test_equals_the_springs(self, tmp_path, phonon, springs, expected, unit, cells):
        text = self.run(phonon, springs, unit=unit)
        found = dynamics(cells(tmp_path / "mine", phonon, {"vasprun.xml": text}))
        assert_same(found, expected, 2e-6)
        assert "displacement" not in found.provenance

    def test_steps_of_the_response_do_not_count_as_electronic_ones(
        self, tmp_path, phonon, springs, expected
    ):
        text = self.run(phonon, springs, steps=5, nelm=10)
        loop = "<scstep><energy><i name='e_fr_energy'>-1.0</i></energy></scstep>"
        text = text.replace("<calculation>", "<calculation>\n").replace(
            "</scstep><structure>", f"</scstep>{loop * 20}<structure>"
        )
        assert text.count("<scstep>") == 25
        found = dynamics(with_conf(tmp_path / "mine", phonon, {"vasprun.xml": text}))
        assert_same(found, expected, 2e-6)

    def test_of_a_plain_run_is_refused(self, tmp_path, phonon, springs):
        text = self.run(phonon, springs, hessian=None, ibrion=-1)
        folder = with_conf(tmp_path / "mine", phonon, {"vasprun.xml": text})
        assert "no Hessian" in refused(folder).message

    def test_of_some_atoms_is_refused(self, tmp_path, phonon, springs):
        text = self.run(phonon, springs, hessian=springs.force_constants[:4, :4])
        folder = with_conf(tmp_path / "mine", phonon, {"vasprun.xml": text})
        assert "no Hessian of all atoms" in refused(folder).message

    def test_of_another_supercell_is_refused(self, tmp_path, phonon, springs):
        text = self.run(phonon, springs)
        folder = with_conf(tmp_path / "mine", phonon, {"vasprun.xml": text})
        (folder / "phonopy.conf").write_text(CONF.replace("2 2 2", "1 1 1"))
        assert "of 96 atoms, the supercell has 12" in refused(folder).message

    def test_without_a_supercell_matrix_is_refused(self, tmp_path, phonon, springs):
        folder = with_conf(tmp_path / "mine", phonon, {"vasprun.xml": self.run(phonon, springs)})
        (folder / "phonopy.conf").unlink()
        assert "no phonopy.conf" in refused(folder).message

    def test_not_converged_is_refused(self, tmp_path, phonon, springs):
        text = self.run(phonon, springs, steps=7, nelm=7)
        folder = with_conf(tmp_path / "mine", phonon, {"vasprun.xml": text})
        assert "not converged" in refused(folder).message


class TestFileOfVasp:
    """A response run of VASP 6.3 (NaCl), from the test data that ASE installs."""

    @pytest.fixture
    def text(self) -> str:
        ase = pytest.importorskip("ase")
        file = Path(ase.__file__).parent / "test" / "testdata" / "vasp" / "vasprun_dfpt.xml"
        if not file.is_file():
            pytest.skip("this ASE comes without its test data")
        return file.read_text()

    def run(self, folder: Path, text: str) -> Run:
        write(folder / "vasprun.xml", text)
        return read_run(
            Entry("mine", "mine", {}, {"vasprun.xml": folder / "vasprun.xml"}), "vasprun.xml"
        )

    def test_is_read(self, tmp_path, text):
        run = self.run(tmp_path, text)
        assert run.symbols == ["Na", "Cl"]
        assert [step.shape for step in run.forces] == [(2, 3)]
        assert run.settings["VASP"] == "6.3.2"
        assert run.settings["INCAR GGA"] == "PE"

    def test_its_80_steps_are_13_of_the_loop_and_those_of_the_response(self, tmp_path, text):
        assert text.count("<scstep>") == 80
        nelm = '<i type="int" name="NELM">   100</i>'
        assert nelm in text
        self.run(tmp_path, text.replace(nelm, nelm.replace("100", " 14")))
        with pytest.raises(SSEError, match="not converged"):
            self.run(tmp_path, text.replace(nelm, nelm.replace("100", " 13")))


class TestHdf5:
    @pytest.fixture
    def folder(self, tmp_path, phonon, springs) -> Path:
        pytest.importorskip("h5py")
        folder = with_conf(tmp_path / "mine", phonon, {})
        write_force_constants_to_hdf5(
            springs.force_constants, filename=str(folder / "force_constants.hdf5")
        )
        return folder

    def test_equals_the_springs(self, folder, expected):
        assert_same(dynamics(folder), expected, 1e-9)

    def test_of_another_unit_is_refused(self, folder, springs):
        write_force_constants_to_hdf5(
            springs.force_constants,
            filename=str(folder / "force_constants.hdf5"),
            physical_unit="Ry/au^2",
        )
        assert "Ry/au^2" in refused(folder).message

    def test_compact_of_another_cell_is_refused(self, folder, springs):
        write_force_constants_to_hdf5(
            springs.force_constants[:3],
            filename=str(folder / "force_constants.hdf5"),
            p2s_map=np.array([0, 1, 2]),
        )
        assert "PRIMITIVE_AXIS" in refused(folder).message

    def test_damaged_is_refused(self, folder):
        (folder / "force_constants.hdf5").write_bytes(b"no hdf5")
        assert "force_constants.hdf5 cannot be read" in refused(folder).message

    def test_without_h5py_the_mend_names_it(self, folder, monkeypatch):
        monkeypatch.setitem(sys.modules, "h5py", None)
        assert "pip install h5py" in refused(folder).mend


def test_letters_and_auto_of_the_primitive_axis(tmp_path, phonon, springs, expected):
    for word in ("AUTO", "F"):
        folder = with_conf(tmp_path / word, phonon, {})
        (folder / "FORCE_SETS").write_text("\n".join(get_FORCE_SETS_lines(phonon.dataset)))
        (folder / "phonopy.conf").write_text(f"DIM = 2 2 2\nPRIMITIVE_AXES = {word}\n")
        found = dynamics(folder)
        assert len(found.primitive) == 3
        assert found.entropy == pytest.approx(expected.entropy, rel=1e-6)
