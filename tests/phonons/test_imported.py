"""Entries of the Kyoto database and of phonopy: read in full, or refused with the mend."""

from __future__ import annotations

import io
import re
import sys
import tarfile

import numpy as np
import pytest

from sse_flows.errors import SSEError
from sse_flows.phonons.crystal import read_conf
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.entries import Entry, Source, find_entries, read_entry
from sse_flows.phonons.imported import entry_dynamics
from sse_flows.phonons.modes import lattice_dynamics

NAME = "mp-1960-20180417"


def entry(files: dict[str, str]) -> Entry:
    return Entry("mp-1960", NAME, files)


def dynamics(files: dict[str, str]) -> LatticeDynamics:
    return entry_dynamics(entry(files), with_bands=False)


def refused(files: dict[str, str]) -> SSEError:
    with pytest.raises(SSEError) as caught:
        dynamics(files)
    assert caught.value.compound == "mp-1960"
    assert caught.value.mend
    return caught.value


@pytest.fixture(scope="module")
def whole(files) -> LatticeDynamics:
    return dynamics(files)


class TestEntryOfTheDatabase:
    def test_is_read_in_full(self, whole):
        assert whole.formula == "Li2O"
        assert len(whole.primitive) == 3
        np.testing.assert_array_equal(whole.supercell_matrix, 2 * np.eye(3))

    def test_without_born_equals_the_springs(self, files, springs):
        found = dynamics({k: v for k, v in files.items() if k != "BORN"})
        expected = lattice_dynamics(
            **springs.arguments(), compound_id="x", method="springs", with_bands=False
        )
        assert found.born is None
        assert found.entropy == pytest.approx(expected.entropy, rel=1e-6)
        assert found.band_center == pytest.approx(expected.band_center, rel=1e-6)

    def test_born_charges_give_the_non_analytic_term(self, files, whole):
        bare = dynamics({k: v for k, v in files.items() if k != "BORN"})
        np.testing.assert_allclose(np.sum(whole.born, axis=0), 0, atol=1e-10)
        np.testing.assert_allclose(whole.dielectric, 4 * np.eye(3), atol=1e-10)
        assert whole.band_center["total"] > bare.band_center["total"]  # LO above TO

    def test_a_comment_may_stand_for_the_factor_of_born(self, files, whole):
        comment = files["BORN"].replace("14.400", "# epsilon and Z* of atoms 1 5")
        assert dynamics({**files, "BORN": comment}).entropy == pytest.approx(whole.entropy)

    def test_keeps_the_settings(self, whole):
        assert whole.method == "PBEsol, VASP (Kyoto phonon database 2018-04-17)"
        kept = whole.provenance
        assert kept["INCAR ENCUT"] == "600.0"
        assert kept["k-points of the supercell"] == "Gamma 4 4 1"
        assert kept["potentials"] == "PAW_PBE Li_sv 10Sep2004"
        assert kept["displacement"] == "0.01 Å"
        assert kept["non-analytic correction"] == "BORN"


class TestFolderOfPhonopy:
    @pytest.mark.parametrize(
        "held", ["yaml forces", "yaml constants", "FORCE_SETS", "FORCE_CONSTANTS"]
    )
    def test_wherever_the_forces_are(self, springs, files, held):
        own = sys.modules["entries"].yaml_files(springs, held)
        found = dynamics(own)
        expected = dynamics({k: v for k, v in files.items() if k != "BORN"})
        assert found.entropy == pytest.approx(expected.entropy, rel=1e-6)
        assert found.method == f"phonopy.yaml of {NAME}"

    def test_without_forces_is_refused(self, springs):
        problem = refused(sys.modules["entries"].yaml_files(springs, "nowhere"))
        assert "no forces" in problem.message

    def test_of_another_code_is_refused(self, springs):
        own = sys.modules["entries"].yaml_files(springs, "yaml forces")
        text = re.sub(r"(?m)^phonopy:$", "phonopy:\n  calculator: qe", own["phonopy.yaml"])
        text = re.sub(r"(?m)^physical_unit:\n(  .*\n)+", "", text)
        assert "qe" in refused({"phonopy.yaml": text}).message

    def test_that_is_no_yaml_is_refused(self):
        assert "cannot be read" in refused({"phonopy.yaml": "a: [1,"}).message
        assert "cannot be read" in refused({"phonopy.yaml": "a: 1"}).message


def _nan(text: str) -> str:
    lines = text.splitlines()
    lines[8] = "NaN 0.0 0.0"
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("FORCE_SETS", lambda text: text.replace("96", "48", 1), "of 48 atoms, the supercell has"),
        ("FORCE_SETS", lambda text: text[: len(text) // 2], "FORCE_SETS"),
        ("FORCE_SETS", lambda text: "", "FORCE_SETS"),
        ("FORCE_SETS", lambda text: "no numbers", "FORCE_SETS"),
        ("FORCE_SETS", _nan, "NaN"),
        ("FORCE_SETS", None, "no forces"),
        ("BORN", lambda text: text + "\n" + text.splitlines()[-1], "BORN does not fit"),
        ("BORN", lambda text: "\n".join(text.splitlines()[:-1]), "BORN does not fit"),
        ("BORN", lambda text: text.replace("-2", "-3"), "add up to zero"),
        ("BORN", lambda text: text.replace("14.400", "2.0"), "factor"),
        ("BORN", lambda text: text.replace("-2", "nan"), "no numbers"),
        ("phonopy.conf", lambda text: text.replace("DIM", "DUM"), "phonopy.conf"),
        ("phonopy.conf", lambda text: "DIM = 2 2 0", "phonopy.conf"),
        ("phonopy.conf", lambda text: text.replace("1/2", "1/3"), "do not fit"),
        ("phonopy.conf", None, "no phonopy.conf"),
        ("POSCAR-unitcell", lambda text: text[:40], "POSCAR-unitcell"),
        ("POSCAR-unitcell", None, "no POSCAR-unitcell"),
    ],
)
def test_a_malformed_file_is_refused(files, name, change, message):
    broken = dict(files)
    text = broken.pop(name)
    if change is not None:
        broken[name] = change(text)
        assert broken[name] != text
    assert message in refused(broken).message


def test_too_few_displacements_are_refused(files):
    lines = files["FORCE_SETS"].strip().splitlines()
    block = next(i for i, line in enumerate(lines[3:], 3) if line.strip() == "" and i > 5)
    single = "\n".join(["96", "1", *lines[2:block]])
    assert "FORCE_SETS" in refused({**files, "FORCE_SETS": single}).message


class TestReading:
    def test_archives_and_their_folders_are_the_same_entry(self, tmp_path, files):
        helper = sys.modules["entries"]
        packed = [
            helper.write_archive(tmp_path / f"mp-1960-li2o-fm-3m{ending}", files, NAME)
            for ending in (".tar.lzma", ".tar")
        ]
        folder = helper.write_folder(tmp_path / NAME, files)
        entries = [read_entry(source) for source in (*packed, folder)]
        assert len({one.digest for one in entries}) == 1
        assert {one.name for one in entries} == {NAME}

    def test_finds_everything_below_a_folder(self, tmp_path, files):
        helper = sys.modules["entries"]
        helper.write_archive(tmp_path / "mp-1-li2o.tar.lzma", files, NAME)
        helper.write_folder(tmp_path / "deep" / "mp-2-20180417", files)
        helper.write_folder(tmp_path / "mine", {"phonopy.yaml": "a: 1"})
        (tmp_path / "notes.txt").write_text("nothing")
        found = find_entries([tmp_path, tmp_path / "mine" / "phonopy.yaml"])
        assert sorted(one.compound_id for one in found) == ["mine", "mine", "mp-1", "mp-2"]
        assert len(find_entries([tmp_path, tmp_path])) == 3

    def test_a_phonopy_yaml_of_another_name(self, tmp_path):
        (tmp_path / "run7.yaml").write_text("a: 1")
        (source,) = find_entries([tmp_path / "run7.yaml"])
        assert source.compound_id == "run7"
        assert read_entry(source).files == {"phonopy.yaml": "a: 1"}

    @pytest.mark.parametrize("name", ["missing", "empty"])
    def test_where_there_is_none(self, tmp_path, name):
        (tmp_path / "empty").mkdir()
        with pytest.raises(SSEError, match=r"does not exist|no phonon entry"):
            find_entries([tmp_path / name])

    def test_a_damaged_archive_is_refused(self, tmp_path, files):
        source = sys.modules["entries"].write_archive(tmp_path / "mp-3-li.tar.lzma", files, NAME)
        source.path.write_bytes(source.path.read_bytes()[:200])
        with pytest.raises(SSEError, match="cannot be read"):
            read_entry(source)
        source.path.write_bytes(b"\x00" * 4000)
        with pytest.raises(SSEError, match="mp-3"):
            read_entry(source)

    @pytest.mark.parametrize("inside", ["../../etc", "/etc"])
    def test_names_that_lead_out_are_refused(self, tmp_path, files, inside):
        source = sys.modules["entries"].write_archive(tmp_path / "mp-3-li.tar.lzma", files, inside)
        with pytest.raises(SSEError, match="leads out"):
            read_entry(source)

    def test_a_link_is_no_file(self, tmp_path):
        path = tmp_path / "mp-3.tar"
        with tarfile.open(path, "w") as tar:
            link = tarfile.TarInfo(f"{NAME}/FORCE_SETS")
            link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(link)
        with pytest.raises(SSEError, match="no phonon entries"):
            read_entry(Source("mp-3", path))

    def test_two_entries_in_one_archive_are_refused(self, tmp_path):
        path = tmp_path / "mp-3.tar"
        with tarfile.open(path, "w") as tar:
            for folder in "ab":
                tar.addfile(tarfile.TarInfo(f"{folder}/BORN"), io.BytesIO())
        with pytest.raises(SSEError, match="2 phonon entries"):
            read_entry(Source("mp-3", path))

    def test_size_is_bounded(self, tmp_path, files):
        helper = sys.modules["entries"]
        for source in (
            helper.write_archive(tmp_path / "mp-3-li.tar.lzma", files, NAME),
            helper.write_folder(tmp_path / NAME, files),
        ):
            with pytest.raises(SSEError, match=r"more than 0\.001 MB"):
                read_entry(source, max_bytes=1000)


def test_conf_allows_comments_and_both_spellings():
    text = "# a comment\ndim = 2 2 2 # more\nPRIMITIVE_AXES = 1 1 1\nother"
    assert read_conf(text) == {"DIM": "2 2 2", "PRIMITIVE_AXIS": "1 1 1"}


@pytest.mark.parametrize("mp_id", ["mp-1960", "mp-22905", "mp-8610"])
def test_real_entries_equal_the_reader_of_the_tests(shared_data, mp_id):
    (source,) = find_entries((shared_data / "kyoto_phonondb_li").glob(f"{mp_id}-*"))
    assert source.compound_id == mp_id
    found = entry_dynamics(read_entry(source), with_bands=False)
    case = sys.modules["crystals"].kyoto_case(shared_data, mp_id)
    expected = lattice_dynamics(**case.arguments(), compound_id="x", method="y", with_bands=False)
    assert found.mesh == expected.mesh
    assert found.entropy == pytest.approx(expected.entropy, rel=1e-7)
    assert found.band_center == pytest.approx(expected.band_center, rel=1e-7)
    assert (found.born is None) == (expected.born is None)
