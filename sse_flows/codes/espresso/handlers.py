"""custodian handlers of what goes wrong in pw.x and ph.x.

Each looks for one kind of fault (:mod:`sse_flows.codes.espresso.faults`), so that exactly one acts
on a run. A handler that has tried everything returns no actions, and custodian gives up. They read
from the input where its files lie, so that they serve inputs of any origin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from custodian.custodian import ErrorHandler

from sse_flows.codes.espresso.faults import Fault, diagnose
from sse_flows.codes.espresso.files import Files
from sse_flows.codes.espresso.inputs import (
    PH_INPUT,
    PH_OUTPUT,
    PW_INPUT,
    PW_OUTPUT,
    edit_input,
    read_input,
)
from sse_flows.codes.espresso.resume import go_on_from_last_geometry, keep_output
from sse_flows.codes.walltime import MARGIN, seconds_left

Changes = Mapping[str, Mapping[str, Any]]

_MIN_STEPS = 100
_FROM_LAST = "started again from the last geometry"
_PH = "inputph"
_FRESH: Changes = {
    "control": {"restart_mode": None},
    "electrons": {"startingpot": None, "startingwfc": None},
}


class FaultHandler(ErrorHandler):
    """A handler of one kind of fault.

    Parameters
    ----------
    input_file, output_file
        Names in the folder of the calculation.
    """

    kind: ClassVar[str]

    def __init__(self, input_file: str = PW_INPUT, output_file: str = PW_OUTPUT):
        self.input_file = input_file
        self.output_file = output_file

    def check(self, directory: str = "./") -> bool:
        """Whether this kind of fault ended the run."""
        fault = self.fault(Path(directory))
        return fault is not None and fault.kind.name == self.kind

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Change the input for another try; no actions where nothing is left to try."""
        folder = Path(directory)
        fault = self.fault(folder)
        errors = [fault.message] if fault else []
        remedy = self.remedy(folder)
        if remedy is None:
            return {"errors": errors, "actions": None}
        changes, words = remedy
        keep_output(folder, self.output_file)
        edit_input(folder / self.input_file, changes)
        return {"errors": errors, "actions": [words]}

    def fault(self, folder: Path) -> Fault | None:
        """What ended the run."""
        results = None if self.is_ph(folder) else self.files(folder).results
        return diagnose(folder / self.output_file, results)

    def is_ph(self, folder: Path) -> bool:
        """Whether the input is of ph.x."""
        return _PH in self.keys(folder)

    def files(self, folder: Path) -> Files:
        """Where pw.x leaves its files."""
        return Files.of(folder / self.input_file)

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Changes to the input and what they are called; None where nothing is left."""
        return None

    def to_last_geometry(self, folder: Path) -> bool:
        """Let a relaxation of ours begin where its output ends; False where there is nothing."""
        return self.input_file == PW_INPUT and go_on_from_last_geometry(folder)

    def keys(self, folder: Path) -> Mapping[str, Mapping[str, Any]]:
        """Namelists of the input."""
        return read_input(folder / self.input_file)[0]


class StepsHandler(FaultHandler):
    """Tries remedies in turn."""

    remedies: ClassVar[Sequence[tuple[Changes, str]]] = ()

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return the next remedy, from a fresh start."""
        if self.n_applied_corrections >= len(self.remedies):
            return None
        changes, words = self.remedies[self.n_applied_corrections]
        merged = {name: dict(keys) for name, keys in _FRESH.items()}
        for name, keys in changes.items():
            merged.setdefault(name, {}).update(keys)
        return merged, words


class ScfHandler(StepsHandler):
    """No self-consistency: mix less, then screen the mixing locally, then solve more robustly."""

    kind = "scf"
    remedies: ClassVar = (
        ({"electrons": {"mixing_beta": 0.3}}, "mixing_beta 0.3"),
        (
            {"electrons": {"mixing_beta": 0.2, "mixing_mode": "local-TF"}},
            "mixing_mode local-TF, mixing_beta 0.2",
        ),
        (
            {"electrons": {"mixing_beta": 0.1, "diagonalization": "cg"}},
            "diagonalization cg, mixing_beta 0.1",
        ),
    )

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return the next remedy, with more iterations each time."""
        found = super().remedy(folder)
        if found is None:
            return None
        changes, words = found
        steps = int(self.keys(folder).get("electrons", {}).get("electron_maxstep", _MIN_STEPS))
        steps = max(_MIN_STEPS, min(2 * steps, 500))
        return {**changes, "electrons": {**changes["electrons"], "electron_maxstep": steps}}, words


class MatrixHandler(StepsHandler):
    """The Davidson solver failed: conjugate gradients, then a larger Davidson space."""

    kind = "matrix"
    remedies: ClassVar = (
        ({"electrons": {"diagonalization": "cg"}}, "diagonalization cg"),
        (
            {"electrons": {"diagonalization": "david", "diago_david_ndim": 4}},
            "diagonalization david, diago_david_ndim 4",
        ),
    )


class BandsHandler(FaultHandler):
    """Too few bands, or a metal with fixed occupations: smear, then add bands."""

    kind = "bands"

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Smear fixed occupations; else let pw.x choose the bands; else half as many again."""
        system = self.keys(folder).get("system", {})
        if self.n_applied_corrections > 2:
            return None
        if system.get("occupations", "fixed") == "fixed":
            smeared = {"occupations": "smearing", "smearing": "mv", "degauss": 0.01, "nbnd": None}
            return {"system": smeared}, "occupations smearing"
        if "nbnd" in system:
            more = int(1.5 * int(system["nbnd"])) + 2
            return {"system": {"nbnd": more}}, f"nbnd {more}"
        return {"system": {"degauss": 0.02}}, "degauss 0.02"


class BfgsHandler(StepsHandler):
    """The history of BFGS broke down, mostly from noise in the forces: converge them better."""

    kind = "bfgs"
    remedies: ClassVar = (
        ({"electrons": {"conv_thr": 1e-11}, "ions": {"trust_radius_ini": 0.1}}, "conv_thr 1e-11"),
        (
            {"electrons": {"conv_thr": 1e-12}, "ions": {"trust_radius_ini": 0.02, "bfgs_ndim": 1}},
            "conv_thr 1e-12, trust_radius_ini 0.02",
        ),
    )


class TimeHandler(FaultHandler):
    """The time was up: go on where pw.x stopped, if the batch job has any left.

    A ``max_seconds`` of the user's own is doubled each time, lest a run never arrives.
    """

    kind = "time"
    restarts = 20

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return the restart, or nothing in the last minutes of a batch job."""
        if self.n_applied_corrections >= self.restarts or no_time_left():
            return None
        section, changes, words = self._restart(folder)
        given = float(self.keys(folder).get(section, {}).get("max_seconds", 0.0))
        if given:
            changes["max_seconds"] = 2 * given
        return {section: changes}, words

    def _restart(self, folder: Path) -> tuple[str, dict[str, Any], str]:
        """Namelist and keys that make the program go on where it stopped, and words for it."""
        if self.is_ph(folder):
            return _PH, {"recover": True}, "restart"
        if self.files(folder).has_state(folder / self.output_file):
            return "control", {"restart_mode": "restart"}, "restart"
        self.files(folder).remove_state()
        words = _FROM_LAST if self.to_last_geometry(folder) else "restart"
        return "control", {"restart_mode": None}, words


class KilledHandler(FaultHandler):
    """Killed or crashed: once more without its files, which may be damaged.

    A relaxation goes on from the last geometry in its output.
    """

    kind = "killed"

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return a fresh start, once."""
        if self.n_applied_corrections >= 1:
            return None
        changes = self._fresh_start(folder)
        return changes, _FROM_LAST if self.to_last_geometry(folder) else "started again"

    def _fresh_start(self, folder: Path) -> Changes:
        if self.is_ph(folder):  # the files are of pw.x, which ended well
            return {_PH: {"recover": None}}
        if self.keys(folder).get("control", {}).get("calculation") == "nscf":
            self.files(folder).remove_state()  # but it needs the density that is there
            return {"control": {"restart_mode": None}}
        self.files(folder).remove()
        return _FRESH


class TruncatedHandler(KilledHandler):
    """Results incomplete: once more from the start."""

    kind = "truncated"


class DensityHandler(KilledHandler):
    """What there is to start from cannot be read: once more without it."""

    kind = "density"


class LaunchHandler(FaultHandler):
    """The program did not start: once more as it was, since nodes have bad moments."""

    kind = "launch"

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return no changes, once; what is there to go on from stays."""
        return None if self.n_applied_corrections else ({}, "launched again")


class PhScfHandler(FaultHandler):
    """ph.x did not converge: mix less."""

    kind = "scf"

    def remedy(self, folder: Path) -> tuple[Changes, str] | None:
        """Return a smaller alpha_mix(1), twice."""
        if self.n_applied_corrections >= 2:
            return None
        value = (0.3, 0.1)[self.n_applied_corrections]
        return {"inputph": {"alpha_mix(1)": value, "niter_ph": 200}}, f"alpha_mix {value}"


class HopelessHandler(FaultHandler):
    """Faults that only a user can mend: say so at once instead of trying."""

    kinds: ClassVar[tuple[str, ...]] = (
        "pseudopotential",
        "input",
        "parallel",
        "steps",
        "stopped",
        "other",
    )

    def check(self, directory: str = "./") -> bool:
        """Whether one of these faults ended the run."""
        fault = self.fault(Path(directory))
        return fault is not None and fault.kind.name in self.kinds


class PhHopelessHandler(HopelessHandler):
    """As for pw.x; remedies for bands and matrices are pw.x's."""

    kinds: ClassVar[tuple[str, ...]] = (
        *HopelessHandler.kinds,
        "bands",
        "matrix",
        "bfgs",
        "density",
        "truncated",
    )


def no_time_left() -> bool:
    """Whether the batch job is about to end."""
    left = seconds_left()
    return left is not None and left < 2 * MARGIN


def pw_handlers(input_file: str = PW_INPUT, output_file: str = PW_OUTPUT) -> list[ErrorHandler]:
    """Handlers for pw.x."""
    mending = (ScfHandler, MatrixHandler, BandsHandler, BfgsHandler, TimeHandler)
    again = (LaunchHandler, KilledHandler, TruncatedHandler, DensityHandler)
    return [kind(input_file, output_file) for kind in (*mending, *again, HopelessHandler)]


def ph_handlers(input_file: str = PH_INPUT, output_file: str = PH_OUTPUT) -> list[ErrorHandler]:
    """Handlers for ph.x."""
    handlers = (PhScfHandler, TimeHandler, LaunchHandler, KilledHandler, PhHopelessHandler)
    return [kind(input_file, output_file) for kind in handlers]
