"""Which file belongs to which element, and what is said where none does."""

from __future__ import annotations

import hashlib
import json

import pytest

from sse_flows.codes.espresso.pseudopotentials import (
    choose,
    locate,
    read_family,
    read_header,
)
from sse_flows.errors import SSEError

VERSION_1 = """\
<PP_HEADER>
   0                   Version Number
  Si                   Element
   US                  Ultrasoft pseudopotential
    T                  Nonlinear Core Correction
 SLA  PW   PBE  PBE    PBE  Exchange-Correlation functional
    4.00000000000      Z valence
   24.00000   180.00000  Suggested cutoff for wfc and rho
</PP_HEADER>
"""


def test_a_header_of_version_2(tmp_path, upf):
    path = upf(tmp_path, "Li.x.UPF", functional=" SLA  PW   PSX  PSC", wfc="7.8E+01")
    header = read_header(path)
    assert (header.file, header.functional, header.kind) == ("Li.x.UPF", "PBEsol", "PAW")
    assert header.cutoff_wfc == 78.0
    assert len(header.sha256) == 16


def test_a_header_of_version_1(tmp_path):
    (tmp_path / "Si.upf").write_text(VERSION_1)
    header = read_header(tmp_path / "Si.upf")
    assert (header.functional, header.kind) == ("PBE", "US")
    assert (header.cutoff_wfc, header.cutoff_rho) == (24.0, 180.0)


def test_cutoffs_that_stand_only_in_the_text_are_found(tmp_path, upf):
    info = (
        "Suggested minimum cutoff for wavefunctions:  46. Ry\n"
        "Suggested minimum cutoff for charge density: 186. Ry"
    )
    header = read_header(upf(tmp_path, "O.x.UPF", info=info))
    assert (header.cutoff_wfc, header.cutoff_rho) == (46.0, 186.0)


def test_another_file_is_refused(tmp_path):
    (tmp_path / "Li.upf").write_text("nothing")
    with pytest.raises(SSEError, match="no UPF pseudopotential"):
        read_header(tmp_path / "Li.upf")


def test_of_several_files_the_functional_decides_then_the_kind_then_the_name(tmp_path, upf):
    upf(tmp_path, "O.a-nc.UPF", kind="NC")
    upf(tmp_path, "O.b-paw.0.1.UPF")
    upf(tmp_path, "O.b-paw.1.0.UPF")
    upf(tmp_path, "O.c-us.UPF", kind="US")
    upf(tmp_path, "O.d-paw.UPF", functional="PBESOL")
    upf(tmp_path, "O.z-rel.UPF", spin_orbit="T")
    upf(tmp_path, "Os.b.UPF")
    family = read_family(str(tmp_path))
    assert family.pick("O", "PBE").file == "O.b-paw.1.0.UPF"
    assert family.pick("O", "PBEsol").file == "O.d-paw.UPF"
    assert family.pick("Os", "PBE").file == "Os.b.UPF"


def test_all_missing_elements_are_named_with_the_folder_and_a_mend(pseudo):
    with pytest.raises(SSEError) as caught:
        choose(read_family(str(pseudo)), ["Li", "S", "Cl"], "PBE")
    message = caught.value.message
    assert "of S in" in message
    assert "of Cl in" in message
    assert "of Li" not in message
    assert str(pseudo) in message
    assert "ESPRESSO_PSEUDO" in caught.value.mend


def test_a_functional_that_is_not_there_names_those_that_are(pseudo):
    with pytest.raises(SSEError, match=r"no LDA pseudopotential of Li .*PBE, PBEsol"):
        choose(read_family(str(pseudo)), ["Li"], "LDA")


def test_functionals_are_never_mixed(tmp_path, upf):
    upf(tmp_path, "Li.x.UPF")
    upf(tmp_path, "O.x.UPF", functional="PBESOL")
    with pytest.raises(SSEError, match="Li PBE, O PBEsol"):
        choose(read_family(str(tmp_path)), ["Li", "O"], None)


@pytest.mark.parametrize("nested", [False, True])
def test_a_json_family_names_files_and_cutoffs(pseudo, nested):
    table = {"Li": {"filename": "Li.PBE.UPF", "cutoff_wfc": 60.0, "cutoff_rho": 480.0}}
    path = pseudo / "family.json"
    path.write_text(json.dumps({"pseudos": table} if nested else table))
    family = read_family(str(path))
    (chosen,) = choose(family, ["Li"], "PBE").values()
    assert (chosen.cutoff_wfc, chosen.cutoff_rho) == (60.0, 480.0)
    with pytest.raises(SSEError, match="has no O"):
        choose(family, ["O"], "PBE")
    with pytest.raises(SSEError, match="is of PBE, not PBEsol"):
        choose(family, ["Li"], "PBEsol")


def test_a_family_may_give_the_ratio_of_its_cutoffs(pseudo):
    entry = {"filename": "O.PBE.UPF", "cutoff": 50.0, "dual": 8.0}
    (pseudo / "family.json").write_text(json.dumps({"O": entry}))
    found = read_family(str(pseudo / "family.json")).pick("O", "PBE")
    assert (found.cutoff_wfc, found.cutoff_rho) == (50.0, 400.0)


def test_another_file_than_the_family_lists_is_refused(pseudo):
    md5 = hashlib.md5((pseudo / "O.PBE.UPF").read_bytes(), usedforsecurity=False).hexdigest()
    entry = {"filename": "O.PBE.UPF", "md5": md5}
    (pseudo / "family.json").write_text(json.dumps({"O": entry}))
    family = read_family(str(pseudo / "family.json"))
    assert family.pick("O", "PBE").cutoff_wfc == 55.0
    (pseudo / "O.PBE.UPF").write_text((pseudo / "O.PBE.UPF").read_text() + "\n")
    with pytest.raises(SSEError, match="another file than its family lists"):
        family.pick("O", "PBE")


def test_files_by_element_lie_in_the_folder_of_the_variable(pseudo, monkeypatch):
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(pseudo))
    family = read_family({"Li": "Li.PBE.UPF", "O": "gone.UPF"})
    assert family.pick("Li", None).functional == "PBE"
    with pytest.raises(SSEError, match=r"gone\.UPF of O is missing"):
        family.pick("O", None)


@pytest.mark.parametrize("value", [None, "/no/such/folder"])
def test_without_a_folder_the_variable_is_asked_for(monkeypatch, value):
    if value is None:
        monkeypatch.delenv("ESPRESSO_PSEUDO", raising=False)
    else:
        monkeypatch.setenv("ESPRESSO_PSEUDO", value)
    with pytest.raises(SSEError) as caught:
        read_family(None)
    assert "ESPRESSO_PSEUDO" in caught.value.mend


@pytest.mark.parametrize("text", ["not json", "[1]", '{"Li": 3}', '{"Li": {"name": "x"}}'])
def test_a_file_that_is_no_family_is_refused(tmp_path, text):
    (tmp_path / "family.json").write_text(text)
    with pytest.raises(SSEError, match="no family of pseudopotentials"):
        read_family(str(tmp_path / "family.json"))


def test_jobs_find_the_files_where_the_variable_says_if_the_folder_is_gone(pseudo, monkeypatch):
    chosen = choose(read_family(str(pseudo)), ["Li", "O"], "PBE")
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(pseudo))
    assert locate(chosen, "/gone") == pseudo
    monkeypatch.delenv("ESPRESSO_PSEUDO")
    with pytest.raises(SSEError, match=r"no folder with Li\.PBE\.UPF, O\.PBE\.UPF"):
        locate(chosen, "/gone")


def test_a_file_that_changed_is_refused(pseudo, upf):
    chosen = choose(read_family(str(pseudo)), ["Li"], "PBE")
    upf(pseudo, "Li.PBE.UPF", wfc=99.0)
    with pytest.raises(SSEError, match="has changed"):
        locate(chosen, str(pseudo))
