"""One calculation of VASP in a folder: started anew, or gone on with where it stopped."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from atomate2 import SETTINGS
from atomate2.common.files import gzip_output_folder
from atomate2.vasp.files import write_vasp_input_set
from atomate2.vasp.jobs.base import _FILES_TO_ZIP
from atomate2.vasp.run import DEFAULT_HANDLERS, run_vasp
from custodian.custodian import CustodianError, ErrorHandler
from custodian.vasp.handlers import LargeSigmaHandler, LrfCommutatorHandler
from monty.json import MontyEncoder
from pymatgen.core import Structure
from pymatgen.io.vasp import Incar

from sse_flows.codes.vasp.documents import VaspDocument, corrections_of, read_document
from sse_flows.codes.vasp.faults import failure, last_words
from sse_flows.codes.vasp.inputs import LINEAR_RESPONSE_REFUSES, Inputs, check_structure
from sse_flows.codes.vasp.launch import Launch
from sse_flows.codes.vasp.potcars import check_same
from sse_flows.codes.vasp.presets import PARALLEL
from sse_flows.codes.vasp.record import BULKY, Record
from sse_flows.codes.vasp.symmetry import right_handed
from sse_flows.codes.vasp.walltime import (
    CHECK_INTERVAL,
    STOPCAR,
    StoppedHandler,
    TimeHandler,
    refuse_to_start_late,
)
from sse_flows.codes.walltime import seconds_left
from sse_flows.errors import OutOfTimeError, SSEError, one_line

SAME = 1e-4
"""Å; what a POSCAR, with its digits, may differ from a structure by."""

_LOGGERS = ("custodian", "VaspErrorHandler", "VasprunXMLValidator")  # faults are told by errors
_POLL = 1.0  # s; custodian's own 10 s would be most of a small calculation


@dataclass(frozen=True)
class Calculation:
    """What to compute and how.

    Attributes
    ----------
    label
        Name of the task.
    inputs, launch
        See :mod:`sse_flows.codes.vasp.inputs` and :class:`Launch`.
    run_kwargs, document_kwargs
        For atomate2's run_vasp and emmet's TaskDoc.from_directory.
    """

    label: str
    inputs: Inputs
    launch: Launch
    run_kwargs: Mapping[str, Any] = field(default_factory=dict)
    document_kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def incar(self) -> dict[str, Any]:
        """INCAR but for what depends on the structure."""
        return self.inputs.config_dict["INCAR"]

    @property
    def is_ionic(self) -> bool:
        """Whether atoms move."""
        return self.incar.get("NSW", 0) > 0

    def compute(self, folder: Path, structure: Structure) -> VaspDocument:
        """Compute a structure in a folder, or go on there.

        Raises
        ------
        OutOfTimeError
            The batch job is about to end; run again, the calculation goes on.
        SSEError
            VASP failed and no handler could mend it.
        """
        structure = right_handed(structure)
        check_structure(structure, self.inputs)
        folder.mkdir(parents=True, exist_ok=True)
        record = Record(folder, self._fingerprint(structure))
        with contextlib.chdir(folder):
            if record.state == "done":
                self._clean(folder)  # a worker may have died while it zipped
                return self._read(folder)
            return self._run(folder, record.start(structure, self.is_ionic), record)

    def _run(self, folder: Path, structure: Structure, record: Record) -> VaspDocument:
        self._write(structure)
        record.write("running")
        try:
            refuse_to_start_late(folder)
            self._start_vasp()
            document = self._read(folder)
            _check_converged(document, folder)
            if not self.is_ionic:
                _check_same_structure(document, structure, folder)
        except OutOfTimeError:
            record.write("stopped")
            raise
        except CustodianError as error:
            # a crash that no handler knows says nothing against the geometry it came to
            record.write("failed" if corrections_of(folder) else "crashed")
            raise failure(error, folder) from error
        except SSEError:
            record.write("failed")
            raise
        record.write("done")
        self._clean(folder)
        return document

    def _read(self, folder: Path) -> VaspDocument:
        try:
            return read_document(folder, self.label, **self.document_kwargs)
        except Exception as error:  # of whatever reads a file that was cut off
            raise SSEError(
                f"VASP's output in {folder} cannot be read ({one_line(error)})",
                mend="Look for a full disk, remove that folder, and run the campaign again",
            ) from error

    def _write(self, structure: Structure) -> None:
        """Write the input; work is shared as this machine wants it."""
        allowed = set(PARALLEL)
        if self.incar.get("LEPSILON"):
            allowed -= LINEAR_RESPONSE_REFUSES
        keys = self.launch.keys(allowed)
        if seconds_left() is not None:  # a start for the next batch job, should this one end
            keys["LWAVE"] = True
        check_same(self.inputs.potcars, self.inputs.potcar_functional or "PBE")
        generator = copy.deepcopy(self.inputs)
        write_vasp_input_set(structure, generator, apply_incar_updates=False)
        incar = Incar.from_file("INCAR")
        if not self.is_ionic:
            incar.setdefault("IBRION", -1)  # VASP's default; pymatgen leaves it out, emmet asks
        incar.update(keys)
        incar.write_file("INCAR")

    def _start_vasp(self) -> None:
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL)
        Path(STOPCAR).unlink(missing_ok=True)
        standard, gamma = self.launch.leashed()
        options = {
            "vasp_cmd": standard,
            "vasp_gamma_cmd": gamma,
            "handlers": make_handlers(self.is_ionic, str(Path.cwd())),
            "custodian_kwargs": {
                "polling_time_step": _POLL,
                "monitor_freq": int(CHECK_INTERVAL / _POLL),
            },
        }
        try:
            run_vasp(**{**options, **self.run_kwargs})
        except (SSEError, CustodianError):
            raise
        except Exception as error:  # handlers read files that a failed run left incomplete
            raise SSEError(
                f"custodian could not treat a fault ({one_line(error)}) in {Path.cwd()}; VASP "
                f"said: {last_words(Path.cwd())}",
                mend="Look at vasp.out there, and set code.incar accordingly",
            ) from error

    def _clean(self, folder: Path) -> None:
        """Remove what nobody reads again, and zip as atomate2 is told to."""
        wanted = {"WAVECAR": "LWAVE", "CHGCAR": "LCHARG", "CHG": "LCHARG"}
        for name in BULKY:
            if not self.incar.get(wanted.get(name, "")):
                (folder / name).unlink(missing_ok=True)
        for half in folder.glob("*.gz"):
            if half.with_suffix("").is_file():
                half.unlink()
        gzip_output_folder(folder, SETTINGS.VASP_ZIP_FILES, _FILES_TO_ZIP)

    def _fingerprint(self, structure: Structure) -> str:
        content = json.dumps([self.inputs, structure], cls=MontyEncoder, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()


def make_handlers(ionic: bool, folder: str = "") -> list[ErrorHandler]:
    """Handlers of custodian as atomate2 uses them, and those of the time left.

    They are fresh ones: custodian's count what they did.

    Parameters
    ----------
    ionic
        Whether atoms move.
    folder
        Of the calculation.
    """
    clock = TimeHandler(ionic)
    standard = [copy.deepcopy(handler) for handler in DEFAULT_HANDLERS]
    for handler in standard:
        if isinstance(handler, LargeSigmaHandler):
            # it reads the whole OUTCAR, 2 s for 18 MB: too much for every look at the clock
            handler.is_monitor = False
    return [StoppedHandler(clock, folder), *standard, LrfCommutatorHandler(), clock]


def _check_converged(document: VaspDocument, folder: Path) -> None:
    if str(getattr(document.state, "value", document.state)) != "successful":
        raise SSEError(
            f"VASP ended unconverged in {folder}",
            mend="Set code.incar (ALGO, NELM), or raise relax.steps or relax.force_max",
        )


def _check_same_structure(document: VaspDocument, asked: Structure, folder: Path) -> None:
    """Refuse forces of another structure, as a handler that changes the POSCAR leaves them."""
    found: Any = document.structure
    same = [s.specie.symbol for s in found] == [s.specie.symbol for s in asked]
    if same:
        away = found.frac_coords - asked.frac_coords
        away -= np.round(away)
        moved = [found.lattice.matrix - asked.lattice.matrix, away @ asked.lattice.matrix]
        same = max(float(np.abs(part).max()) for part in moved) < SAME
    if not same:
        raise SSEError(
            f"VASP computed another structure than was asked for in {folder}",
            mend="Look at POSCAR and custodian.json there, remove that folder, and run the "
            "campaign again",
        )
