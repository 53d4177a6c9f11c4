"""Figures are well-formed, and show what they should."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from sse_flows.report import model_figures, palette, phonon_figure
from sse_flows.report.model_figures import Point


def classes(drawing: str) -> list[str]:
    return [e.get("class", "") for e in ElementTree.fromstring(str(drawing)).iter()]


def test_phonon_figure_draws_bands_and_every_element(make_dynamics):
    found = classes(phonon_figure.phonon_figure(make_dynamics(), "Li"))
    assert found.count("band") == 1
    assert {"dos el-Li", "dos el-O", "dos-total", "centre el-Li", "centre", "window"} <= set(found)
    assert found.index("dos el-O") < found.index("dos el-Li")  # the mobile ion on top
    assert "imag" not in found


def test_soft_modes_are_marked(make_dynamics):
    drawing = str(phonon_figure.phonon_figure(make_dynamics(soft=True), "Li", key="7"))
    assert classes(drawing).count("imag") == 2
    assert 'id="soft-7"' in drawing
    assert "url(#soft-7)" in drawing


def test_phonon_figure_without_bands_or_dos(make_dynamics):
    bare = make_dynamics().model_copy(update={"band_structure": None, "projected_dos": []})
    assert "no band path" in phonon_figure.phonon_figure(bare, "Li")


def test_energy_axis_holds_the_modes_but_not_the_noise(make_dynamics):
    low, high = phonon_figure.energy_limits(make_dynamics())
    assert low == 0.0
    assert high > 60
    assert phonon_figure.energy_limits(make_dynamics(soft=True))[0] < -9.0


def test_element_dos_is_per_atom_of_the_cell(make_dynamics):
    made = make_dynamics()
    step = made.energies[1] - made.energies[0]
    total = sum(np.sum(g) * step for g in phonon_figure.element_dos(made).values())
    assert total == pytest.approx(3.0, rel=1e-6)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("GAMMA", "Γ"),
        ("$\\Gamma$", "Γ"),
        ("Γ", "Γ"),
        ("X", "X"),
        ("S_0", "S₀"),
        ("$\\mathrm{H_2}$", "H₂"),
        ("SIGMA_1", "Σ₁"),
    ],
)
def test_point_names(raw, name):
    assert phonon_figure.point_name(raw) == name


def test_jumps_of_the_path_have_two_names():
    assert phonon_figure.path_names([["GAMMA", "X"], ["U", "L"]]) == ["Γ", "X|U", "L"]
    assert phonon_figure.path_names([["G", "X"], ["X", "L"]]) == ["G", "X", "L"]
    assert phonon_figure.path_names([]) == []


def test_scatter_passes_over_missing_values():
    points = [Point(1, 2, "a"), Point(np.nan, 1, "b"), Point(2, 3, "c")]
    drawing = model_figures.scatter_figure(points, "x", "y", y_line=2.5)
    assert classes(drawing).count("dot") == 2
    assert "threshold" in classes(drawing)


@pytest.mark.parametrize("points", [[], [Point(-3, -3, "one")]])
def test_parity_of_few_points(points):
    assert classes(model_figures.parity_figure(points)).count("dot") == len(points)


def test_bars_are_sorted_and_bounded():
    values = {"a": 0.1, "b": -0.5, "c": np.nan, "d": 0.3}
    drawing = ElementTree.fromstring(str(model_figures.bar_figure(values, "bars", limit=2)))
    names = [e.text for e in drawing.iter() if e.get("class") == "tick end strong"]
    assert names == ["b", "d"]
    assert model_figures.bar_figure({}, "none")


def test_curve_marks_the_chosen_size():
    drawing = model_figures.curve_figure(
        [1, 2, 3], {"accuracy": [0.7, np.nan, 0.9]}, "n", "score", chosen=3
    )
    assert classes(drawing).count("dot series-0") == 2
    assert "threshold" in classes(drawing)


def test_elements_of_one_compound_have_different_colours():
    compounds = [{"Li", "Zn", "P", "S"}, {"Li", "Nd", "Ti", "O"}, {"Li", "Ge", "P", "S"}]
    slots = palette.element_slots(compounds, "Li")
    assert slots["Li"] == 0
    for elements in compounds:
        assert len({slots[e] for e in elements}) == len(elements)
    assert all(0 <= s < palette.SLOTS for s in slots.values())


def test_many_elements_still_have_colours():
    crowd = [{f"{a}{b}" for a in "ABCD" for b in "abcde"}]
    assert len(palette.element_slots(crowd, "Li")) == 21
