"""What went wrong in a run of VASP that custodian gave up, in one line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from custodian.custodian import CustodianError, ValidationError

from sse_flows.codes.vasp.documents import corrections_of
from sse_flows.errors import SSEError


@dataclass(frozen=True)
class Kind:
    """A way to fail: custodian's names for it, what happened, and what a user can do."""

    names: frozenset[str]
    message: str
    mend: str


def _kind(names: str, message: str, mend: str) -> Kind:
    return Kind(frozenset(names.lower().split()), message, mend)


_STRUCTURE = "Check the structure for overlapping or missing atoms"

KINDS: tuple[Kind, ...] = (
    _kind(
        "Unconverged Non-converging_job",
        "electrons or ions did not converge",
        f"{_STRUCTURE}; else set code.incar (ALGO, AMIX, BMIX, NELM), or raise relax.steps",
    ),
    _kind(
        "zbrent brions pricel potim",
        "the relaxation got stuck",
        "Set code.incar.IBRION or POTIM, or start from a better structure",
    ),
    _kind(
        "inv_rot_mat rot_matrix rotation_matrix posmap pricelv point_group bravais symprec_noise "
        "rhosyg ksymm ibzkpt hnform mesh_symmetry incorrect_shift",
        "VASP could not match symmetry and k points",
        "Set code.incar.SYMPREC, or a mesh with code.kpoints",
    ),
    _kind(
        "too_few_bands nbands_not_sufficient auto_nbands",
        "there are too few bands",
        "Set code.incar.NBANDS",
    ),
    _kind(
        "brmix subspacematrix edddav eddrmm zheev eddiag pssyevx pdsyevx zpotrf grad_not_orth "
        "real_optlay rspher nicht_konv set_core_wf triple_product dentet tet tetirr coef fexcf",
        "VASP's solver failed",
        f"{_STRUCTURE}; else set code.incar.ALGO",
    ),
    _kind("Positive_energy", "the energy is positive", _STRUCTURE),
    _kind(
        "Frozen_job",
        "VASP wrote nothing for hours",
        "Look for a lost node or a full disk, and run the campaign again",
    ),
    _kind(
        "Out_of_memory kpoints_trans seg_fault",
        "VASP ran out of memory",
        "More nodes give more memory; so does another code.incar.NCORE or KPAR",
    ),
)
"""Ways to fail that custodian has names for."""

_UNKNOWN = Kind(
    frozenset(),
    "VASP failed",
    "Look at vasp.out there; a killed VASP mostly wants memory (more nodes), a licence or library "
    "error another code.command",
)


_INCOMPLETE = Kind(
    frozenset(),
    "VASP ended but its results are incomplete",
    "Look for a full disk, and run the campaign again",
)


def failure(error: CustodianError, folder: Path) -> SSEError:
    """The error of a run that custodian gave up.

    Parameters
    ----------
    error
        As custodian raised it.
    folder
        With custodian.json and the output.
    """
    tried = corrections_of(folder)
    names = [name for line in tried[-1:] for name in line.split(":")[0].split(", ")]
    plain = {name.replace(" ", "_").lower() for name in names}
    kind = next((kind for kind in KINDS if kind.names & plain), _UNKNOWN)
    said = ", ".join(names) or last_words(folder) or " ".join(error.message.split())[:120]
    if isinstance(error, ValidationError) and _ended(folder):
        kind, said = _INCOMPLETE, error.message
    what = f"{kind.message} ({said})"
    actions = [line for line in tried if not line.endswith("nothing left to try")]
    after = f"; tried: {' | '.join(actions)}" if actions else ""
    return SSEError(f"{what}{after}; output in {folder}", mend=kind.mend)


def _ended(folder: Path) -> bool:
    """Whether VASP came to its end: it reports its time then."""
    path = folder / "OUTCAR"
    return path.is_file() and "General timing" in path.read_text(errors="replace")[-20_000:]


def last_words(folder: Path) -> str:
    """Last line of text that VASP or its launcher wrote, without the frames around it."""
    for name in ("std_err.txt", "vasp.out"):
        path = folder / name
        text = path.read_text(errors="replace") if path.is_file() else ""
        lines = [" ".join(re.sub(r"[|*]+", " ", line).split()) for line in text.splitlines()]
        words = [line for line in lines if re.search(r"[A-Za-z]{3}", line)]
        if words:
            return words[-1][:160]
    return ""
