"""How a run of pw.x or ph.x ended, read from its text.

"JOB DONE." says nothing: it is also printed where the self-consistent field did not converge,
where the time was up and where a user stopped the run. So each known way to fail has a sign of its
own, and a run is good only if none is there and "JOB DONE." is. "Error in routine" ends a run,
"Message from routine" does not.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Kind:
    """A way to fail.

    Attributes
    ----------
    name
        For handlers and logs.
    pattern
        Regular expression that finds it in the output, upper or lower case.
    message
        What happened; ``{found}`` is the line of the output.
    mend
        What a user can do where the handlers could not.
    """

    name: str
    pattern: str
    message: str
    mend: str


@dataclass(frozen=True)
class Fault:
    """A failure found in an output: its kind, and the line that shows it."""

    kind: Kind
    found: str

    @property
    def message(self) -> str:
        """What happened."""
        return self.kind.message.format(found=self.found)


_STRUCTURE = "Check the structure for overlapping or missing atoms"

KINDS: tuple[Kind, ...] = (
    Kind(
        "pseudopotential",
        r"(from|in routine)\s+readpp.*\n.*|.*(from|in routine)\s+(read_?upf|read_?ps|upf)\w*.*\n.*"
        r"|conflicting values for (igcx|igcc|iexch|icorr|inlc).*|.*pseudopotential.*not found.*",
        "a pseudopotential cannot be used ({found})",
        "Mend code.pseudopotentials or code.functional; all files must be of one functional",
    ),
    Kind(
        "input",
        r"(from|in routine)\s+read_namelists.*\n.*"
        r"|in routine\s+(read_cards|input|iosys|set_occupations|card_\w+).*\n.*",
        "pw.x refuses its input ({found})",
        "Mend the keys under code.input of the campaign file",
    ),
    Kind(
        "parallel",
        r"in routine\s+mp_start_\w+.*\n.*|no plane waves found.*",
        "the parallel options do not suit the calculation ({found})",
        "Mend SSE_ESPRESSO_COMMAND or code.command: -nk must divide the number of ranks, "
        "which a small cell wants few of",
    ),
    Kind(
        "density",
        r"in routine\s+(read_scf|read_rhog|read_rho\w*|read_paw|potinit).*\n.*"
        r"|in routine\s+davcio.*\n.*\bread.*",
        "the files to start from cannot be read ({found})",
        "Look for a full disk, and run the campaign again",
    ),
    Kind(
        "bands",
        r"too few bands|charge is wrong.*|cannot bracket Ef|the system is metallic.*"
        r"|fixed occupations.*need.*|smearing is needed",
        "there are too few bands, or the occupations do not suit a metal ({found})",
        "Set code.input.system.nbnd, or occupations: smearing there",
    ),
    Kind(
        "matrix",
        r"S matrix not positive definite|problems computing cholesky|too many bands are not "
        r"converged|eigenvectors failed to converge",
        "the eigenvalue solver failed ({found})",
        f"{_STRUCTURE}; else set another code.input.electrons.diagonalization or a higher "
        "code.input.system.ecutrho",
    ),
    Kind(
        "bfgs",
        r"(bfgs )?history already reset.*|in routine\s+bfgs.*\n.*",
        "the relaxation got stuck ({found})",
        "Tighten code.input.electrons.conv_thr, or raise relax.force_max",
    ),
    Kind(
        "steps",
        r"The maximum number of steps has been reached",
        "the relaxation did not arrive in the steps allowed",
        "Start from a better structure, or raise relax.steps or relax.force_max",
    ),
    Kind(
        "scf",
        r"convergence NOT achieved.*|No convergence has been achieved",
        "the self-consistent field did not converge ({found})",
        "Look at the structure (overlapping atoms, a wrong composition); else set "
        "code.input.electrons (mixing_beta, electron_maxstep)",
    ),
    Kind(
        "time",
        r"Maximum CPU time exceeded",
        "the time of the job was up",
        "Run the campaign again: the calculation goes on from where it stopped; or ask for longer "
        "jobs",
    ),
    Kind(
        "stopped",
        r"Program stopped by user request",
        "somebody stopped the calculation with a file pwscf.EXIT",
        "Run the campaign again",
    ),
    Kind(
        "other",
        r"Error in routine.*\n.*|from\s+\w+\s*:\s*error #.*\n.*",
        "Quantum ESPRESSO stopped with an error ({found})",
        "Look it up in Quantum ESPRESSO's documentation, and mend code.input or the structure",
    ),
)
"""All ways to fail with a sign in the output, the most telling first."""

KILLED = Kind(
    "killed",
    "",
    "the calculation was killed or crashed ({found})",
    "Look for want of memory or a full disk; more cores or nodes give more memory",
)
LAUNCH = Kind(
    "launch",
    "",
    "Quantum ESPRESSO did not start ({found})",
    "Mend the command, SSE_ESPRESSO_COMMAND or code.command, such as: mpirun -np 8 pw.x -nk 4; try "
    "it in the folder of the output",
)
TRUNCATED = Kind(
    "truncated",
    "",
    "the calculation ended but its results are incomplete ({found})",
    "Look for a full disk, and run the campaign again",
)

_DONE = "JOB DONE."
_BANNER = re.compile(r"Program \w+ v\.")


def diagnose(output: Path, results: Path | None = None) -> Fault | None:
    """What went wrong in a run that has ended, or None.

    Parameters
    ----------
    output
        Text that the program wrote.
    results
        File that a good run leaves, XML; not looked at where it is None.
    """
    text = output.read_text(errors="replace") if output.is_file() else ""
    for kind in KINDS:
        match = re.search(kind.pattern, text, re.IGNORECASE)
        if match:
            return Fault(kind, " ".join(match.group().split())[:160])
    if _DONE not in text:
        return _unfinished(text)
    if results is not None and not _is_whole(results):
        return Fault(TRUNCATED, results.name)
    return None


def _unfinished(text: str) -> Fault:
    """A program that did not come to its end, or of which the launcher says why it never began."""
    lines = [line.strip() for line in text.splitlines() if re.search(r"\w", line)]
    if not lines:
        return Fault(KILLED, "no output")
    if not _BANNER.search(text):
        return Fault(LAUNCH, " / ".join(lines)[:160])
    return Fault(KILLED, f"last line: {lines[-1][:80]}")


def _is_whole(results: Path) -> bool:
    try:
        with results.open("rb") as handle:
            handle.seek(max(0, results.stat().st_size - 256))
            return b"</qes:espresso>" in handle.read()
    except OSError:
        return False
