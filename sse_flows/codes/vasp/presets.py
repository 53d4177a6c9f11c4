"""Named settings of VASP, and the keys of its INCAR; quick to import, for campaign files."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from sse_flows.codes.presets import named_settings

PARALLEL = frozenset(
    ("NCORE", "NPAR", "KPAR", "NSIM", "LPLANE", "LSCALU", "LSCALAPACK", "LSCAAWARE", "NCSHMEM")
)
"""Keys of the INCAR that say how work is shared among cores: no part of content keys."""

OWNED = {
    "NSW": "relax.steps",
    "EDIFFG": "relax.force_max",
    "KSPACING": "code.kpoints",
    "KGAMMA": "code.kpoints",
    "ISIF": "nothing: campaigns relax cell and atoms",
    "LEPSILON": "phonons.born_charges",
    "LCALCEPS": "phonons.born_charges",
    "ISTART": "nothing: jobs set it themselves",
    "ICHARG": "nothing: jobs set it themselves",
}
"""Keys of the INCAR that jobs set themselves, and what sets them in a campaign file."""

_BY_ELEMENT = {"MAGMOM": 5, "LDAUU": 5.3, "LDAUL": 2, "LDAUJ": 0}
_RELAXING = (1, 2, 3)
"""Values of IBRION that relax; VASP's own default would start molecular dynamics."""

_FUNCTIONALS = {"PE": "PBE", "PS": "PBEsol", "RP": "RPBE", "AM": "AM05", "CA": "LDA"}


def presets() -> dict[str, dict[str, Any]]:
    """The named settings of ``presets.yaml``."""
    return named_settings("sse_flows.codes.vasp")


@cache
def known_keys() -> frozenset[str]:
    """Keys of the INCAR after pymatgen's list."""
    import json

    return frozenset(json.loads((files("pymatgen.io.vasp") / "incar_parameters.json").read_text()))


def wrong_keys(incar: Mapping[str, Any]) -> list[str]:
    """What is wrong with the keys of an INCAR, in words: unknown ones, and those of jobs."""
    faults = []
    for key, value in ((key.upper(), value) for key, value in incar.items()):
        if key in _BY_ELEMENT and not isinstance(value, (Mapping, type(None))):
            faults.append(f"{key} is written by element, such as {{Fe: {_BY_ELEMENT[key]}}}")
        elif key == "IBRION" and value not in _RELAXING:
            faults.append(f"IBRION is {value}, but what relaxes is one of {_RELAXING}")
        elif key in OWNED:
            faults.append(f"{key} is set by {OWNED[key]}")
        elif key not in known_keys():
            near = difflib.get_close_matches(key, sorted(known_keys()), n=1)
            faults.append(f"{key} is no key of VASP" + (f" (did you mean {near[0]}?)" * bool(near)))
    return faults


def split_parallel(incar: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Keys of the INCAR that results depend on, and those that only share the work."""
    upper = {key.upper(): value for key, value in incar.items()}
    content = {key: value for key, value in upper.items() if key not in PARALLEL}
    return content, {key: value for key, value in upper.items() if key in PARALLEL}


def functional_of(incar: Mapping[str, Any]) -> str:
    """Name of the exchange-correlation functional of an INCAR."""
    if incar.get("METAGGA"):
        return str(incar["METAGGA"])
    hybrid = "hybrid of " if incar.get("LHFCALC") else ""
    name = str(incar.get("GGA") or "POTCAR's functional")
    return hybrid + _FUNCTIONALS.get(name.upper(), name)
