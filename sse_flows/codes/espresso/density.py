"""Starting a calculation from the charge density that another one left."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from atomate2.utils.path import strip_hostname
from pymatgen.core import Structure

from sse_flows.codes.espresso.inputs import OUTDIR, PREFIX, PW_INPUT, read_input
from sse_flows.codes.espresso.outputs import read_pw, xml_path
from sse_flows.errors import SSEError

_DENSITY = (
    "charge-density.*",
    "spin-polarization.*",
    "paw.txt",
    "occup.txt",  # of DFT+U; without it pw.x reads no density
    "data-file-schema.xml",
)
_STATE = ("nspin", "starting_magnetization", "noncolin", "lspinorb", "lda_plus_u", "hubbard")
_BULKY = ("wfc*", "mix*", "*.wfc*", "*.mix*", "*.bfgs", "*.update", "*.restart*")
_POSITION = 4  # words of a line that places an atom
_MOVED = 0.2  # Å; beyond, the old density is no better than that of free atoms


def copy_density(source: str | Path | None, structure: Structure, draft: Path) -> bool:
    """Copy the charge density of a similar crystal into the output folder of a calculation.

    Parameters
    ----------
    source
        Folder of that calculation, with or without its host; None or gone: nothing is done.
    structure
        The crystal to compute. Cell and order of the atoms must be the same, and no atom moved
        by more than 0.2 Å.
    draft
        Input of the calculation to come, in its folder. Spins have to start alike: from the
        density of another magnetic order pw.x would arrive at that order.

    Returns
    -------
    bool
        Whether there is a density to start from.
    """
    if not source:
        return False
    folder = Path(strip_hostname(source))
    if not any(xml_path(folder).parent.glob("charge-density.*")):
        return False
    try:
        before = read_pw(xml_path(folder)).structure
    except SSEError:
        return False
    if not _similar(before, structure) or _state(folder / PW_INPUT) != _state(draft):
        return False
    target = draft.parent / OUTDIR / f"{PREFIX}.save"
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _DENSITY:
        for path in xml_path(folder).parent.glob(pattern):
            shutil.copy(path, target / path.name)
    return True


def _state(path: Path) -> tuple[dict[str, Any], list[str]] | None:
    """Which electronic state an input asks for: its keys of spins, and the kinds of its atoms."""
    if not path.is_file():
        return None
    namelists, cards = read_input(path)
    keys = {k: v for k, v in namelists.get("system", {}).items() if k.startswith(_STATE)}
    lines = [line.split() for line in cards if line.strip()]
    kinds = [words[0] for words in lines if len(words) >= _POSITION and words[0][0].isalpha()]
    return keys, kinds


def _similar(before: Structure, after: Structure) -> bool:
    if len(before) != len(after) or not np.allclose(
        before.lattice.matrix, after.lattice.matrix, atol=1e-5
    ):
        return False
    if [site.specie.symbol for site in before] != [site.specie.symbol for site in after]:
        return False
    shift = after.frac_coords - before.frac_coords
    shift -= np.round(shift)
    return bool(np.linalg.norm(after.lattice.get_cartesian_coords(shift), axis=1).max() < _MOVED)


def clean(directory: Path, keep_density: bool) -> None:
    """Remove what nobody reads again: wave functions, and the density unless it is wanted."""
    patterns = _BULKY if keep_density else (*_BULKY, *_DENSITY[:-1])
    outdir = directory / OUTDIR
    for pattern in patterns:
        for path in [*outdir.glob(pattern), *outdir.glob(f"{PREFIX}.save/{pattern}")]:
            path.unlink(missing_ok=True)
    shutil.rmtree(outdir / "_ph0", ignore_errors=True)
