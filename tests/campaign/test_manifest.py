"""A wrong campaign file: file, field and what would be right, in one line."""

from __future__ import annotations

import pytest

from sse_flows.campaign.manifest import Manifest, read_manifest
from sse_flows.errors import SSEError

MINIMAL = "name: test\nscreen: {files: [pool]}\n"


def error_of(tmp_path, text: str) -> SSEError:
    path = tmp_path / "campaign.yaml"
    path.write_text(text)
    with pytest.raises(SSEError) as caught:
        read_manifest(path)
    assert str(path) in caught.value.message
    assert "\n" not in str(caught.value)
    return caught.value


def test_a_minimal_file_gets_the_defaults_of_the_field(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(MINIMAL)
    manifest = read_manifest(path)
    assert manifest.mobile_ions == ["Li"]
    assert (manifest.code.name, manifest.code.model) == ("forcefield", "SevenNet-0")
    assert manifest.relax.force_max == 0.001
    assert (manifest.phonons.displacement, manifest.phonons.min_length) == (0.01, 10.0)
    assert manifest.models.threshold == 1e-4
    assert manifest.results.folder == "runs/{name}"


def test_numbers_as_yaml_reads_them_are_understood(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text(MINIMAL + "models: {threshold: 1e-3}\nphonons: {min_length: 8}\n")
    manifest = read_manifest(path)
    assert (manifest.models.threshold, manifest.phonons.min_length) == (1e-3, 8.0)


def test_several_mobile_ions_by_priority():
    manifest = Manifest(name="x", mobile_ion=["Na", "Li"], screen={"files": ["a"]})
    assert manifest.mobile_ions == ["Na", "Li"]


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        ("fonons: {}", ["unknown field fonons", "Did you mean phonons?"]),
        ("phonons: {min_lenght: 9}", ["phonons.min_lenght", "Did you mean min_length?"]),
        ("phonons: {zzz: 9}", ["phonons.zzz", "Known fields here: displacement, supercell"]),
        ("filters: {min_bandgap: 1}", ["filters.min_bandgap", "Did you mean min_band_gap?"]),
        (
            "train: {materials_project: {ids: [mp-1], energy_above_hul_max: 0}}",
            ["energy_above_hul_max", "Did you mean energy_above_hull_max?"],
        ),
    ],
)
def test_an_unknown_field_suggests_the_right_one(tmp_path, extra, parts):
    message = error_of(tmp_path, MINIMAL + extra).message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize(
    ("extra", "parts"),
    [
        ("phonons: {min_length: long}", ["phonons.min_length", "valid number", "'long'"]),
        ("phonons: {min_length: -1}", ["phonons.min_length", "greater than 0", "-1"]),
        ("phonons: {min_length: .nan}", ["phonons.min_length"]),
        ("phonons: {displacement: 2}", ["phonons.displacement", "less than or equal to 0.1"]),
        ("phonons: {supercell: big}", ["phonons.supercell", "'min_length'", "'primitive_2x2x2'"]),
        ("phonons: 10", ["field phonons", "10"]),
        ("code: {name: abinit}", ["code.name", "'forcefield'", "'vasp'", "'abinit'"]),
        ("code: expresso", ["field code", "did you mean espresso?"]),
        ("code: {name: espreso}", ["field code", "did you mean espresso?"]),
        (
            "code: {name: espresso, input: {system: {ecutwf: 60}}}",
            ["code.input", "system.ecutwf", "did you mean system.ecutwfc?"],
        ),
        ("code: VASP", ["field code", "did you mean vasp?"]),
        ("code: {name: espresso, preset: tigth}", ["code.preset", "did you mean tight?"]),
        ("code: {name: espresso, kpoints: [2, 2]}", ["code.kpoints:", "[5, 5, 5]", "spacing"]),
        ("code: {name: vasp, kpoints: {len: 9}}", ["code.kpoints:", "{length: 19.7}"]),
        ("models: {max_features: 2.5}", ["models.max_features", "integer", "2.5"]),
        ("models: {max_features: 31}", ["models.max_features", "less than or equal to 30"]),
        ("models: {nested: perhaps}", ["models.nested", "boolean", "perhaps"]),
        ("relax: {steps: 1}", ["relax.steps", "greater than or equal to 2"]),
        ("train: {files: my_folder}", ["train.files", "valid list", "'my_folder'"]),
        ("train: {files: [1]}", ["train.files.0", "valid string", "1"]),
        ("train: {conductors: li2s}", ["field train.conductors:", "valid list", "'all'", "'li2s'"]),
        ("train: {materials_project: {}}", ["train.materials_project", "give ids or chemsys"]),
        ("mobile_ion: Lithium", ["field mobile_ion:", "'Lithium' is no element symbol", "Li"]),
        ("mobile_ion: [Li, Xx]", ["mobile_ion", "'Xx' is no element symbol"]),
        ("mobile_ion: []", ["mobile_ion", "at least one element"]),
        ("mobile_ion: 3", ["field mobile_ion:", "valid string", "3"]),
    ],
)
def test_a_wrong_value_names_its_field_and_what_would_be_right(tmp_path, extra, parts):
    message = error_of(tmp_path, MINIMAL + extra).message
    assert all(part in message for part in parts), message


@pytest.mark.parametrize("name", ["pbesol", "PBEsol", "PBESOL"])
def test_a_functional_may_be_written_in_any_case(tmp_path, name):
    path = tmp_path / "campaign.yaml"
    path.write_text(MINIMAL + f"code: {{name: espresso, functional: {name}}}")
    assert read_manifest(path).code.functional == "PBEsol"


def test_a_name_that_is_no_file_name_is_refused(tmp_path):
    assert "field name" in error_of(tmp_path, "name: ../x\nscreen: {files: [a]}").message


def test_a_missing_name_is_named(tmp_path):
    message = error_of(tmp_path, "screen: {files: [a]}").message
    assert "field name: Field required" in message


def test_a_campaign_without_work_says_what_to_give(tmp_path):
    message = error_of(tmp_path, "name: x").message
    assert "structures or a table under train, or structures under screen" in message


def test_further_errors_are_counted(tmp_path):
    message = error_of(tmp_path, MINIMAL + "relax: {steps: 0}\nphonons: {max_atoms: 0}").message
    assert message.endswith("(and 1 more)")


@pytest.mark.parametrize(
    ("text", "line"),
    [("name: x\nscreen: {files: [a}\n", 2), ("name: x\n\tfiles: a\n", 2), ("a: b: c\n", 1)],
)
def test_broken_yaml_names_the_line(tmp_path, text, line):
    error = error_of(tmp_path, text)
    assert f"line {line}" in error.message
    assert error.mend


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n- b\n", "just text"])
def test_a_file_without_fields_points_to_init(tmp_path, text):
    error = error_of(tmp_path, text)
    assert "holds no fields" in error.message
    assert "sse init" in error.mend


def test_a_missing_file_points_to_init(tmp_path):
    with pytest.raises(SSEError, match="No such file") as caught:
        read_manifest(tmp_path / "nothing.yaml")
    assert "nothing.yaml" in caught.value.message
    assert "sse init" in caught.value.mend


def test_a_folder_or_binary_file_is_refused(tmp_path):
    with pytest.raises(SSEError, match="Is a directory"):
        read_manifest(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SSEError, match="no text file"):
        read_manifest(tmp_path / "binary")
    (tmp_path / "control").write_bytes(b"name: \x01\n")
    with pytest.raises(SSEError, match="no valid YAML"):
        read_manifest(tmp_path / "control")


def test_yaml_cannot_make_objects(tmp_path):
    error = error_of(tmp_path, "name: !!python/object/apply:os.system ['echo x']\n")
    assert "line 1" in error.message


def test_a_field_given_twice_is_refused(tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text("name: a\nmobile_ion: Li\nmobile_ion: Na\ntrain: {table: builtin}\n")
    with pytest.raises(SSEError, match=r"line 3: the field 'mobile_ion' is given twice"):
        read_manifest(path)
