"""Crystals and POTCARs that no VASP could compute with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymatgen.core import SETTINGS, Lattice, Structure

from sse_flows.codes.vasp import run
from sse_flows.testing.vasp_double import install, installed

POTCAR = """\
  {titel}
   {zval:.1f}
 parameters from PSCTR are:
   VRHFIN ={element}: made up
   LEXCH  = PE
   EATOM  = 10.0 eV
   TITEL  = {titel}
   LULTRA = F
   LPAW   = T
   POMASS = 7.0; ZVAL = {zval:.1f}
   ENMAX  = {enmax:.3f}; ENMIN  = 100.000 eV
END of PSCTR-controll parameters
 1.0 2.0 3.5
 End of Dataset
"""
MADE_UP = {"Li_sv": (3, 499.034), "O": (6, 400.0), "P": (5, 255.0), "S": (6, 258.7), "Fe": (8, 268)}


def write_potcars(folder: Path, symbols: dict[str, tuple[float, float]] = MADE_UP) -> None:
    """POTCARs where pymatgen looks for those of PBE_54."""
    place = folder / "POT_GGA_PAW_PBE_54"
    place.mkdir(parents=True, exist_ok=True)
    for symbol, (zval, enmax) in symbols.items():
        text = POTCAR.format(
            titel=f"PAW_PBE {symbol} 01Jan2000",
            element=symbol.split("_")[0],
            zval=zval,
            enmax=enmax,
        )
        (place / f"POTCAR.{symbol}").write_text(text)


@pytest.fixture
def potcars(tmp_path, monkeypatch) -> Path:
    """A folder of made-up POTCARs, configured as pymatgen's."""
    folder = tmp_path / "potcars"
    write_potcars(folder)
    monkeypatch.setitem(SETTINGS, "PMG_VASP_PSP_DIR", str(folder))
    return folder


@pytest.fixture(scope="session")
def programs(tmp_path_factory) -> Path:
    """Folder with a stand-in for VASP and its made-up POTCARs."""
    folder = tmp_path_factory.mktemp("vasp_double")
    install(folder)
    return folder


@pytest.fixture
def double(programs, tmp_path, monkeypatch) -> Iterator[Path]:
    """The stand-in where atomate2 finds VASP; the present folder is a fresh one."""
    for variable in ("SLURM_JOB_ID", "SLURM_JOB_END_TIME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(run, "_POLL", 0.2)
    folder = tmp_path / "job"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with installed(programs):
        yield folder


@pytest.fixture
def li2o() -> Structure:
    """Primitive cell of Li2O."""
    crystal = Structure.from_spacegroup(
        "Fm-3m", Lattice.cubic(4.56), ["Li", "O"], [[0.25, 0.25, 0.25], [0, 0, 0]]
    )
    return crystal.get_primitive_structure().get_sorted_structure()
