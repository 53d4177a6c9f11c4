"""vasprun.xml files, written from forces or force constants as VASP writes them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
from phonopy import Phonopy
from phonopy.interface.vasp import get_vasp_structure_lines
from phonopy.physical_units import get_physical_units

FEW = ("e_fr_energy", "e_wo_entrp", "e_0_energy")
ALL = ("alphaZ", "ewald", *FEW)


def vasprun(cell, forces, *, steps=5, nelm=60, hessian=None, unit=None, ionic=1, ibrion=-1) -> str:
    """Text of a vasprun.xml; `forces` (n, 3) eV/Å, `hessian` force constants (n, n, 3, 3)."""
    atoms = "".join(f"<rc><c>{s}</c><c>1</c></rc>" for s in cell.symbols)
    kinds = list(dict.fromkeys(cell.symbols))
    masses = dict(zip(cell.symbols, cell.masses, strict=True))
    types = "".join(
        f"<rc><c>{list(cell.symbols).count(s)}</c><c>{s}</c><c>{masses[s]:.8f}</c><c>1.0</c>"
        f"<c>PAW_PBE {s} 01Jan2000</c></rc>"
        for s in kinds
    )
    step = f"<calculation>{_loop(steps)}{_structure(cell)}{_varray('forces', forces)}"
    step += f"<energy>{_energies(FEW)}</energy></calculation>"
    return (
        '<?xml version="1.0" encoding="ISO-8859-1"?>\n<modeling>\n<generator>'
        '<i name="program" type="string">vasp </i>\n<i name="version" type="string">6.4.2  </i>\n'
        '</generator><incar><i type="string" name="GGA">PS</i><i name="ENCUT">600.0</i></incar>'
        '<kpoints><generation param="Gamma"><v type="int" name="divisions">2 2 2</v></generation>'
        f'</kpoints><parameters><i type="int" name="NELM">{nelm}</i>'
        f'<i type="int" name="IBRION">{ibrion}</i><i type="int" name="NSW">0</i>'
        '<separator name="response functions"><i type="int" name="NELM">1</i></separator>'
        "</parameters>"
        f'<atominfo><array name="atoms"><set>{atoms}</set></array>'
        f'<array name="atomtypes"><set>{types}</set></array></atominfo>\n'
        f"{_structure(cell, 'initialpos')}{step * ionic}{_dynmat(cell, hessian, unit)}"
        f"{_structure(cell, 'finalpos')}</modeling>\n"
    )


def _loop(steps: int) -> str:
    """Electronic steps; only the first and the last hold all energies."""
    names = [ALL if i in (0, steps - 1) else FEW for i in range(steps)]
    return "".join(f"<scstep><energy>{_energies(one)}</energy></scstep>" for one in names)


def _energies(names) -> str:
    return "".join(f'<i name="{name}"> -1.0 </i>' for name in names)


def _varray(name: str, rows) -> str:
    lines = (f"<v> {' '.join(f'{x:.8f}' for x in row)} </v>" for row in np.asarray(rows))
    return f'<varray name="{name}">\n' + "\n".join(lines) + "</varray>\n"


def _structure(cell, name: str = "") -> str:
    head = f'<structure name="{name}">' if name else "<structure>"
    basis = _varray("basis", cell.cell)
    places = _varray("positions", cell.scaled_positions)
    return f"{head}<crystal>{basis}</crystal>{places}</structure>\n"


def _dynmat(cell, constants, unit: str | None) -> str:
    if constants is None:
        return ""
    root = np.sqrt(np.outer(cell.masses, cell.masses))
    matrix = -np.asarray(constants) / root[: len(constants), : len(constants[0]), None, None]
    if unit == "THz^2":
        matrix = matrix * get_physical_units().DefaultToTHz ** 2
    flat = matrix.transpose(0, 2, 1, 3).reshape(3 * matrix.shape[0], -1)
    said = f'<i type="string" name="unit">{unit}</i>' if unit else ""
    return f"<dynmat>{said}{_varray('hessian', flat)}</dynmat>"


def displaced_runs(phonon: Phonopy) -> dict[int, str]:
    """vasprun.xml by number of the displacement, 0 the undisplaced one without any force."""
    cells = enumerate(phonon.supercells_with_displacements, start=1)
    runs = {k: vasprun(cell, phonon.forces[k - 1]) for k, cell in cells}
    return {0: vasprun(phonon.supercell, np.zeros((len(phonon.supercell), 3))), **runs}


def disp_yaml(phonon: Phonopy, file: Path) -> None:
    """phonopy_disp.yaml: cells and displacements without forces."""
    phonon.save(file, settings={"force_sets": False, "displacements": True})


def poscar(phonon: Phonopy) -> str:
    """The unit cell as POSCAR."""
    return "\n".join(get_vasp_structure_lines(phonon.unitcell))


def write(path: Path, text: str) -> None:
    """Write a run, packed where the name ends in .gz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
