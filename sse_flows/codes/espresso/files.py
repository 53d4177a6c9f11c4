"""Where pw.x leaves its files, as its input says: handlers serve inputs that others wrote too."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sse_flows.codes.espresso.inputs import read_input

_DEFAULT_PREFIX = "pwscf"
_STATE = ("wfc*", "mix*", "restart*", "bfgs", "update", "hub*", "igk*")
_RESULTS = ("save", "xml", "EXIT")
_LAST_FIELD = "The G-vectors are recalculated for the final unit cell"


@dataclass(frozen=True)
class Files:
    """Files of one calculation.

    Attributes
    ----------
    outdir
        Folder of all of them.
    prefix
        What their names begin with.
    """

    outdir: Path
    prefix: str

    @classmethod
    def of(cls, input_path: Path) -> Files:
        """Read ``outdir`` and ``prefix`` of an input of pw.x, or Quantum ESPRESSO's defaults."""
        keys = read_input(input_path)[0].get("control", {}) if input_path.is_file() else {}
        outdir = str(keys.get("outdir") or os.environ.get("ESPRESSO_TMPDIR") or ".")
        return cls(input_path.parent / outdir, str(keys.get("prefix") or _DEFAULT_PREFIX))

    @property
    def results(self) -> Path:
        """The XML file with all that was computed."""
        return self.outdir / f"{self.prefix}.save" / "data-file-schema.xml"

    def has_state(self, output: Path) -> bool:
        """Whether pw.x can go on where its clock stopped it.

        Stopped before its first step, it left nothing. Stopped in the last self-consistent field
        of a relaxation of the cell, it left wave functions on the plane waves of the final cell,
        which a restart, with those of the first, takes for its own or cannot read.

        Parameters
        ----------
        output
            What it wrote until then.
        """
        state = any(self.outdir.glob(f"{self.prefix}.restart*"))
        if not (state and self.results.is_file() and output.is_file()):
            return False
        return _LAST_FIELD not in output.read_text(errors="replace")

    def remove(self) -> None:
        """Remove what pw.x wrote there, and nothing else: the folder may hold more."""
        self._remove(*_STATE, *_RESULTS)

    def remove_state(self) -> None:
        """Remove what a restart would go on from; the results stay, and so does the density.

        Left over, it is taken for the state of whatever is stopped here next.
        """
        self._remove(*_STATE)

    def _remove(self, *names: str) -> None:
        for name in names:
            for path in self.outdir.glob(f"{self.prefix}.{name}"):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)
