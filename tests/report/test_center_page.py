"""The page of a screen: whole, closed to the network, and safe with text from anywhere."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser

import pandas as pd
import pytest

from sse_flows.report.center_figures import (
    distribution_figure,
    element_figure,
    stability_figure,
)
from sse_flows.report.center_page import render_centers, write_center_page
from sse_flows.screening.center_document import (
    KEPT_COLUMNS,
    CenterCriteria,
    CenterDistribution,
    CenterScreening,
    CenterSummary,
    ElementCenter,
    LeftOut,
)

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "circle", "line", "rect", "path"}


class Balance(HTMLParser):
    """Checks that every tag is closed by its own."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def screening():
    rows = [
        ("mp-1", "S", 1, "Li3PS4", "pool", 25.0, 20.0, 30.0, False, 0.01, 2.8, ""),
        (EVIL, "S", 2, EVIL, "pool", 26.0, 20.0, 30.0, True, float("nan"), float("nan"), EVIL),
    ]
    table = pd.DataFrame(rows, columns=list(KEPT_COLUMNS))
    summary = CenterSummary(
        criteria=CenterCriteria(),
        source=EVIL,
        mobile_ion="Li",
        model="0123456789abcdef",
        predicted=12,
        kept={"S": 2},
        filtered={"band centre at or above 40 meV": 10},
        failed=[LeftOut(id=EVIL, formula="", reason=EVIL)],
        missing=[EVIL],
        elements=[
            ElementCenter(element=symbol, center=center, count=3)
            for symbol, center in (("Li", 40.0), ("O", 60.0), ("La", 30.0), ("U", 20.0))
        ],
        distributions=[
            CenterDistribution(
                pool="pool", count=12, mean=45.0, edges=[0.0, 40.0, 80.0], counts=[2, 10]
            )
        ],
        stability=[(0.01, 25.0), (0.9, 70.0), (0.02, 55.0)],
    )
    return CenterScreening(summary, table)


def test_the_page_is_whole_and_closed_to_the_network(screening, tmp_path):
    page = write_center_page(screening, tmp_path / "new" / "page.html").read_text()
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "script" not in parser.tags
    assert "default-src 'none'" in unescape(page)
    assert not re.search(r'(src|href)="http://', page)
    assert page.count("<svg") == 3
    assert "Li<sub>3</sub>PS<sub>4</sub>" in page


def test_text_of_the_data_is_escaped(screening):
    page = render_centers(screening)
    assert EVIL not in page
    assert "&lt;script&gt;" in page


def test_every_crystal_has_its_place_in_the_figures():
    drawn = stability_figure([(0.01, 25.0), (0.02, 70.0), (2.0, 70.0)], 40.0, 0.05)
    assert drawn.count("M") == 3
    assert 'class="specks soft"' in drawn
    distribution = CenterDistribution(
        pool="x", count=5, mean=30, edges=[0, 20, 40, 60], counts=[0, 2, 3]
    )
    bars = distribution_figure(distribution, 40.0)
    assert bars.count('class="bar"') == 1
    assert bars.count('class="bar negative"') == 1


def test_elements_stand_where_they_belong():
    def place(symbol):
        drawn = element_figure([ElementCenter(element=symbol, center=30, count=1)])
        x, y = re.search(r'<rect class="cell" x="([\d.]+)" y="([\d.]+)"', drawn).groups()
        return round(float(x) // 38) + 1, round(float(y) // 38) + 1

    assert place("H") == (1, 1)
    assert place("Li") == (1, 2)
    assert place("O") == (16, 2)
    assert place("Zr") == (4, 5)
    assert place("La") == (3, 8)
    assert place("Lu") == (17, 8)
    assert place("U") == (6, 9)
    assert "mean 30.0 meV in 1 crystals" in element_figure(
        [ElementCenter(element="Li", center=30, count=1)]
    )


def test_an_empty_screen_has_a_page(screening):
    summary = screening.summary.model_copy(
        update={"kept": {}, "elements": [], "distributions": [], "stability": [], "failed": []}
    )
    page = render_centers(CenterScreening(summary, screening.table.head(0)))
    assert "Nothing was kept" in page
