"""POTCARs are found by pymatgen's configuration and named when missing."""

from __future__ import annotations

import pytest
from pymatgen.core import SETTINGS

from sse_flows.codes.vasp import potcars as module
from sse_flows.codes.vasp.code import Vasp
from sse_flows.codes.vasp.potcars import check_same, choose, functionals
from sse_flows.errors import SSEError


def test_the_usual_symbols_are_atomate2s_and_the_users_win(potcars):
    assert Vasp().of(["Li", "O"]).needs == [
        "POTCAR Li_sv (PAW_PBE Li_sv 01Jan2000; ENMAX 499 eV)",
        "POTCAR O (PAW_PBE O 01Jan2000; ENMAX 400 eV)",
    ]
    with pytest.raises(SSEError, match=r"no POTCAR Li_AE_GW of Li of PBE_54"):
        Vasp(potcars={"Li": "Li_AE_GW"}).of(["Li"])


def test_a_cutoff_below_that_of_a_potcar_is_pointed_out(potcars):
    (need,) = Vasp(incar={"ENCUT": 450}).of(["Li"]).needs
    assert "ENMAX 499 eV, above ENCUT 450" in need


def test_all_that_is_missing_is_named_at_once(potcars):
    with pytest.raises(SSEError, match=r"no POTCAR Cl of Cl, Zr_sv of Zr of PBE_54") as caught:
        Vasp().of(["Li", "Zr", "Cl"])
    assert "code.potcars" in str(caught.value)


def test_no_folder_at_all_is_told_with_how_to_make_one(monkeypatch):
    monkeypatch.delitem(SETTINGS, "PMG_VASP_PSP_DIR", raising=False)
    with pytest.raises(SSEError, match=r"PMG_VASP_PSP_DIR is not set.*pmg config -p"):
        Vasp().of([])
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", "/no/such/folder")
    with pytest.raises(SSEError, match="which is no folder"):
        Vasp().of([])


def test_a_damaged_potcar_is_told_from_a_missing_one(potcars):
    (potcars / "POT_GGA_PAW_PBE_54" / "POTCAR.Si").write_text("")
    with pytest.raises(SSEError, match=r"POTCAR Si of PBE_54 .* is damaged"):
        choose(["Si"], {}, "PBE_54")


def test_other_potcars_where_the_job_runs_are_refused(potcars):
    wanted = choose(["Li"], {"Li": "Li_sv"}, "PBE_54")
    check_same(wanted, "PBE_54")
    path = potcars / "POT_GGA_PAW_PBE_54" / "POTCAR.Li_sv"
    path.write_text(path.read_text().replace("2.0", "9.0"))
    module._read.cache_clear()
    with pytest.raises(SSEError, match="POTCARs of Li on this machine"):
        check_same(wanted, "PBE_54")


def test_releases_of_one_potential_have_one_hash():
    text = "a\n   SHA256 = 12 Li/POTCAR\n   COPYR  = (c) somebody\nb  \n"
    assert module._digest(text) == module._digest("a\nb\n") != module._digest("a\nc\n")


def test_the_sets_are_pymatgens():
    assert {"PBE_54", "PBE_64"} <= set(functionals())
