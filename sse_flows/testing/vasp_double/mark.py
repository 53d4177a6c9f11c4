"""What every file of the double says, so that no number of it is taken for one of VASP.

The words travel into documents by two ways: the version in vasprun.xml, which emmet keeps as
``calcs_reversed[].vasp_version``, and the titles of the pseudopotentials, which it keeps as
``calcs_reversed[].input.potcar_spec[].titel``.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

MARK = "TEST DOUBLE, NOT VASP"
"""The words that every file holds."""

VERSION = f"6.0.0 {MARK}"
"""Version in vasprun.xml and OUTCAR; readers take the number before the first full stop."""

_MARKED_FILES = ("vasprun.xml", "OUTCAR", "vasp.out", "POTCAR")
_HEAD = 4096


def is_double(source: Any) -> bool:
    """Tell results of the double from results of VASP.

    Parameters
    ----------
    source
        A folder of a calculation (path), whose files may be gzipped or end in ``.relax1`` and the
        like; or a document of one: a TaskDoc, its dict, or any part that has the version or the
        titles of the pseudopotentials, such as the string of the version alone.

    Returns
    -------
    bool
        True where the mark was found. False says only that it was not found.
    """
    if isinstance(source, str | Path) and Path(source).is_dir():
        return any(_marked(path) for path in _candidates(Path(source)))
    return MARK.lower() in str(source).lower()  # pymatgen writes versions in small letters


def _candidates(folder: Path) -> list[Path]:
    return [path for name in _MARKED_FILES for path in sorted(folder.glob(f"{name}*"))]


def _marked(path: Path) -> bool:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return MARK.encode() in file.read(_HEAD)
