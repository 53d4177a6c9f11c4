"""Pages of a large query: each asked for once, a broken query taken up again."""

from __future__ import annotations

import gzip
import json

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.errors import SSEError
from sse_flows.structures import materials_pages
from sse_flows.structures.materials_pages import fetch_pages


def salt(number):
    return {
        "material_id": f"mp-{number}",
        "structure": Structure(Lattice.cubic(3.6), ["Li", "Cl"], [[0, 0, 0], [0.5] * 3]),
        "energy_above_hull": 0.01 * number,
        "band_gap": None,
    }


class FakeRester:
    """Answers like MPRester and remembers what it was asked."""

    known = [salt(number) for number in range(7)]  # noqa: RUF012
    asked: list[dict] = []  # noqa: RUF012
    fail_after: int | None = None

    def __init__(self, api_key, **options):
        self.materials = self.summary = self

    def __enter__(self):
        return self

    def __exit__(self, *details):
        return False

    def search(self, **query):
        if self.fail_after is not None and len(self.asked) >= self.fail_after:
            raise ConnectionError("no route with key secret")
        self.asked.append(query)
        wanted = query.get("material_ids")
        found = [one for one in self.known if wanted is None or one["material_id"] in wanted]
        return [{k: v for k, v in one.items() if k in query["fields"]} for one in found]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch):
    monkeypatch.setattr(materials_pages, "PAGE", 3)
    monkeypatch.setattr(FakeRester, "asked", [])
    monkeypatch.setattr(FakeRester, "fail_after", None)
    monkeypatch.delenv("MP_API_KEY", raising=False)


def lines(folder):
    return [
        json.loads(line)
        for path in sorted(folder.glob("page-*.jsonl.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]


def test_pages_are_written_and_not_asked_for_again(tmp_path):
    folder = fetch_pages(tmp_path, "Li", 0.05, rester=FakeRester)
    assert [one["id"] for one in lines(folder)] == [f"mp-{n}" for n in range(7)]
    assert lines(folder)[2]["ehull"] == pytest.approx(0.02)
    assert FakeRester.asked[0]["energy_above_hull"] == (-1.0, 0.05)
    assert len(FakeRester.asked) == 4
    assert fetch_pages(tmp_path, "Li", 0.05, rester=FakeRester) == folder
    assert len(FakeRester.asked) == 4


def test_a_broken_query_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeRester, "fail_after", 2)
    with pytest.raises(SSEError, match=r"did not answer.*key \*\*\*.*goes on from here"):
        fetch_pages(tmp_path, api_key="secret", rester=FakeRester)
    monkeypatch.setattr(FakeRester, "fail_after", None)
    folder = fetch_pages(tmp_path, rester=FakeRester)
    assert len(lines(folder)) == 7
    assert len(FakeRester.asked) == 4  # ids and three pages, none twice
    assert not list(folder.glob("*.new"))


def test_a_whole_cache_needs_no_key_and_an_empty_one_does(tmp_path):
    folder = fetch_pages(tmp_path, rester=FakeRester)
    assert fetch_pages(tmp_path) == folder
    with pytest.raises(SSEError, match=r"asks for a key.*MP_API_KEY"):
        fetch_pages(tmp_path, "Na")


def test_nothing_found_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(FakeRester, "known", [])
    with pytest.raises(SSEError, match="knows nothing with Na"):
        fetch_pages(tmp_path, "Na", rester=FakeRester)


def test_pages_are_a_pool(tmp_path):
    from sse_flows.screening.light import LightCrystal
    from sse_flows.screening.pools import open_pool

    pool = open_pool(fetch_pages(tmp_path, rester=FakeRester))
    found = [one for batch in pool.batches() for one in batch.crystals()]
    assert all(isinstance(one, LightCrystal) for one in found)
    assert {one.formula for one in found} == {"LiCl"}
    assert [one.energy_above_hull for one in found] == pytest.approx([0.01 * n for n in range(7)])
    assert found[0].band_gap is None
