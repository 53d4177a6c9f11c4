"""A campaign in parts: who belongs where, who waits for whom, and in which category."""

from __future__ import annotations

import json

import pytest
from jobflow import Flow
from monty.json import MontyDecoder

from sse_flows.campaign.keys import keyed
from sse_flows.errors import SSEError
from sse_flows.launchers.parts import CATEGORIES, Part, split
from sse_flows.launchers.profiles import CATEGORIES as PROFILES
from sse_flows.testing import jobs
from sse_flows.testing.campaign_flow import campaign_flow

COMPOUNDS = {"a": 1.0, "b": 2.0}


def parts(**options) -> list[Part]:
    return split(keyed(campaign_flow(COMPOUNDS, **options)), "trivial")


def test_references_come_first_and_the_tail_last():
    found = [(part.kind, part.name) for part in parts(references={"Li": 1.0, "O": 2.0})]
    assert found == [
        ("reference", "Li"),
        ("reference", "O"),
        ("compound", "a"),
        ("compound", "b"),
        ("tail", "trivial"),
    ]


def test_every_job_is_in_a_part_after_those_it_builds_on():
    flow = keyed(campaign_flow(COMPOUNDS))
    found = [job for part in split(flow, "trivial") for job in part.jobs]
    assert {job.uuid for job in found} == set(flow.parents)
    assert len(found) == len({(job.compound, job.uuid) for job in found})
    seen: set[str] = set()
    for job in found:
        assert {*job.parents, *job.outside} <= seen
        seen.add(job.uuid)


def test_only_gates_build_on_other_parts():
    waiting = {(part.kind, job.stage) for part in parts() for job in part.jobs if job.outside}
    assert waiting == {
        ("compound", "descriptors"),
        ("tail", "models"),
        ("tail", "screening"),
    }


def test_the_last_jobs_give_the_documents():
    for part in parts():
        assert len(part.last) == 1
        assert part.last[0] == part.jobs[-1].uuid


def test_keys_follow_from_the_jobs_alone():
    one = {part.name: part.key for part in parts()}
    assert one == {part.name: part.key for part in parts()}
    more = {p.name: p.key for p in split(keyed(campaign_flow({**COMPOUNDS, "c": 3.0})), "trivial")}
    assert {name for name in one if one[name] == more[name]} == {"Li", "a", "b"}


def test_a_job_that_two_compounds_share_is_in_both():
    flow = Flow([_labelled("a"), _labelled("b")])
    first, second = split(keyed(flow), "x")
    assert first.uuids == second.uuids
    assert first.key == second.key


def _labelled(compound: str) -> Flow:
    first = jobs.add(1, 2)
    flow = Flow([first, jobs.add(first.output, 3)], name=compound)
    flow.update_metadata({"stage": "relax", "compound": compound})
    return flow


def test_the_text_of_a_job_is_the_job():
    flow = keyed(campaign_flow(COMPOUNDS))
    decoded = {job.uuid: job for job, _ in flow.decoded().iterflow()}
    for part in split(flow, "trivial"):
        for job in part.jobs:
            again = json.loads(job.text(), cls=MontyDecoder)
            work = again.function, again.function_args, again.function_kwargs
            other = decoded[job.uuid]
            assert work == (other.function, other.function_args, other.function_kwargs)
            assert (again.uuid, again.index) == (job.uuid, job.index)
            assert job.tolerant == (again.config == jobs.TOLERANT)


def test_a_function_of_a_script_is_refused():
    flow = keyed(Flow([jobs.add(1, 2)]))
    flow.node["jobs"][0]["function"]["@module"] = "__main__"
    with pytest.raises(SSEError, match=r"add.*script.*Put it into a module"):
        split(flow, "x")


def test_categories_are_those_of_the_profiles():
    assert CATEGORIES == PROFILES


@pytest.mark.parametrize(
    ("stage", "category"),
    [("relax", "relax"), ("references", "relax"), ("phonons", "supercell")],
)
def test_makers_of_codes_need_more_than_functions(stage, category):
    from atomate2.forcefields.jobs import ForceFieldStaticMaker
    from pymatgen.core import Lattice, Structure

    cell = Structure(Lattice.cubic(3), ["Li"], [[0, 0, 0]])
    made = ForceFieldStaticMaker(force_field_name="CHGNet").make(cell)
    flow = Flow([made, jobs.add(1, 2)])
    flow.update_metadata({"stage": stage, "compound": "x"})
    (part,) = split(keyed(flow), "x")
    assert [job.category for job in part.jobs] == [category, "postprocess"]


def test_what_comes_last_has_a_category_of_its_own():
    assert {job.category for job in parts()[-1].jobs} == {"models"}


def test_a_campaign_file_splits_into_what_the_plan_names(tmp_path):
    from sse_flows.campaign.flow import Campaign

    file = tmp_path / "campaign.yaml"
    file.write_text(
        "name: small\nmobile_ion: Li\ntrain: {conductors: [lii, li2s], table: builtin}\n"
        "screen: {conductors: [li3p]}\ncode: {model: CHGNet}\n"
    )
    campaign = Campaign.from_file(file)
    found = {part.name: part for part in split(campaign.keyed(), "small")}
    plan = campaign.plan()
    assert set(found) == {"Li", "I", "S", "P", "lii", "li2s", "li3p", "small"}
    for compound, stages in plan.jobs.items():
        assert found[compound].last == (stages["descriptors"],)
        categories = {job.category for job in found[compound].jobs}
        assert categories == {"relax", "postprocess"}  # supercells come while it runs
    assert set(found["small"].last) == {plan.screening}
