"""Faults on demand: what VASP says and does when a calculation goes wrong.

``VASP_DOUBLE_FAULT``, in the environment or as a file in the folder, names faults by commas::

    brmix, nelm*2, zbrent@relax

Each happens once (or as often as ``*`` says), so that the run that custodian corrects goes through;
behind ``@`` stands the kind of run it waits for: relax, static or response. What has happened is
noted in a hidden file of the folder, or in the file that ``VASP_DOUBLE_FAULT_STATE`` names, which
may serve all the folders of a campaign.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "VASP_DOUBLE_FAULT"
STATE_VARIABLE = "VASP_DOUBLE_FAULT_STATE"
STATE_FILE = ".vasp_double_faults"

_REQUEST = re.compile(r"(?P<name>[a-z_]+)(?:\*(?P<times>\d+))?(?:@(?P<kind>[a-z]+))?$")


@dataclass(frozen=True)
class Fault:
    """One way to go wrong.

    Parameters
    ----------
    message
        What is printed, in full or as far as monitors look for it.
    moment
        When: ``start``, ``electronic`` (in the first ionic step), ``ionic`` (after it), ``end``.
    ending
        What follows: ``stop`` (VASP gives up), ``on`` (it goes on), ``hang``, ``kill``, ``crash``.
    stream
        Where the message goes: ``out`` or ``err``.
    status
        Exit status after a stop.
    """

    message: str = ""
    moment: str = "electronic"
    ending: str = "stop"
    stream: str = "out"
    status: int = 1


def _stop(message: str, moment: str = "electronic") -> Fault:
    return Fault(message, moment)


FAULTS: dict[str, Fault] = {
    "algo_tet": _stop("ALGO=A and IALGO=5X tend to fail with the tetrahedron method", "start"),
    "bravais": _stop("Inconsistent Bravais lattice types found for crystalline and reciprocal"),
    "brions": _stop("BRIONS problems: POTIM should be increased", "ionic"),
    "brmix": _stop("BRMIX: very serious problems"),
    "dentet": _stop("DENTET: can not reach specified precision"),
    "dfpt_ncore": _stop("PEAD routines do not work for NCORE", "start"),
    "edddav": _stop("Error EDDDAV: Call to ZHEGV failed. Returncode = 8"),
    "eddrmm": _stop("WARNING in EDDRMM: call to ZHEGV failed, returncode = 6"),
    "grad_not_orth": _stop("EDWAV: internal error, the gradient is not orthogonal"),
    "incorrect_shift": _stop("Could not get correct shifts", "start"),
    "inv_rot_mat": _stop("rotation matrix was not found (increase SYMPREC)", "start"),
    "nicht_konv": _stop("ERROR: SBESSELITER : nicht konvergent", "start"),
    "point_group": _stop("group operation missing", "start"),
    "posmap": _stop("POSMAP internal error: symmetry equivalent atom not found", "start"),
    "pricel": _stop("internal error in subroutine PRICEL", "start"),
    "pricelv": _stop("PRICELV: current lattice and primitive lattice are incommensurate", "start"),
    "pssyevx": _stop("ERROR in subspace rotation PSSYEVX: not enough eigenvalues found"),
    "read_error": _stop("Error reading item from file INCAR", "start"),
    "real_optlay": _stop("REAL_OPTLAY: internal error", "start"),
    "rhosyg": _stop("RHOSYG internal error: stars are not distinct", "start"),
    "rot_matrix": _stop("Found some non-integer element in rotation matrix", "start"),
    "rspher": _stop("ERROR RSPHER: internal", "start"),
    "subspacematrix": _stop("WARNING: Sub-Space-Matrix is not hermitian in DAV"),
    "symprec_noise": _stop(
        "determination of the symmetry of your systems shows a strong dependence", "start"
    ),
    "tet": _stop("Tetrahedron method fails (number of k-points < 4)", "start"),
    "too_few_bands": _stop("TOO FEW BANDS"),
    "triple_product": _stop("ERROR: the triple product of the basis vectors", "start"),
    "zbrent": _stop("ZBRENT: fatal error in bracketing", "ionic"),
    "zheev": _stop("ERROR EDDIAG: Call to routine ZHEEV failed! 1"),
    "zpotrf": _stop("LAPACK: Routine ZPOTRF failed!"),
    "mesh_symmetry": _stop(
        "Reciprocal lattice and k-lattice belong to different class of lattices.", "start"
    ),
    "kpoints_trans": Fault(
        "internal error in GENERATE_KPOINTS_TRANS: number of G-vector changed in star",
        "start",
        stream="err",
    ),
    "memory": Fault("Allocation would exceed memory limit", stream="err"),
    "disk_full": Fault("No space left on device", "ionic", stream="err", status=38),
    "crash": Fault(moment="electronic", ending="crash"),
    "killed": Fault(moment="electronic", ending="kill"),
    "killed_late": Fault(moment="ionic", ending="kill"),
    "frozen": Fault(moment="electronic", ending="hang"),
    "nelm": Fault(moment="end", ending="on"),
    "nsw": Fault(moment="end", ending="on"),
    "positive_energy": Fault(moment="end", ending="on"),
    "potim": Fault(moment="end", ending="on"),
    "large_entropy": Fault(moment="end", ending="on"),
    "truncated_vasprun": Fault(moment="end", ending="on"),
    "truncated_outcar": Fault(moment="end", ending="on"),
}
"""All that can be asked for. Most are named as in custodian's handler of errors."""


class Faults:
    """The fault of this run, if there is one.

    Parameters
    ----------
    folder
        Of the run.
    kind
        ``relax``, ``static`` or ``response``.

    Raises
    ------
    ValueError
        A fault is asked for that does not exist.
    """

    def __init__(self, folder: Path, kind: str):
        self.state = Path(os.environ.get(STATE_VARIABLE) or folder / STATE_FILE)
        asked = folder / VARIABLE
        text = asked.read_text() if asked.is_file() else os.environ.get(VARIABLE, "")
        self.name = self._due(text, kind)

    def strikes(self, name: str) -> bool:
        """Whether this fault, one without a message, happens in this run."""
        if self.name != name:
            return False
        self.note()
        return True

    def at(self, moment: str) -> Fault | None:
        """The fault that happens at a moment, noted as done."""
        fault = FAULTS.get(self.name or "")
        if fault is None or fault.moment != moment or fault.ending == "on":
            return None
        self.note()
        return fault

    def note(self) -> None:
        """Remember that the fault has happened."""
        if self.name:
            with self.state.open("a") as file:
                file.write(f"{self.name} {os.getpid()}\n")

    def _due(self, text: str, kind: str) -> str | None:
        """The first fault asked for that has not happened often enough."""
        done = self.state.read_text().split() if self.state.is_file() else []
        for request in filter(None, (part.strip() for part in re.split(r"[,\n]", text))):
            match = _REQUEST.match(request)
            if match is None or match["name"] not in FAULTS:
                raise ValueError(f"{request!r} is no fault; choose of {sorted(FAULTS)}")
            if match["kind"] and match["kind"] != kind:
                continue
            if done.count(match["name"]) < int(match["times"] or 1):
                return match["name"]
        return None
