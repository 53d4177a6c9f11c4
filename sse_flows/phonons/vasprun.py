"""Forces and Hessians of VASP runs (vasprun.xml), checked against the supercell that they are of.

A run is refused rather than repaired: a cut off file, an electronic loop that hit NELM, atoms in
another order or a supercell with the wrong displacement all give plausible but wrong phonons.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons.entries import HESSIAN_RUN, Entry, malformed, run_number

if TYPE_CHECKING:
    from phonopy.structure.atoms import PhonopyAtoms

TOLERANCE: float = 1e-3
"""How far an atom may stand from its place in the supercell, Å; vasprun.xml has eight digits, and
displacements are ten times as long."""

_MEND_ORDER = "Run VASP on the POSCARs that phonopy wrote, elements grouped and in its order"


@dataclass(frozen=True)
class Run:
    """What is taken of a vasprun.xml.

    Attributes
    ----------
    name
        Its name in the folder.
    symbols, cell, positions
        Elements (n,), lattice vectors in rows (3, 3), Å, and reduced positions (n, 3).
    forces
        eV/Å, (n, 3) of every ionic step.
    settings
        Version and INCAR tags, by name.
    """

    name: str
    symbols: list[str]
    cell: NDArray[np.float64]
    positions: NDArray[np.float64]
    forces: list[NDArray[np.float64]]
    settings: dict[str, str]


def read_run(entry: Entry, name: str) -> Run:
    """Read a vasprun.xml of an entry.

    Raises
    ------
    SSEError
        It is cut off, its electronic loop ran into NELM, or its forces are no numbers.
    """
    from pymatgen.io.vasp.outputs import Vasprun

    with warnings.catch_warnings():  # what it would warn of is refused below
        warnings.simplefilter("ignore")
        try:
            run = Vasprun(
                str(entry.paths[name]),
                parse_dos=False,
                parse_eigen=False,
                parse_potcar_file=False,
            )
            forces = [np.asarray(step["forces"], dtype=float) for step in run.ionic_steps]
            loops = [_loop_length(step["electronic_steps"], run) for step in run.ionic_steps]
            most = int(run.parameters.get("NELM", 60))
            start = run.initial_structure
        except Exception as error:  # a parser of foreign files: any exception means it is broken
            raise malformed(entry, name, error) from error
    _check(entry, name, forces, loops, most)
    return Run(
        name,
        list(run.atomic_symbols),
        np.array(start.lattice.matrix),
        np.array(start.frac_coords),
        forces,
        _settings(run),
    )


def _loop_length(steps: list[dict[str, float]], run: Any) -> int:
    """Steps of the electronic loop; in a response run the steps of the response come after it.

    VASP writes three energies a step, and all of them for the first and the last of the loop. The
    loops of the response cannot be told apart here, so whether they converged is not checked.
    """
    response = run.parameters.get("IBRION") in (7, 8) or run.parameters.get("LEPSILON")
    few = {"e_wo_entrp", "e_fr_energy", "e_0_energy"}
    ends = (k for k, step in enumerate(steps[1:], start=2) if set(step) - few)
    return next(ends, len(steps)) if response else len(steps)


def _check(
    entry: Entry, name: str, forces: list[NDArray[np.float64]], loops: list[int], most: int
) -> None:
    problem = None
    if not forces:
        problem = f"{name} holds no forces: the calculation did not get that far"
    elif max(loops) >= most:
        problem = f"{name} is not converged: its electronic loop used all {most} steps of NELM"
    elif not all(np.isfinite(step).all() for step in forces):
        problem = f"{name} holds forces that are NaN or infinite"
    if problem:
        mend = "Run it again to convergence (larger NELM, another ALGO), and import once more"
        raise SSEError(problem, compound=entry.compound_id, mend=mend)


def _settings(run: Any) -> dict[str, str]:
    """Version of VASP and the INCAR tags that matter."""
    names = ("GGA", "ENCUT", "EDIFF", "ISMEAR")
    tags = {f"INCAR {name}": str(run.incar[name]).upper() for name in names if name in run.incar}
    return {"VASP": str(run.vasp_version).strip(), **tags}


def has_displaced_runs(entry: Entry) -> bool:
    """Whether there are runs of displaced supercells."""
    return any(run_number(name) is not None for name in entry.paths)


def displaced_dataset(
    entry: Entry, supercell: PhonopyAtoms, planned: list[dict] | None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Phonopy's displacements and forces from one run a displaced supercell.

    Parameters
    ----------
    entry
        With its runs in ``paths``.
    supercell
        The undisplaced one.
    planned
        Displacements of phonopy_disp.yaml, the k-th of which is that of run k. Without them each
        run's own positions say what was displaced.

    Returns
    -------
    dataset, settings
        ``natom`` and ``first_atoms`` with the residual forces of the undisplaced supercell taken
        off, where a run of it is given; and the settings of the first run.

    Raises
    ------
    SSEError
        A run is missing, unusable, or of another supercell or displacement.
    """
    names = _numbered(entry)
    if planned is not None:
        _check_numbers(entry, set(names) - {0}, len(planned))
    runs = {number: _single_point(entry, name, supercell) for number, name in names.items()}
    residual = runs.pop(0, None)
    if residual is not None:
        _undisplaced(entry, residual, supercell)
    rest = 0.0 if residual is None else residual.forces[-1]
    first_atoms = []
    for number, run in runs.items():
        atom, moved = _displacement(entry, run, supercell)
        if planned is not None:
            moved = _as_planned(entry, run, number, (atom, moved), planned)
        first_atoms.append({"number": atom, "displacement": moved, "forces": run.forces[-1] - rest})
    settings = next(iter(runs.values())).settings if runs else {}
    subtracted = {} if residual is None else {"residual forces": "subtracted"}
    return {"natom": len(supercell), "first_atoms": first_atoms}, {**settings, **subtracted}


def hessian(entry: Entry, supercell: PhonopyAtoms) -> tuple[NDArray[np.float64], dict[str, str]]:
    """Force constants (n_supercell, n_supercell, 3, 3), eV/Å^2, of a run with IBRION 5 to 8.

    Returns
    -------
    force_constants, settings
        And the settings of the run.

    Raises
    ------
    SSEError
        The run is unusable, holds no Hessian of all atoms, or is of another supercell.
    """
    from phonopy.interface.vasp import parse_force_constants

    run = read_run(entry, HESSIAN_RUN)
    _check_cell(entry, run, supercell)
    _undisplaced(entry, run, supercell)
    try:
        constants, _ = parse_force_constants(str(entry.paths[HESSIAN_RUN]))
    except RuntimeError as error:  # none there, or of some of the atoms
        raise SSEError(
            f"{HESSIAN_RUN} holds no Hessian of all atoms ({error})",
            compound=entry.compound_id,
            mend="Give a run with IBRION 5 to 8 of the supercell without selective dynamics, or "
            "one vasprun.xml a displaced supercell in disp-001/, disp-002/ ...",
        ) from error
    except Exception as error:  # what its parsing meets
        raise malformed(entry, HESSIAN_RUN, error) from error
    return np.asarray(constants), run.settings


def _numbered(entry: Entry) -> dict[int, str]:
    """Runs by the number of their displacement, in ascending order."""
    found: dict[int, str] = {}
    for name in sorted(entry.paths):
        number = run_number(name)
        if number is None:
            continue
        if number in found:
            raise SSEError(
                f"{found[number]} and {name} are both of displacement {number}",
                compound=entry.compound_id,
                mend="Remove the one that is not meant",
            )
        found[number] = name
    return dict(sorted(found.items()))


def _check_numbers(entry: Entry, found: set[int], planned: int) -> None:
    missing = sorted(set(range(1, planned + 1)) - found)
    beyond = sorted(found - set(range(1, planned + 1)))
    if missing:
        raise SSEError(
            f"no vasprun.xml of displacement {', '.join(map(str, missing))} of {planned}",
            compound=entry.compound_id,
            mend="Put it into disp-NNN/vasprun.xml, NNN being the number of phonopy's POSCAR-NNN",
        )
    if beyond:
        raise SSEError(
            f"a vasprun.xml of displacement {beyond[0]}, but there are {planned}",
            compound=entry.compound_id,
            mend="Give the phonopy_disp.yaml that the POSCARs were written with",
        )


def _single_point(entry: Entry, name: str, supercell: PhonopyAtoms) -> Run:
    run = read_run(entry, name)
    _check_cell(entry, run, supercell)
    if len(run.forces) != 1:
        raise SSEError(
            f"{name} holds {len(run.forces)} ionic steps: the atoms were moved",
            compound=entry.compound_id,
            mend="Run the displaced supercells with NSW = 0 (IBRION = -1)",
        )
    return run


def _check_cell(entry: Entry, run: Run, supercell: PhonopyAtoms) -> None:
    """Refuse a run of another number of atoms, elements or cell."""
    count, wanted = len(run.symbols), len(supercell)
    mend = _MEND_ORDER
    if count != wanted or any(step.shape != (wanted, 3) for step in run.forces):
        problem = f"{run.name} is of {count} atoms, the supercell has {wanted}"
        mend = "Give the unit cell and the supercell matrix (DIM) that the run was made with"
    elif sorted(run.symbols) != sorted(supercell.symbols):
        problem = f"{run.name} is of other elements than the supercell"
        mend = "Give the unit cell that the run was made with"
    elif run.symbols != list(supercell.symbols):
        problem = f"{run.name} has its atoms in another order than the supercell"
    elif np.abs(run.cell - supercell.cell).max() > TOLERANCE:
        problem = f"{run.name} has other lattice vectors than the supercell"
        mend = "Give the unit cell that the run was made with, and do not relax the cell"
    else:
        return
    raise SSEError(problem, compound=entry.compound_id, mend=mend)


def _shifts(run: Run, supercell: PhonopyAtoms) -> NDArray[np.float64]:
    """How far every atom stands from its place in the supercell, Å, (n, 3)."""
    reduced = run.positions - supercell.scaled_positions
    return (reduced - np.rint(reduced)) @ supercell.cell


def _undisplaced(entry: Entry, run: Run, supercell: PhonopyAtoms) -> None:
    away = float(np.linalg.norm(_shifts(run, supercell), axis=1).max())
    if away > TOLERANCE:
        raise SSEError(
            f"{run.name} should be of the undisplaced supercell, but an atom stands {away:.3g} Å "
            "from its place",
            compound=entry.compound_id,
            mend=_MEND_ORDER,
        )


def _displacement(
    entry: Entry, run: Run, supercell: PhonopyAtoms
) -> tuple[int, NDArray[np.float64]]:
    """Index of the one displaced atom and its displacement, Å."""
    shifts = _shifts(run, supercell)
    lengths = np.linalg.norm(shifts, axis=1)
    atom = int(lengths.argmax())
    others = np.delete(lengths, atom)
    if len(others) and others.max() > TOLERANCE:
        problem = "more than one atom stands away from its place: displaced, or in another order"
    elif lengths[atom] < TOLERANCE:
        problem = "no atom is displaced"
    else:
        return atom, shifts[atom]
    raise SSEError(f"{run.name}: {problem}", compound=entry.compound_id, mend=_MEND_ORDER)


def _as_planned(
    entry: Entry,
    run: Run,
    number: int,
    found: tuple[int, NDArray[np.float64]],
    planned: list[dict],
) -> NDArray[np.float64]:
    """The displacement of phonopy_disp.yaml, of full precision, if the run is of it."""
    wanted = np.asarray(planned[number - 1]["displacement"], dtype=float)
    if _same(found, planned[number - 1]):
        return wanted
    other = next((k for k, one in enumerate(planned, start=1) if _same(found, one)), None)
    what = "none of phonopy_disp.yaml" if other is None else f"number {other}"
    raise SSEError(
        f"{run.name} should hold displacement {number} but holds {what}",
        compound=entry.compound_id,
        mend="Put each vasprun.xml under the number of the POSCAR-NNN that it was run on",
    )


def _same(found: tuple[int, NDArray[np.float64]], planned: dict) -> bool:
    wanted = np.asarray(planned["displacement"], dtype=float)
    near = min(TOLERANCE, 0.2 * float(np.linalg.norm(wanted)))
    return found[0] == planned["number"] and float(np.linalg.norm(found[1] - wanted)) < near
