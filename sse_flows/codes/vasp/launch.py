"""How VASP is started: of no influence on results, and so no part of content keys."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monty.json import MSONable

from sse_flows.codes.vasp import leash
from sse_flows.codes.vasp.presets import PARALLEL
from sse_flows.errors import SSEError

_OF_SHELLS = (">", "<", "|", "&", ";", "1>", "2>")

STANDARD, GAMMA = "vasp_std", "vasp_gam"


@dataclass(frozen=True)
class Launch(MSONable):
    """Commands and what depends on the machine.

    Attributes
    ----------
    command
        Such as ``mpirun -np 8 vasp_std``; empty: VASP_CMD of atomate2's settings where the job
        runs.
    gamma_command
        The same of the program for the Γ point alone; empty: `command` with vasp_gam for
        vasp_std, or VASP_GAMMA_CMD of atomate2's settings; where only VASP_CMD is set, as if it
        were `command`.
    incar
        Keys of the INCAR that share the work among cores (NCORE, KPAR, ...).
    """

    command: str = ""
    gamma_command: str = ""
    incar: dict[str, Any] = field(default_factory=dict)

    def commands(self) -> tuple[str, str]:
        """Commands of vasp_std and vasp_gam, with the variables in them replaced."""
        from atomate2 import SETTINGS

        if self.command:
            given = (self.command, self.gamma_command or _for_gamma(self.command))
        else:
            given = (SETTINGS.VASP_CMD, self.gamma_command or _gamma_setting(SETTINGS))
        return os.path.expandvars(given[0]), os.path.expandvars(given[1])

    def leashed(self) -> tuple[str, str]:
        """The commands such that VASP ends when the process that started it dies.

        Raises
        ------
        SSEError
            The first word of a command is no program of this machine, or it is meant for a shell.
        """
        standard, gamma = self.commands()
        words = shlex.split(standard)
        if any(word.startswith(_OF_SHELLS) for word in words):
            raise SSEError(
                f"the command of VASP is started without a shell: {standard}",
                mend="Leave out what redirects its output: custodian keeps it in vasp.out",
            )
        if not words or shutil.which(words[0]) is None:
            raise SSEError(
                f"cannot start VASP: {words[0] if words else 'its command'} is not found",
                mend="Load VASP's module, or set VASP_CMD of atomate2 or code.command",
            )
        leader = shlex.join([sys.executable, str(leash.__file__)])
        return f"{leader} {standard}", f"{leader} {gamma}"

    def keys(self, allowed: frozenset[str] | set[str] = PARALLEL) -> dict[str, Any]:
        """Keys that go into the INCAR for this machine: atomate2's updates, then one's own.

        Raises
        ------
        SSEError
            VASP_INCAR_UPDATES of atomate2 would change results behind the campaign's back.
        """
        from atomate2 import SETTINGS

        updates: Mapping[str, Any] = SETTINGS.VASP_INCAR_UPDATES
        silent = sorted(key for key in updates if key.upper() not in PARALLEL)
        if silent:
            raise SSEError(
                f"VASP_INCAR_UPDATES of atomate2 sets {', '.join(silent)}, which may change "
                "results",
                mend="Write it under code.incar of the campaign file instead",
            )
        keys = {**{key.upper(): value for key, value in updates.items()}, **self.incar}
        return {key: value for key, value in keys.items() if key in allowed and value is not None}


def _gamma_setting(settings: Any) -> str:
    """atomate2's setting for vasp_gam; its default would start it on one core beside `srun`."""
    default = type(settings).model_fields["VASP_GAMMA_CMD"].default
    given = settings.VASP_GAMMA_CMD
    return _for_gamma(settings.VASP_CMD) if given == default else given


def _for_gamma(command: str) -> str:
    """The command with vasp_gam in place of vasp_std; as it is where it names none."""
    words = shlex.split(command)
    places = [i for i, word in enumerate(words) if Path(word).name == STANDARD]
    if places:
        words[places[-1]] = words[places[-1]].removesuffix(STANDARD) + GAMMA
    return shlex.join(words)
