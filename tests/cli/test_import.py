"""`sse import` and `sse screen`, from archives and VASP runs to a ranked table."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest

from sse_flows.campaign.importing import import_entries, import_entry
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.entries import Source
from sse_flows.store.jobstore import open_store

for _name in ("crystals", "entries", "vaspruns"):
    _path = Path(__file__).resolve().parents[1] / "phonons" / f"{_name}.py"
    _spec = importlib.util.spec_from_file_location(_name, _path)
    _module = importlib.util.module_from_spec(_spec)
    sys.modules[_name] = _module
    _spec.loader.exec_module(_module)


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    crystals = sys.modules["crystals"]
    case = crystals.spring_crystal(
        crystals.ANTIFLUORITE, 2, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5
    )
    return sys.modules["entries"].kyoto_files(case)


@pytest.fixture(scope="module")
def data(tmp_path_factory, files) -> Path:
    """Two good entries; others with NaN forces, without lithium, cut off, of another cell."""
    helper, folder = sys.modules["entries"], tmp_path_factory.mktemp("entries")
    nan = files["FORCE_SETS"].splitlines()
    nan[8] = "NaN 0.0 0.0"
    sodium = files["POSCAR-unitcell"].replace("Li", "Na")
    helper.write_archive(folder / "mp-1-li2o-fm-3m-225.tar.lzma", files, "mp-1-20180417")
    helper.write_folder(folder / "mp-2-20180417", files)
    helper.write_folder(folder / "mp-3", {**files, "FORCE_SETS": "\n".join(nan)})
    helper.write_folder(folder / "mp-4", {**files, "POSCAR-unitcell": sodium})
    cut = helper.write_archive(folder / "mp-5-li2o.tar.lzma", files, "mp-5-20180417")
    cut.path.write_bytes(cut.path.read_bytes()[:300])
    half = files["FORCE_SETS"].replace("96", "48", 1)
    born = files["BORN"] + "\n" + files["BORN"].splitlines()[-1]
    helper.write_folder(folder / "mp-6", {**files, "FORCE_SETS": half})
    helper.write_folder(folder / "mp-7", {**files, "BORN": born})
    return folder


@pytest.fixture(scope="module")
def imported(tmp_path_factory, data) -> Path:
    """Results folder of an import of the good entries."""
    folder = tmp_path_factory.mktemp("results")
    store = open_store(folder)
    for source in (
        Source("mp-1", next(data.glob("mp-1-*"))),
        Source("mp-2", data / "mp-2-20180417"),
    ):
        assert import_entry(source, "Li", store).state == "imported"
    return folder


def test_the_good_come_through_and_the_others_are_named(sse, data, tmp_path):
    result = sse("import", "kyoto", data, "--results", tmp_path / "r", "--processes", 1)
    assert result.code == 0
    assert result.out.startswith("2 imported, 0 stored before, 5 failed")
    failed = {line.split(":")[1].strip(): line for line in result.errors}
    assert set(failed) == {"mp-3", "mp-4", "mp-5", "mp-6", "mp-7"}
    assert "NaN" in failed["mp-3"]
    assert "holds no Li, only O, Na" in failed["mp-4"]
    assert "cannot be read" in failed["mp-5"]
    assert "of 48 atoms, the supercell has 96" in failed["mp-6"]
    assert "BORN does not fit" in failed["mp-7"]
    assert all(" -> " in line for line in failed.values())
    again = sse("import", "kyoto", data, "--results", tmp_path / "r", "--processes", 1)
    assert again.out.startswith("0 imported, 2 stored before, 5 failed")


def test_documents_have_the_shape_of_a_job(imported):
    store = open_store(imported)
    docs = list(store.query({"metadata.compound": "mp-1"}))
    assert [doc["metadata"]["stage"] for doc in docs] == ["phonons", "descriptors"]
    assert all(doc["index"] == 1 and doc["hosts"] == [] for doc in docs)
    assert [doc["metadata"]["imported"] for doc in docs] == ["kyoto", "kyoto"]
    assert "force field" not in " ".join(docs[1]["output"]["missing"].values())
    assert "blob_uuid" in docs[0]["output"]["force_constants"]
    output = store.get_output(docs[0]["uuid"], load=True)
    fields = {name: value for name, value in output.items() if name[0] != "@"}
    dynamics = LatticeDynamics.model_validate(fields)
    assert len(dynamics.force_constants) == 3
    assert dynamics.band_structure is not None


def test_a_kill_between_the_two_documents_costs_no_phonons(imported, data):
    store = open_store(imported)
    (phonons,) = store.query({"metadata.compound": "mp-2", "metadata.stage": "phonons"})
    store.remove_docs({"metadata.compound": "mp-2", "metadata.stage": "descriptors"})
    source = Source("mp-2", data / "mp-2-20180417")
    assert import_entry(source, "Li", store).state == "imported"
    (same,) = store.query({"metadata.compound": "mp-2", "metadata.stage": "phonons"})
    assert same["completed_at"] == phonons["completed_at"]


def test_a_failure_on_the_way_is_told_and_nothing_is_raised(imported, data):
    class Broken:
        def query(self, *_):
            raise RuntimeError("the store\nis away")

    outcome = import_entry(Source("mp-2", data / "mp-2-20180417"), "Li", Broken())
    assert outcome.state == "failed"
    assert outcome.error == "RuntimeError: the store is away"


def test_the_second_entry_of_one_id_is_refused(imported, data):
    source = Source("mp-2", data / "mp-2-20180417")
    outcomes = import_entries([source, source], open_store(imported), processes=1)
    assert sorted(one.state for one in outcomes) == ["failed", "found"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing"], "missing does not exist"),
        ([".", "--mobile-ion", "Lithium"], "'Lithium' is no element"),
        (["."], "holds no phonon entry"),
    ],
)
def test_what_cannot_be_imported_is_one_line(sse, arguments, message):
    result = sse("import", "kyoto", *arguments)
    assert result.code == 1
    assert message in result.errors[-1]


class TestPhonopy:
    @pytest.fixture(scope="class")
    def calculations(self, tmp_path_factory) -> Path:
        """VASP runs of a user: two good folders, one not converged, one with a run cut off."""
        crystals, vaspruns = sys.modules["crystals"], sys.modules["vaspruns"]
        springs = crystals.spring_crystal(
            crystals.ANTIFLUORITE, 2, crystals.ANTIFLUORITE_SPRINGS, cutoff=3.5
        )
        phonon = sys.modules["entries"].displaced(springs)
        runs = vaspruns.displaced_runs(phonon)
        folder = tmp_path_factory.mktemp("calculations")
        for name, change in {
            "good": lambda text: text,
            "loose": lambda text: text.replace('name="NELM">60<', 'name="NELM">5<'),
            "short": lambda text: text[:3000],
        }.items():
            for number, text in runs.items():
                changed = change(text) if number == 1 else text
                vaspruns.write(folder / name / f"disp-{number:03d}" / "vasprun.xml", changed)
            vaspruns.disp_yaml(phonon, folder / name / "phonopy_disp.yaml")
        own = sys.modules["entries"].yaml_files(springs, "FORCE_CONSTANTS")
        sys.modules["entries"].write_folder(folder / "constants", own)
        return folder

    def test_the_good_come_through_and_the_others_are_named(self, sse, calculations):
        command = ("import", "phonopy", calculations, "-p", 1)
        result = sse(*command)
        assert result.code == 0
        assert result.out.startswith("2 imported, 0 stored before, 2 failed")
        failed = {line.split(":")[1].strip(): line for line in result.errors}
        assert set(failed) == {"loose", "short"}
        assert "disp-001/vasprun.xml is not converged" in failed["loose"]
        assert "disp-001/vasprun.xml cannot be read" in failed["short"]
        assert all(" -> " in line for line in failed.values())
        assert sse(*command).out.startswith("0 imported, 2 stored before, 2 failed")
        kept = json.loads(sse("screen", "--pool", "phonopy", "-f", "json", "--keep-unknown").out)
        entropy = {row["material_id"]: row["vibrational_entropy"] for row in kept}
        assert set(entropy) == {"constants", "good"}
        assert entropy["good"] == pytest.approx(entropy["constants"])
        assert "runs/kyoto holds no store" in sse("screen", "--pool", "kyoto").err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "ids or chemical systems"),
        (["--ids", "mp-1"], "Set MP_API_KEY"),
        (["--ids", "mp-1", "-m", "Lithium"], "'Lithium' is no element"),
    ],
)
def test_the_materials_project_needs_a_query_and_a_key(sse, monkeypatch, arguments, message):
    monkeypatch.delenv("MP_API_KEY", raising=False)
    result = sse("import", "mp", *arguments)
    assert result.code == 1
    assert message in result.errors[-1]


def test_options_of_the_materials_project_reach_its_import(sse, monkeypatch, tmp_path):
    from sse_flows.campaign import importing_mp

    asked = {}

    def stand_in(store, *, watch, **query):
        asked.update(query)
        return [importing_mp.Imported("mp-1", "imported")]

    monkeypatch.setattr(importing_mp, "import_materials", stand_in)
    options = ("--ids", "mp-1,mp-2", "--ids", "mp-3", "--chemsys", "Li-O", "--method", "dfpt")
    result = sse("import", "mp", *options, "--results", tmp_path / "r")
    assert result.out.startswith("1 imported, 0 stored before, 0 failed")
    assert asked == {
        "ids": ["mp-1", "mp-2", "mp-3"],
        "chemsys": ["Li-O"],
        "mobile_ion": "Li",
        "method": "dfpt",
    }


@pytest.fixture
def properties(tmp_path) -> Path:
    """Gaps and hull energies of the good entries: the second is not stable."""
    path = tmp_path / "properties.jsonl.gz"
    lines = [
        {"description": "header"},
        {"id": "mp-1", "gap": 5.0, "ehull": 0.0, "f": "Li2O"},
        {"id": "mp-2", "gap": 5.0, "ehull": 0.02, "f": "Li2O"},
        {"id": "mp-9", "gap": 5.0},
    ]
    with gzip.open(path, "wt") as handle:
        handle.write("\n".join(map(json.dumps, lines)))
    return path


class TestScreen:
    def test_json_holds_every_column(self, sse, imported, properties):
        result = sse("screen", "--pool", imported, "--properties", properties, "-f", "json")
        (row,) = json.loads(result.out)
        assert row["material_id"] == "mp-1"
        assert row["formula"] == "Li2O"
        assert 0 < row["probability"] < 1
        assert row["superionic"] is (row["probability"] > 0.5)
        assert row["band_gap"] == 5.0
        assert row["formula_units"] == 4
        assert "2 compounds, 1 pass the filters" in result.err
        assert "energy above hull is above 1e-06: 1" in result.err

    def test_csv_to_a_file(self, sse, imported, properties, tmp_path):
        options = ("--max-energy-above-hull", 0.1, "-f", "csv", "-o", tmp_path / "out.csv")
        result = sse("screen", "--pool", imported, "--properties", properties, *options)
        assert result.code == 0
        rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
        assert [row["material_id"] for row in rows] == ["mp-1", "mp-2"]

    def test_table(self, sse, imported, properties, tmp_path):
        table = ("screen", "--pool", imported, "--properties", properties, "--format", "table")
        assert "mp-1" in sse(*table).out
        sse(*table, "--output", tmp_path / "out.txt")
        assert "material_id" in (tmp_path / "out.txt").read_text()

    def test_unknown_values_drop_a_compound_unless_it_is_kept(self, sse, imported):
        dropped = sse("screen", "--pool", imported, "-f", "json")
        assert json.loads(dropped.out) == []
        assert "band_gap is not known: 2" in dropped.err
        kept = json.loads(sse("screen", "--pool", imported, "-f", "json", "--keep-unknown").out)
        assert len(kept) == 2
        assert "band_gap is not known" in kept[0]["flags"]

    def test_pool_of_the_default_folder(self, sse, imported, tmp_path):
        (tmp_path / "runs").mkdir()
        (tmp_path / "runs" / "kyoto").symlink_to(imported)
        assert "2 compounds" in sse("screen", "--pool", "kyoto").err

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--pool", "nowhere"], "nowhere holds no store"),
            (["--mobile-ion", "Na"], "no descriptors of Na"),
            (["--anions", "O,Xx"], "filters are wrong"),
            (["--properties", "absent.csv"], "cannot read absent.csv"),
            (["--format", "csv", "--output", "no/such/file"], "cannot write"),
            (["--output", "no/such/file"], "cannot write"),
        ],
    )
    def test_a_mistake_is_one_line(self, sse, imported, options, message):
        result = sse("screen", "--pool", imported, *options)
        assert result.code == 1
        assert message in result.errors[-1]
