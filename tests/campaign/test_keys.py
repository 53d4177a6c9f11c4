"""Content keys: equal work has equal ids, other work has others."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobflow import Flow, JobOrder
from monty.json import MontyEncoder
from pymatgen.core import Lattice, Structure

from sse_flows.campaign import keys as making
from sse_flows.campaign.keys import JOB_VERSIONS, content_key, keyed, with_content_keys
from sse_flows.testing.jobs import add, crash, fan_out, refuse, total, write_file


def keys(flow: Flow) -> list[str]:
    return [job.uuid for job, _ in with_content_keys(flow).iterflow()]


def key(one) -> str:
    return keys(Flow([one]))[0]


def chain(start: float = 1, names: str = "add") -> Flow:
    first = add(start, 2)
    second = add(first.output, 3)
    first.name = second.name = names
    return Flow([first, second], output=second.output, name=names)


def lithia(edge: float = 4.6) -> Structure:
    return Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(edge), ["O", "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
    )


def test_two_makings_have_the_same_keys():
    assert keys(chain()) == keys(chain())
    assert len(set(keys(chain()))) == 2


def test_keys_are_uuids():
    import uuid

    assert all(str(uuid.UUID(one)) == one for one in keys(chain()))


def test_two_processes_have_the_same_keys():
    code = (
        "from jobflow import Flow\n"
        "from sse_flows.campaign.keys import with_content_keys\n"
        "from sse_flows.testing.jobs import add\n"
        "first = add(1, 2); second = add(first.output, 3)\n"
        "flow = with_content_keys(Flow([first, second]))\n"
        "print(*[job.uuid for job, _ in flow.iterflow()])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.split() == keys(chain())


def test_an_argument_changes_its_job_and_all_that_build_on_it():
    assert not set(keys(chain(1))) & set(keys(chain(1.5)))


def test_an_argument_of_a_later_job_leaves_the_earlier_ones_alone():
    first = add(1, 2)
    other = Flow([first, add(first.output, 4)])
    assert keys(other)[0] == keys(chain())[0]
    assert keys(other)[1] != keys(chain())[1]


def test_another_function_is_another_key():
    assert key(refuse(1)) != key(crash(1))


def test_names_metadata_and_hosts_do_not_matter():
    other = Flow([chain(names="something else")], name="outer")
    other.update_metadata({"compound": "li2o"})
    assert keys(other) == keys(chain())


def test_the_order_of_keywords_does_not_matter():
    assert key(add(a=1, b=2)) == key(add(b=2, a=1))


def test_a_structure_changes_the_key_but_a_library_version_does_not():
    assert key(add(lithia(), 1)) == key(add(lithia(), 1))
    assert key(add(lithia(), 1)) != key(add(lithia(4.60001), 1))
    work = json.loads(json.dumps({"x": lithia()}, cls=MontyEncoder))
    newer = json.loads(json.dumps(work))
    newer["x"]["@version"] = "2099.1.1"
    assert "@version" in work["x"]
    assert content_key(work) == content_key(newer)


def test_a_makers_setting_matters_and_its_name_does_not():
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker

    def of(**settings) -> str:
        return key(ForceFieldRelaxMaker(force_field_name="CHGNet", **settings).make(lithia()))

    assert of() == of(name="another name")
    assert len({of(), of(steps=7), of(relax_cell=False), of(relax_kwargs={"fmax": 0.02})}) == 4


def test_a_setting_that_is_called_name_matters():
    assert content_key({"calculator_kwargs": {"name": "small"}}) != content_key(
        {"calculator_kwargs": {"name": "large"}}
    )
    assert key(write_file(name="a")) != key(write_file(name="b"))


def test_references_follow_the_jobs_they_point_to():
    flow = with_content_keys(chain())
    first, second = flow.jobs
    assert second.function_args[0].uuid == first.uuid
    assert flow.output.uuid == second.uuid
    assert {one.uuid: parents for one, parents in flow.iterflow()} == {
        first.uuid: [],
        second.uuid: [first.uuid],
    }


def test_references_to_another_part_of_an_output_are_another_key():
    first = add(1, 2)
    parts = [add(first.output["energy"], 1), add(first.output["forces"], 1)]
    assert len(set(keys(Flow([first, *parts])))) == 3


def test_references_in_nested_flows_follow():
    inner = chain()
    last = total([inner.output])
    flow = with_content_keys(Flow([inner, last]))
    assert flow.jobs[1].function_args[0][0].uuid == flow.jobs[0].jobs[1].uuid
    assert [one.uuid for one in flow.jobs[0].jobs] == keys(chain())


def test_the_original_flow_is_unchanged():
    flow = chain()
    before = json.dumps(flow, cls=MontyEncoder)
    with_content_keys(flow)
    assert json.dumps(flow, cls=MontyEncoder) == before


def test_keying_twice_changes_nothing():
    once = with_content_keys(chain())
    assert keys(once) == [one.uuid for one, _ in once.iterflow()]


def test_the_same_job_twice_in_a_flow_becomes_one():
    flow = with_content_keys(Flow([add(1, 2), add(1, 2), total([1])]))
    assert [one.name for one in flow.jobs] == ["add", "total"]


def test_the_same_job_in_two_nested_flows_stays_in_both():
    flow = with_content_keys(Flow([chain(), chain()]))
    assert [one.uuid for one in flow.jobs[0].jobs] == [one.uuid for one in flow.jobs[1].jobs]


def replacement(numbers) -> tuple[Flow, str]:
    """What a job of a keyed flow asks to be replaced by, keyed as the runner does."""
    from jobflow.core.job import prepare_replace

    from sse_flows.testing import jobs

    flow = with_content_keys(Flow([fan_out(numbers)]))
    parent = flow.jobs[0]
    asked = jobs.fan_out.original(numbers).replace
    return with_content_keys(prepare_replace(asked, parent), keep={parent.uuid}), parent.uuid


def test_a_replacement_keeps_the_id_of_what_it_replaces_and_keys_the_rest():
    (first, kept), (second, _) = replacement([1, 2]), replacement([1, 2])
    assert [one.uuid for one, _ in first.iterflow()] == [one.uuid for one, _ in second.iterflow()]
    last = first.jobs[-1]
    assert (last.uuid, last.index) == (kept, 2)
    other, _ = replacement([1, 3])
    shared = {one.uuid for one, _ in first.iterflow()} & {one.uuid for one, _ in other.iterflow()}
    assert len(shared) == 1  # adding 1 to 1 is the same work in both


@pytest.mark.parametrize("other", [{"a": 2}, {"a": 1, "b": 1}, {"a": "1"}, [1], {"b": 1}])
def test_other_content_is_another_key(other):
    assert content_key({"a": 1}) != content_key(other)


def test_order_of_lists_matters_and_of_fields_does_not():
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key([1, 2]) != content_key([2, 1])


def test_a_field_that_is_none_is_the_same_as_none_at_all():
    # a library that adds a field with the default None must not make all results stale
    assert content_key({"a": 1, "new": None}) == content_key({"a": 1})


def test_a_raised_job_version_changes_that_job_and_what_builds_on_it(monkeypatch):
    first = write_file("a", "b")
    flow = Flow([first, add(first.output, 3)])
    before = keys(flow)
    monkeypatch.setitem(JOB_VERSIONS, "add", 1)
    after = keys(flow)
    assert before[0] == after[0]
    assert before[1] != after[1]


KNOWN_KEYS = {
    # computed by the first release of these keys: a change would make all stored results stale
    "chain": ["d321ab86-9b1d-2114-405f-31118b6c4561", "35e44ffb-847a-0da0-9f2b-de8cd7306576"],
    "list": ["65652cd4-abb3-1ad5-b99d-950a0a5a9521"],
    "structure": ["472b5256-a54b-a41f-809b-610d85009a98"],
    "numbers": ["51adf50d-2736-2b63-2ebd-3f4a8eadc01d"],
    "unicode": ["1d943e2d-3f7c-4b12-08f8-5504ed5eca36"],
    "fields": ["1f7fbc59-860b-0008-2273-8e319b6dd012"],
    "maker": ["5b067780-170b-7e96-c746-fb75afd91f62"],
}


def known_flow(name: str) -> Flow:
    from atomate2.forcefields.jobs import ForceFieldRelaxMaker

    first = add(1, 2)
    second = add(first.output, 3)
    fan = fan_out([1, 2.5, 1e-7])
    maker = ForceFieldRelaxMaker(force_field_name="CHGNet", relax_kwargs={"fmax": 0.02})
    fields = {first.uuid: 1, "zz": None, "aa": first.output, "f" + first.uuid: 2}
    jobs = {
        "chain": [first, second],
        "list": [first, second, total([first.output, second.output["x"][0]])],
        "structure": [add(lithia(), 1)],
        "numbers": [fan],
        "unicode": [fan, write_file("Å", log=fan.output["σ"])],
        "fields": [first, total(fields)],
        "maker": [maker.make(lithia())],
    }
    return Flow(jobs[name])


@pytest.mark.parametrize("name", KNOWN_KEYS)
def test_keys_are_those_that_stored_results_have(name):
    assert keys(known_flow(name))[-len(KNOWN_KEYS[name]) :] == KNOWN_KEYS[name]


IDS = ["d321ab86-9b1d-2114-405f-31118b6c4561", "8b6c4561-0000-1111-2222-333344445555"]
PIECES = [
    *IDS,
    IDS[0][:28],
    IDS[1][8:],
    IDS[0].upper(),
    "-0000-1111",
    "8b6c4561",
    "-",
    "f",
    "x",
    '"',
]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.sets(st.sampled_from(IDS)))
def test_ids_are_found_wherever_they_stand_in_a_text(text, known):
    """As by the plain way: an id at a time, from the left, none within another."""
    plain = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
    names = {one: f"<{one[:2]}>" for one in known}
    wanted = plain.sub(lambda match: names.get(match.group(), match.group()), text)
    assert making._rename(text, names) == wanted


def test_plain_data_and_jobflow_agree_on_parents_and_order():
    first = add(1, 2)
    flow = Flow([total([first.output]), chain(), first])
    plain = keyed(flow)
    parents = {job.uuid: set(found) for job, found in plain.decoded().iterflow()}
    assert {name: set(found) for name, found in plain.parents.items()} == parents
    seen: set[str] = set()
    for name, found in plain.parents.items():
        assert set(found) <= seen
        seen.add(name)


def test_an_order_that_is_prescribed_is_kept():
    first, second = add(1, 2), add(3, 4)
    plain = keyed(Flow([Flow([first, second], order=JobOrder.LINEAR)]))
    one, other = keys(Flow([add(1, 2), add(3, 4)]))
    assert plain.parents == {one: [], other: [one]}


def test_decoding_leaves_the_plain_data_alone():
    plain = keyed(Flow([chain(), add(lithia(), 1)]))
    before = json.dumps(plain.node)
    plain.decoded()
    assert json.dumps(plain.node) == before


@pytest.mark.forcefield
def test_where_a_campaign_lies_is_no_part_of_its_keys(tmp_path):
    """A campaign that moved, or runs on a cluster too, keeps its results."""
    import shutil

    from sse_flows.campaign.flow import Campaign
    from sse_flows.campaign.tables import table_path

    found = []
    for name in ("laptop", "cluster"):
        (tmp_path / name / "pool").mkdir(parents=True)
        lithia().to(str(tmp_path / name / "pool" / "li2o.cif"))
        shutil.copy(table_path("builtin"), tmp_path / name / "table.csv")
        text = "name: x\ntrain: {table: table.csv}\nscreen: {files: [pool]}\n"
        (tmp_path / name / "c.yaml").write_text(text)
        found.append(_campaign_keys(Campaign.from_file(tmp_path / name / "c.yaml")))
    assert found[0] == found[1]
    (tmp_path / "cluster" / "table.csv").write_text(
        (tmp_path / "cluster" / "table.csv").read_text().replace("0.1", "0.2")
    )
    other = _campaign_keys(Campaign.from_file(tmp_path / "cluster" / "c.yaml"))
    assert {name for name in other if other[name] != found[0][name]} == {
        "train_models",
        "screen_pool",
    }


def _campaign_keys(campaign) -> dict[str, str]:
    return {job.name: job.uuid for job, _ in campaign.flow().iterflow()}
