"""`sse init`: the file it writes is one that runs."""

from __future__ import annotations

import re

import pytest

from sse_flows.campaign.manifest import read_manifest


def test_it_writes_a_commented_file_that_validates(sse, tmp_path):
    result = sse("init")
    assert result.code == 0
    assert result.out == "wrote campaign.yaml; edit it, then run: sse run campaign.yaml\n"
    text = (tmp_path / "campaign.yaml").read_text()
    assert text.count("#") > 10
    manifest = read_manifest(tmp_path / "campaign.yaml")
    assert manifest.name == "campaign"
    assert manifest.results.folder == "runs/{name}"


def test_its_defaults_are_those_of_the_fields(sse, tmp_path):
    from sse_flows.campaign.manifest import Manifest

    sse("init")
    written = read_manifest(tmp_path / "campaign.yaml")
    bare = Manifest(name="campaign", screen={"files": ["x"]})
    for section in ("code", "relax", "phonons", "models", "ordering", "results"):
        assert getattr(written, section) == getattr(bare, section), section


def test_its_conductors_are_built_in(sse, tmp_path):
    from sse_flows.structures.conductors import get_conductor

    sse("init")
    wanted = read_manifest(tmp_path / "campaign.yaml").train.conductors
    assert [get_conductor(name).id for name in wanted] == wanted


def test_its_commented_fields_are_valid_too(sse, tmp_path):
    sse("init")
    path = tmp_path / "campaign.yaml"
    path.write_text(re.sub(r"(?m)^( +)# ( *\w+:)", r"\1\2", path.read_text()))
    manifest = read_manifest(path)
    assert manifest.train.conductivities == "my_conductors.csv"
    assert manifest.screen.materials_project.chemsys == ["Li-P-S"]
    assert manifest.filters.min_band_gap == 1.0


def test_an_existing_file_is_kept_unless_forced(sse, tmp_path):
    path = tmp_path / "campaign.yaml"
    path.write_text("mine")
    result = sse("init")
    assert (result.code, result.err.count("\n")) == (1, 1)
    assert "exists already" in result.err
    assert "--force" in result.err
    assert path.read_text() == "mine"
    assert sse("init", "--force").code == 0
    assert read_manifest(path).name == "campaign"


@pytest.mark.parametrize(("file", "name"), [("my pool.yaml", "my-pool"), ("_.yaml", "campaign")])
def test_the_name_follows_the_file(sse, tmp_path, file, name):
    sse("init", file)
    assert read_manifest(tmp_path / file).name == name


def test_a_folder_that_is_not_there_or_cannot_be_written_is_one_line(sse, read_only_folder):
    for path in ("nowhere/campaign.yaml", read_only_folder / "campaign.yaml"):
        result = sse("init", path)
        assert result.code == 1
        assert result.err.startswith("error: cannot write")
        assert result.err.count("\n") == 1
