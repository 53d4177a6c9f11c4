"""custodian's handlers mend what they can; the rest ends in one line with folder and mend."""

from __future__ import annotations

import pytest
from custodian.vasp.handlers import VaspErrorHandler

from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.faults import KINDS, last_words
from sse_flows.errors import SSEError


def forces():
    return Vasp(kpoints=[2, 2, 2]).of(["Li", "O"]).phonon_maker().phonon_displacement_maker


@pytest.mark.parametrize("fault", ["brmix", "edddav", "nelm"])
def test_what_custodian_mends_is_told(double, li2o, monkeypatch, fault):
    monkeypatch.setenv("VASP_DOUBLE_FAULT", fault)
    document = forces().run(li2o)
    assert document.state.value == "successful"
    assert len(document.corrections) == 1
    assert "INCAR" in document.corrections[0]


def test_forces_with_other_k_points_are_refused(double, li2o, monkeypatch):
    # custodian's third remedy is a mesh that is not centred on Γ
    monkeypatch.setenv("VASP_DOUBLE_FAULT", "brmix*3")
    with pytest.raises(SSEError, match=r"other k points.*Monkhorst"):
        forces().run(li2o)


@pytest.mark.parametrize(
    ("fault", "parts"),
    [
        ("brmix*9", ["VASP's solver failed (brmix)", "tried:", "code.incar.ALGO"]),
        ("too_few_bands*9", ["too few bands", "NBANDS"]),
        ("nelm*9", ["did not converge (Unconverged", "NELM"]),
        ("crash", ["VASP failed", "vasp.out"]),
        ("truncated_vasprun", ["results are incomplete", "VasprunXMLValidator", "full disk"]),
        ("memory*9", ["VASP ran out of memory", "More nodes"]),
    ],
)
def test_what_custodian_cannot_mend_is_one_line(double, li2o, monkeypatch, fault, parts):
    monkeypatch.setenv("VASP_DOUBLE_FAULT", fault)
    with pytest.raises(SSEError) as caught:
        forces().run(li2o)
    text = str(caught.value)
    assert all(part in text for part in [*parts, str(double)]), text
    assert "\n" not in text
    assert caught.value.mend


def test_a_handler_that_stumbles_is_one_line_too(double, li2o, monkeypatch):
    def stumble(self, directory="./"):
        raise TypeError("no number of electrons yet")

    monkeypatch.setattr(VaspErrorHandler, "correct", stumble)
    monkeypatch.setenv("VASP_DOUBLE_FAULT", "brmix")
    with pytest.raises(SSEError, match=r"TypeError: no number .*VASP said: BRMIX") as caught:
        forces().run(li2o)
    assert str(double) in str(caught.value)


def test_after_a_failure_the_next_run_starts_anew(double, li2o, monkeypatch):
    monkeypatch.setenv("VASP_DOUBLE_FAULT", "brmix*9")
    with pytest.raises(SSEError):
        forces().run(li2o)
    monkeypatch.delenv("VASP_DOUBLE_FAULT")
    document = forces().run(li2o)
    assert document.corrections == []


def test_a_command_that_fails_says_its_own_last_words(double, li2o):
    maker = Vasp(kpoints=[2, 2, 2], command="sh -c 'echo no licence for $0 >&2; exit 3'")
    with pytest.raises(SSEError, match=r"VASP failed .*no licence"):
        maker.of(["Li", "O"]).phonon_maker().phonon_displacement_maker.run(li2o)


def test_names_of_faults_belong_to_one_kind():
    names = [name for kind in KINDS for name in kind.names]
    assert len(names) == len(set(names))


def test_the_frames_of_vasps_messages_are_left_out(tmp_path):
    (tmp_path / "vasp.out").write_text("| ERROR: |\n|   a lattice vector is   very long  |\n ---\n")
    assert last_words(tmp_path) == "a lattice vector is very long"
    (tmp_path / "std_err.txt").write_text("")
    assert last_words(tmp_path) == "a lattice vector is very long"
