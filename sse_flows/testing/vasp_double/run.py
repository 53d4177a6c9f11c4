"""A run from its inputs to its last line."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np

from sse_flows.testing.vasp_double import files
from sse_flows.testing.vasp_double.charges import oxidation_states
from sse_flows.testing.vasp_double.crystal import Crystal
from sse_flows.testing.vasp_double.faults import Fault, Faults
from sse_flows.testing.vasp_double.forcefield import Model, make_model
from sse_flows.testing.vasp_double.mark import VERSION
from sse_flows.testing.vasp_double.model import Evaluated
from sse_flows.testing.vasp_double.outcar import Outcar
from sse_flows.testing.vasp_double.relax import Freedom, steps
from sse_flows.testing.vasp_double.response import field_response, hessian, normal_modes
from sse_flows.testing.vasp_double.setup import InputError, Setup, ranks, read_setup, refuse
from sse_flows.testing.vasp_double.symmetry import find_symmetry
from sse_flows.testing.vasp_double.vasprun import Vasprun

SECONDS_VARIABLE = "VASP_DOUBLE_STEP_SECONDS"
"""How long each electronic step is made to take."""

_RANK_VARIABLES = ("SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")
_FIRST_ERROR = 1.0  # eV/atom: how wrong the first electronic step is
_GAIN = 0.1  # by which each further one shrinks it


class Stopped(Exception):
    """VASP gives up or is told to stop at once."""

    def __init__(self, status: int = 0):
        super().__init__(status)
        self.status = status


def main(folder: Path, program: str = "vasp_std") -> int:
    """Run in a folder, as one of VASP's programs, and return the exit status."""
    if any(os.environ.get(name, "0") != "0" for name in _RANK_VARIABLES):
        return 0  # another process of the same run writes the files
    files.say(f" running {ranks():4d} mpi-ranks")
    files.say(f" vasp.{VERSION}")
    try:
        setup = read_setup(folder)
        refuse(setup, program)
    except InputError as error:
        files.say(f" ERROR: {error}")
        return 1
    files.say(f" {len(setup.crystal.counts)} types, {len(setup.crystal.species)} ions")
    run = Run(setup, make_model(setup))
    try:
        run.start()
        run.ionic_steps()
        run.finish()
    except Stopped as stopped:
        return stopped.status
    return 0


class Run:
    """One run with its files.

    Parameters
    ----------
    setup
        Inputs.
    model
        Source of forces.
    """

    def __init__(self, setup: Setup, model: Model):
        self.setup = setup
        self.model = model
        self.folder = setup.folder
        self.outcar = Outcar(self.folder / "OUTCAR", setup)
        self.vasprun = Vasprun(self.folder / "vasprun.xml", setup)
        self.log = files.Log(self.folder / "OSZICAR")
        self.faults = Faults(self.folder, _kind(setup))
        self.pause = float(os.environ.get(SECONDS_VARIABLE) or 0.0)
        self.began = time.monotonic()
        self.crystal = setup.crystal
        self.exhausts_electronic = self.faults.strikes("nelm")
        self.exhausts_ionic = self.faults.strikes("nsw")
        self.jumps = self.faults.strikes("potim")
        self.lift = self._lift()
        self.entropy = 0.01 * len(setup.crystal.species) * self.faults.strikes("large_entropy")

    def start(self) -> None:
        """Headers of all files."""
        self.outcar.header(ranks())
        self.vasprun.header()
        files.say(" entering main loop")
        self._fail_at("start")

    def ionic_steps(self) -> None:
        """Geometry after geometry, until it is good or NSW is used up."""
        last_energy: float | None = None
        for number, (crystal, true, largest) in enumerate(self._geometries(), 1):
            began = time.monotonic()
            result = true.shifted(self.lift + self._jump(number))
            energy = result.energy
            self.vasprun.open_step()
            self._electronic_steps(number, energy)
            self.crystal = crystal
            arrived = self._arrived(number, energy, last_energy, largest)
            stop = self._told("LSTOP")
            self._write_step(number, crystal, result, time.monotonic() - began)
            self._fail_at("ionic")
            if arrived or stop or number >= max(1, self.setup.incar.nsw):
                self._last_step(arrived, stop)
                return
            self.vasprun.close_step()
            last_energy = energy

    def finish(self) -> None:
        """Ends of all files."""
        files.write_electrons(self.setup)
        files.write_densities(self.setup)
        files.say(" writing wavefunctions")
        self.vasprun.footer(self.crystal)
        self.log.close()
        self.outcar.footer(time.monotonic() - self.began)
        for name in ("vasprun.xml", "OUTCAR"):
            if self.faults.strikes("truncated_" + name.split(".", maxsplit=1)[0].lower()):
                size = (self.folder / name).stat().st_size
                os.truncate(self.folder / name, size // 2)

    def _geometries(self) -> Iterator[tuple[Crystal, Evaluated, float]]:
        incar = self.setup.incar
        if not incar.relaxes:
            yield self.crystal, self.model.evaluate(self.crystal), 0.0
            return
        yield from steps(self.crystal, self._symmetric(), Freedom.of(incar.integer("ISIF", 2)))

    def _symmetric(self) -> Callable[[Crystal], Evaluated]:
        """The model with its forces made symmetric, unless ISYM says otherwise."""
        incar = self.setup.incar
        if incar.integer("ISYM", 2) <= 0:
            return self.model.evaluate
        symmetry = find_symmetry(self.crystal, incar.real("SYMPREC", 1e-5))
        return lambda crystal: symmetry.symmetrized(crystal, self.model.evaluate(crystal))

    def _electronic_steps(self, ionic: int, energy: float) -> None:
        """Energies that approach the true one by a factor ten a step."""
        setup, before = self.setup, 0.0
        error = _FIRST_ERROR * len(setup.crystal.species)
        self.log.ionic_loop()
        for number in count(1):
            time.sleep(self.pause)
            error *= _GAIN
            near = error < setup.ediff and number > 2 and not self.exhausts_electronic
            last = near or number >= setup.most_electronic_steps
            value = energy if last else energy + error
            self.log.electronic_step(number, value, value - before)
            self.outcar.electronic_step(ionic, number, value, self.entropy, self.pause)
            self.vasprun.electronic_step(value, self.entropy, last)
            before = value
            if number == 2 and ionic == 1:
                self._fail_at("electronic")
            if last:
                self.outcar.converged(near)
                return
            if self._told("LABORT"):
                self._abort()

    def _write_step(self, number: int, crystal: Crystal, result: Evaluated, seconds: float) -> None:
        self.outcar.ionic_step(crystal, result, seconds)
        self.vasprun.ionic_step(crystal, result)
        self.log.ionic_step(number, result.energy, files.total_moment(self.setup))
        files.write_geometry(self.folder, crystal, number)

    def _arrived(self, number: int, energy: float, before: float | None, largest: float) -> bool:
        """Whether EDIFFG is reached; as in VASP not by an energy in the first step."""
        limit = self.setup.ediffg
        if not self.setup.incar.relaxes:
            return True
        if self.exhausts_ionic or limit == 0 or (self.jumps and number < 3):
            return False
        if limit < 0:
            return largest < -limit
        return before is not None and abs(energy - before) < limit

    def _last_step(self, arrived: bool, stop: bool) -> None:
        """Responses and electrons, which VASP writes once."""
        incar = self.setup.incar
        if arrived and incar.relaxes:
            self._say(" reached required accuracy - stopping structural energy minimisation")
        force_constants = None
        if incar.vibrates:
            force_constants = hessian(self.crystal, self.model.evaluate)
            self.vasprun.modes(*normal_modes(force_constants, self.setup.masses))
        if incar.responds:
            states = np.array(oxidation_states(self.setup.potentials, self.setup.crystal.counts))
            response = field_response(self.crystal, states, self.setup.bands.gap, force_constants)
            self.outcar.response(response)
            self.vasprun.response(response)
        if stop:
            self._say(" soft stop encountered!  aborting job ...")
            (self.folder / "STOPCAR").unlink(missing_ok=True)
        self.vasprun.electrons()
        self.vasprun.close_step()

    def _abort(self) -> None:
        """LABORT: end after this electronic step, with files closed and nothing converged."""
        self._say(" hard stop encountered!  aborting job ...")
        (self.folder / "STOPCAR").unlink(missing_ok=True)
        self.vasprun.write(" </calculation>", "</modeling>")
        self.outcar.footer(time.monotonic() - self.began)
        raise Stopped

    def _say(self, line: str) -> None:
        self.outcar.write(line)
        files.say(line)

    def _told(self, tag: str) -> bool:
        path = self.folder / "STOPCAR"
        if not path.is_file():
            return False
        text = path.read_text().upper().replace(" ", "")
        return any(f"{tag}={true}" in text for true in (".TRUE.", ".T.", "T"))

    def _lift(self) -> float:
        """What makes the energy positive."""
        if not self.faults.strikes("positive_energy"):
            return 0.0
        return abs(self.model.evaluate(self.crystal).energy) + 100.0

    def _jump(self, number: int) -> float:
        """Energy that shoots up in the second step, by 2 eV an atom."""
        return 2.0 * len(self.setup.crystal.species) if self.jumps and number == 2 else 0.0

    def _fail_at(self, moment: str) -> None:
        fault = self.faults.at(moment)
        if fault is not None:
            _fail(fault)


def _kind(setup: Setup) -> str:
    if setup.incar.responds or setup.incar.vibrates:
        return "response"
    return "relax" if setup.incar.relaxes else "static"


def _fail(fault: Fault) -> None:
    """End as the fault says."""
    stream = sys.stderr if fault.stream == "err" else sys.stdout
    if fault.message:
        print(f" {fault.message}", file=stream, flush=True)
    if fault.ending == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault.ending == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while fault.ending == "hang":
        time.sleep(60)
    raise Stopped(fault.status)
