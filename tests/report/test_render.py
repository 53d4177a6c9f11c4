"""The page: well-formed, self-contained, complete, escaped, small, and written at once."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest

from sse_flows.errors import SSEError
from sse_flows.report import (
    Failure,
    ReportData,
    render,
    render_model,
    write_model_page,
    write_report,
)
from sse_flows.report.page import SECTIONS

VOID = {"meta", "input", "br", "link", "img", "hr"}
LOADING = {"src", "srcset", "data", "action", "poster", "background", "xlink:href"}
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Checks nesting and remembers tags, attributes and text."""

    def __init__(self, source: str):
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(source)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def ids(self) -> list[str]:
        return [a["id"] for _, a in self.tags if a.get("id")]

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def source(make_report) -> str:
    return render(make_report())


@pytest.fixture(scope="module")
def page(source) -> Page:
    return Page(source)


def test_all_sections_and_their_links(page):
    assert {anchor for anchor, _ in SECTIONS} <= set(page.ids())
    assert len(page.ids()) == len(set(page.ids()))
    targets = {a["href"][1:] for t, a in page.tags if t == "a" and a["href"].startswith("#")}
    assert targets <= set(page.ids())


def test_nothing_is_loaded_from_anywhere(page, source):
    for tag, attributes in page.tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "image"}
        assert not LOADING & set(attributes)
        if tag != "a":
            assert not str(attributes.get("href", "")).startswith("http")
    assert "@import" not in source
    assert set(re.findall(r"url\(([^)]*)\)", source)) <= {"#soft-0", "#soft-1"}


def test_only_links_have_addresses(page, source):
    linked = [a["href"] for t, a in page.tags if t == "a" and not a["href"].startswith("#")]
    assert linked
    assert all(href.startswith("https://") for href in linked)
    without_links = re.sub(r"<a [^>]*>[^<]*</a>", "", source)
    assert "://" not in without_links


def test_policy_allows_exactly_this_style_and_script(page, source):
    (policy,) = [a["content"] for t, a in page.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("style", "script"):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not [a for _, a in page.tags if "style" in a or any(k.startswith("on") for k in a)]


@pytest.mark.parametrize(
    "words",
    [
        "Demonstration",
        "SevenNet-0",
        "Top candidates",
        "outside domain",
        "1 imputed",
        "soft modes",
        "band gap 0.6 eV < 1 eV",
        "Confusion matrix",
        "Parity plot",
        "Feature importances",
        "Best score and number of features",
        "a force field gives none",
        "phonon job",
        "4f6c-11",
        "space group",
        "overlap",
        "Check it.",
        "phonons.displacement",
        "ab12cd",
        "MemoryStore",
    ],
)
def test_the_page_says(page, words):
    assert words in page.text


def test_candidates_leave_out_training_compounds(make_report):
    overview = render(make_report(6)).partition('id="ranking"')[0]
    assert "id-0" in overview
    assert "id-3" not in overview


def test_everything_from_data_is_escaped(make_report):
    clean = make_report(2)
    compound = clean.compounds[0].compound
    nasty = compound.model_copy(
        update={"compound_id": EVIL, "formula": EVIL, "source": EVIL, "warnings": [EVIL]}
    )
    changed = {"compound": nasty, "role": EVIL, "remarks": [f"mended by {EVIL}"]}
    first = clean.compounds[0].model_copy(update=changed)
    first.dynamics.method = EVIL
    first.dynamics.formula = EVIL
    first.descriptors.missing["band_gap"] = EVIL
    update = {
        "name": EVIL,
        "code": EVIL,
        "store": EVIL,
        "settings": {EVIL: EVIL},
        "compounds": [first, clean.compounds[1]],
        "failures": [Failure(compound_id=EVIL, stage=EVIL, reason=EVIL, mend=EVIL)],
    }
    made = render(clean.model_copy(update=update))
    page = Page(made)
    assert EVIL not in made
    assert [t for t, _ in page.tags].count("script") == 1
    assert EVIL in page.text
    assert f"mended by {EVIL}" in page.text


def test_sixty_compounds_stay_small(make_report):
    made = render(make_report(60, n_atoms=20))
    assert len(made.encode()) < 6e6


def test_nothing_at_all_still_makes_a_page():
    page = Page(render(ReportData(name="x", mobile_ion="Li", code="c", created="today")))
    assert "No model was trained" in page.text
    assert "No compound was ranked" in page.text
    assert {anchor for anchor, _ in SECTIONS} <= set(page.ids())


def test_all_compounds_failed(make_report, make_entry):
    failed = [
        make_entry(f"id-{i}").model_copy(update={"dynamics": None, "descriptors": None})
        for i in range(2)
    ]
    failures = [
        Failure(compound_id=f.compound.compound_id, stage="phonons", reason="no convergence")
        for f in failed
    ]
    page = Page(
        render(
            make_report(
                0,
                compounds=failed,
                failures=failures,
                models=None,
                screening=None,
                reference_rows=[],
            )
        )
    )
    assert "no convergence" in page.text
    assert "No descriptors were computed" in page.text


def test_ranking_by_the_published_equation_alone(make_report):
    whole = make_report(3)
    rows = [
        r.model_copy(
            update={"probability": None, "log10_conductivity": None, "probability_kim2024": 0.7}
        )
        for r in whole.screening.rows
    ]
    screening = whole.screening.model_copy(
        update={"rows": rows, "ranked_by": "probability_kim2024"}
    )
    page = Page(render(whole.model_copy(update={"screening": screening, "models": None})))
    assert "published equation" in page.text
    assert "0.70" in page.text


def test_write_replaces_the_file_at_once(make_report, tmp_path):
    path = write_report(make_report(1), tmp_path / "deep" / "report.html")
    write_report(make_report(2), path)
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert [p.name for p in path.parent.iterdir()] == ["report.html"]


def test_write_tells_what_to_do_where_it_cannot(make_report, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SSEError, match="cannot be written"):
        write_report(make_report(1), tmp_path / "file" / "report.html")


def test_cards_show_what_adds_up_to_a_prediction(make_report, make_explanation):
    assert "What adds up" not in render(make_report(1))
    report = make_report(1, explanations=[make_explanation("id-0", EVIL)])
    made = render(report)
    assert "What adds up to its predictions" in Page(made).text
    assert "starts from" in made
    assert EVIL not in made


def test_a_whole_model_in_the_report_of_a_campaign(make_report, models):
    page = Page(render(make_report(2, models=models)))
    for words in ("Backward elimination", "Why the models say", "Pearson correlations"):
        assert words in page.text
    assert len(page.ids()) == len(set(page.ids()))


def test_a_model_alone_has_every_section_and_its_link(models):
    page = Page(render_model(models, "mine"))
    targets = {a["href"][1:] for t, a in page.tags if t == "a" and a["href"].startswith("#")}
    assert targets - {"main"} == {
        "overview",
        "classifier",
        "regressor",
        "explanation",
        "correlations",
        "training",
        "method",
    }
    assert targets <= set(page.ids())
    assert len(page.ids()) == len(set(page.ids()))


@pytest.mark.parametrize(
    "words",
    [
        "mine",
        "Backward elimination",
        "Physics of band_gap.",
        "disagrees",
        "Pearson correlations",
        "Best subset of every size",
        "wrong side",
        "C of the logistic regression",
        "t9",
    ],
)
def test_the_page_of_a_model_says(models, words):
    assert words in Page(render_model(models, "mine")).text


def test_missing_parts_of_a_model_leave_no_empty_section(bare_models):
    made = render_model(bare_models, "old")
    assert 'id="explanation"' not in made
    assert 'id="correlations"' not in made
    assert "Backward elimination" not in made
    assert 'href="#explanation"' not in made


def test_a_model_alone_loads_nothing_and_styles_nothing_inline(models):
    made = render_model(models, "mine")
    for tag, attributes in Page(made).tags:
        assert tag not in {"link", "img", "iframe", "object", "embed", "base", "form", "image"}
        assert not LOADING & set(attributes)
        assert "style" not in attributes
    assert "unsafe" not in re.search(r'Policy" content="([^"]*)"', made).group(1)


def test_everything_from_a_model_is_escaped(models):
    row = models.training[0].model_copy(update={"compound_id": EVIL, "formula": EVIL})
    models.training[0] = row
    models.notes, models.software = [EVIL], {EVIL: EVIL}
    models.dropped, models.ignored = {EVIL: EVIL}, {EVIL: EVIL}
    models.explanation.expectations["band_gap"].reason = EVIL
    models.explanation.classifier[0].descriptor = EVIL
    models.correlations.descriptors[0] = EVIL
    models.regressor.path[1].dropped = EVIL
    models.regressor.importances = {EVIL: 1.0}
    made = render_model(models, EVIL)
    assert EVIL not in made
    assert [t for t, _ in Page(made).tags].count("script") == 1


def test_written_beside_the_model_and_named_after_its_folder(models, tmp_path):
    path = write_model_page(models, tmp_path / "conductors" / "report.html")
    assert "<h1>conductors</h1>" in path.read_text(encoding="utf-8")


def test_write_model_page_tells_what_to_do_where_it_cannot(models, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SSEError, match="cannot be written"):
        write_model_page(models, tmp_path / "file" / "report.html")
