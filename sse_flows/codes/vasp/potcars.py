"""POTCARs: which one belongs to which element, found by pymatgen's own configuration.

Only symbol, title and hash of a POTCAR are ever kept: its text is under VASP's licence.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from monty.json import MSONable

from sse_flows.errors import SSEError

FOLDER_SETTING = "PMG_VASP_PSP_DIR"
"""pymatgen's setting with the folder of POTCARs: an environment variable or in ~/.pmgrc.yaml."""

MADE_UP = "NOT VASP"
"""In the titles of the POTCARs that the stand-in of the tests insists on."""

_SET_UP = (
    f"Set {FOLDER_SETTING} in the environment or in ~/.pmgrc.yaml, to a folder made by "
    "`pmg config -p <folder of VASP's POTCARs> <new folder>`"
)


@dataclass(frozen=True)
class Potcar(MSONable):
    """A POTCAR by name and content.

    Attributes
    ----------
    symbol
        Such as ``Li_sv``.
    titel
        The line TITEL of it, with its date.
    sha256
        Of its content, first 16 digits: what a result depends on.
    enmax
        Plane-wave cutoff that it asks for, eV.
    """

    symbol: str
    titel: str
    sha256: str
    enmax: float

    @property
    def made_up(self) -> bool:
        """Whether it belongs to the stand-in of the tests, whose results are none of VASP's."""
        return MADE_UP in self.titel


def functionals() -> list[str]:
    """Names of sets of POTCARs that pymatgen knows."""
    from pymatgen.io.vasp.inputs import PotcarSingle

    return list(PotcarSingle.functional_dir)


def folder() -> Path | None:
    """Folder of POTCARs as pymatgen is configured, or None."""
    from pymatgen.core import SETTINGS

    given = SETTINGS.get(FOLDER_SETTING)
    return Path(given).expanduser() if given else None


def choose(
    elements: Iterable[str], symbols: Mapping[str, str], functional: str
) -> dict[str, Potcar]:
    """POTCARs of some elements.

    Parameters
    ----------
    elements
        Symbols of elements.
    symbols
        Element -> symbol of its POTCAR; an element that is not in it has its own name.
    functional
        Set of POTCARs, such as ``PBE_54``.

    Raises
    ------
    SSEError
        There is no folder of POTCARs, or some are not in it; all of them are named.
    """
    place = folder()
    if place is None:
        raise SSEError(f"{FOLDER_SETTING} is not set: no POTCARs", mend=_SET_UP)
    if not place.is_dir():
        raise SSEError(f"{FOLDER_SETTING} is {place}, which is no folder", mend=_SET_UP)
    found, missing = {}, []
    for element in sorted(set(elements)):
        symbol = symbols.get(element, element)
        one = _read(symbol, functional, str(place))
        if one is None:
            missing.append(f"{symbol} of {element}")
        else:
            found[element] = one
    if missing:
        raise SSEError(
            f"no POTCAR {', '.join(missing)} of {functional} in {place}",
            mend="Put it there, or name another with code.potcars or code.potcar_functional",
        )
    return found


def check_same(wanted: Mapping[str, Potcar], functional: str) -> None:
    """Refuse to compute with POTCARs other than those that a job was made with.

    Raises
    ------
    SSEError
        This machine has others, or lacks one.
    """
    symbols = {element: one.symbol for element, one in wanted.items()}
    here = choose(wanted, symbols, functional)
    other = [element for element, one in wanted.items() if here[element].sha256 != one.sha256]
    if other:
        titles = ", ".join(f"{here[element].titel}" for element in other)
        raise SSEError(
            f"the POTCARs of {', '.join(other)} on this machine ({titles}) are not those that the "
            "campaign was submitted with",
            mend=f"Use the same folder of POTCARs ({FOLDER_SETTING}) where you submit and compute",
        )


@lru_cache(maxsize=256)
def _read(symbol: str, functional: str, place: str) -> Potcar | None:
    """The POTCAR, or None; `place` is part of the cache's key."""
    from pymatgen.io.vasp.inputs import PotcarSingle

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown to pymatgen's table of POTCARs
        try:
            single: Any = PotcarSingle.from_symbol_and_functional(symbol, functional)
            titel, enmax = str(single.keywords["TITEL"]).strip(), float(single.keywords["ENMAX"])
        except FileNotFoundError:
            return None
        except (KeyError, ValueError, IndexError) as error:  # cut off, or something else
            raise SSEError(
                f"the POTCAR {symbol} of {functional} in {place} is damaged",
                mend="Copy it anew from VASP's own files",
            ) from error
    return Potcar(symbol, titel, _digest(single.data), enmax)


def _digest(text: str) -> str:
    """Hash of a POTCAR without the lines by which releases of one potential differ."""
    lines = (line.rstrip() for line in text.splitlines())
    kept = [line for line in lines if not line.lstrip().startswith(("SHA256", "COPYR"))]
    return hashlib.sha256("\n".join(kept).strip().encode()).hexdigest()[:16]
