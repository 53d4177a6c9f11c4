"""Queue resources by category of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from sse_flows.errors import SSEError
from sse_flows.launchers.adapter import SlurmAdapter
from sse_flows.launchers.profiles import CATEGORIES, load_profiles

ROOT = Path(__file__).resolve().parents[2]


def write(folder: Path, text: str) -> Path:
    (folder / "profiles.yaml").write_text(text)
    return folder


def test_the_example_names_every_category_and_fits_the_adapter():
    profiles = load_profiles(ROOT / "launchers")
    assert tuple(profiles) == CATEGORIES
    assert {name: profile["also"] for name, profile in profiles.items()} == {
        "relax": ["supercell", "postprocess"],
        "supercell": ["relax", "postprocess"],
        "postprocess": [],
        "models": ["postprocess"],
    }
    for profile in profiles.values():
        adapter = SlurmAdapter(rocket_launch="sse worker singleshot", **profile["queueadapter"])
        assert f"--time={profile['queueadapter']['walltime']}" in adapter.get_script_str("/tmp")
        cores = profile["queueadapter"]["ntasks"] * profile["queueadapter"].get("cpus_per_task", 1)
        assert profile["processes"] * profile["threads"] == cores


def test_without_a_file_the_adapter_alone_decides(tmp_path):
    profiles = load_profiles(tmp_path)
    assert set(profiles) == set(CATEGORIES)
    assert profiles["relax"] == {
        "queueadapter": {},
        "processes": 1,
        "threads": 1,
        "min_seconds": None,
        "also": ["supercell", "postprocess", "models"],
    }


def test_keys_of_the_worker_do_not_go_into_the_script(tmp_path):
    text = "relax: {walltime: 24:00:00, nodes: 2, processes: 4, threads: 2, min_seconds: 60}\n"
    text += "models:\nsupercell: {also: [relax]}\npostprocess: {also: []}\n"
    profiles = load_profiles(write(tmp_path, text))
    assert (profiles["supercell"]["also"], profiles["postprocess"]["also"]) == (["relax"], [])
    assert profiles["relax"] == {
        "queueadapter": {"walltime": "24:00:00", "nodes": 2},
        "processes": 4,
        "threads": 2,
        "min_seconds": 60,
        "also": ["postprocess"],
    }
    assert profiles["models"]["queueadapter"] == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relaxation: {nodes: 1}", "unknown category: relaxation. Did you mean relax?"),
        ("relax: {wall_time: 1}", "unknown key in relax: wall_time. Did you mean walltime?"),
        ("relax: {also: relax}", "relax.also is 'relax'. Write a list of relax, supercell"),
        ("relax: {also: [post]}", "relax.also is ['post']"),
        ("relax: {rocket_launch: rm}", "unknown key in relax: rocket_launch"),
        ("relax: {walltime: soon}", "relax.walltime is 'soon'. Write it as Slurm does"),
        ("relax: {walltime: 1.5}", "relax.walltime is 1.5"),
        ("relax: {nodes: 0}", "relax.nodes is 0. Write a whole number above 0"),
        ("relax: {processes: true}", "relax.processes is True"),
        ("relax: {min_seconds: -1}", "relax.min_seconds is -1"),
        ("relax: {mem: [1]}", "relax.mem is [1]. Write one value"),
        ("relax: 4", "relax holds no keys"),
        ("- relax", "holds no keys"),
    ],
)
def test_what_is_wrong_is_told_with_file_and_key(tmp_path, text, said):
    with pytest.raises(SSEError) as raised:
        load_profiles(write(tmp_path, text))
    assert said in str(raised.value)
    assert str(tmp_path / "profiles.yaml") in str(raised.value)


@pytest.mark.parametrize("time", ["30", "30:00", "24:00:00", "2-0", "1-12:00:00"])
def test_every_form_of_slurm_is_a_time_limit(tmp_path, time):
    profiles = load_profiles(write(tmp_path, f"relax: {{walltime: '{time}'}}"))
    assert profiles["relax"]["queueadapter"] == {"walltime": time}
