"""Starting a calculation from the charge density that another one left."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
from atomate2.utils.path import strip_hostname
from pymatgen.core import Structure

from sse_flows.codes.espresso.inputs import OUTDIR, PREFIX
from sse_flows.codes.espresso.outputs import read_pw, xml_path
from sse_flows.errors import SSEError

_DENSITY = ("charge-density.*", "spin-polarization.*", "paw.txt", "data-file-schema.xml")
_BULKY = ("wfc*", "mix*", "*.wfc*", "*.mix*", "*.bfgs", "*.update", "*.restart*")
_MOVED = 0.2  # Å; beyond, the old density is no better than that of free atoms


def copy_density(source: str | Path | None, structure: Structure, directory: Path) -> bool:
    """Copy the charge density of a similar crystal into the output folder of a calculation.

    Parameters
    ----------
    source
        Folder of that calculation, with or without its host; None or gone: nothing is done.
    structure
        The crystal to compute. Cell and order of the atoms must be the same, and no atom moved
        by more than 0.2 Å.
    directory
        Folder of the calculation to come.

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
    if not _similar(before, structure):
        return False
    target = directory / OUTDIR / f"{PREFIX}.save"
    target.mkdir(parents=True, exist_ok=True)
    for pattern in _DENSITY:
        for path in xml_path(folder).parent.glob(pattern):
            shutil.copy(path, target / path.name)
    return True


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
    patterns = _BULKY if keep_density else (*_BULKY, "charge-density.*", "paw.txt", "spin-*")
    outdir = directory / OUTDIR
    for pattern in patterns:
        for path in [*outdir.glob(pattern), *outdir.glob(f"{PREFIX}.save/{pattern}")]:
            path.unlink(missing_ok=True)
    shutil.rmtree(outdir / "_ph0", ignore_errors=True)
