"""Lattice dynamics of calculations that others made: the Kyoto phonon database, phonopy, VASP.

The Kyoto database (A. Togo, http://phonondb.mtl.kyoto-u.ac.jp, CC-BY 4.0) keeps for every compound
the unit cell, phonopy.conf (DIM, PRIMITIVE_AXIS), FORCE_SETS and for insulators often BORN. Folders
of a user's own calculations are read alike; units are those of VASP: Å and eV.
"""

from __future__ import annotations

import re

import numpy as np

from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.born import read_born
from sse_flows.phonons.crystal import Crystal, read_conf, read_crystal
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.phonons.entries import PHONOPY_YAML, Entry
from sse_flows.phonons.force_sets import force_constants_of

_FUNCTIONALS = {"PS": "PBEsol", "PE": "PBE", "91": "PW91", "CA": "LDA"}


def entry_dynamics(entry: Entry, *, with_bands: bool = True) -> LatticeDynamics:
    """Lattice dynamics of an entry.

    Parameters
    ----------
    entry
        Its files.
    with_bands
        Whether to compute bands along the path of high symmetry.

    Raises
    ------
    SSEError
        A file is missing or malformed, or the files do not fit each other; names the compound.
    """
    from sse_flows.phonons.modes import lattice_dynamics

    crystal = read_crystal(entry)
    constants, primitive_matrix = force_constants_of(entry, crystal)
    nac = crystal.nac
    if "BORN" in entry.files:
        nac = read_born(entry, crystal, primitive_matrix)
    return lattice_dynamics(
        adapter.pymatgen_structure(crystal.unitcell),
        crystal.supercell_matrix,
        constants,
        primitive_matrix=primitive_matrix,
        born=nac.get("born"),
        dielectric=nac.get("dielectric"),
        compound_id=entry.compound_id,
        method=method_of(entry, crystal),
        provenance=provenance_of(entry, crystal),
        with_bands=with_bands,
    )


def method_of(entry: Entry, crystal: Crystal) -> str:
    """What gave the forces, for the document; of a user's own calculation once they are read."""
    if "VASP" in crystal.history:
        functional = _FUNCTIONALS.get(crystal.history.get("INCAR GGA", ""))
        code = f"VASP {crystal.history['VASP']}"
        return f"{f'{functional}, ' if functional else ''}{code} ({entry.name})"
    if entry.origin == "phonopy" and not any(name in entry.files for name in PHONOPY_YAML):
        return f"phonopy files of {entry.name}"
    if any(name in entry.files for name in PHONOPY_YAML):
        return f"phonopy.yaml of {entry.name}"
    functional = _FUNCTIONALS.get(_incar(entry).get("GGA", ""), "VASP")
    date = re.search(r"-(\d{4})(\d\d)(\d\d)$", entry.name)
    edition = f" {'-'.join(date.groups())}" if date else ""
    return f"{functional}, VASP (Kyoto phonon database{edition})"


def provenance_of(entry: Entry, crystal: Crystal) -> dict[str, str]:
    """Settings that the entry was made with, by name."""
    tags = _incar(entry)
    kept = {f"INCAR {tag}": tags[tag] for tag in ("GGA", "ENCUT", "EDIFF", "ISMEAR") if tag in tags}
    points = entry.files.get("KPOINTS-force", "").split("\n")[2:4]
    if len(points) == 2:
        kept["k-points of the supercell"] = " ".join(" ".join(points).split())
    titles = re.findall(r"PAW_\w+ [^<]*?(?=\s*</c>)", entry.files.get("PAW_dataset.txt", ""))
    if titles:
        kept["potentials"] = "; ".join(titles)
    matrix = crystal.supercell_matrix.ravel().tolist()
    return {
        "entry": entry.name,
        "entry sha256": entry.digest,
        "supercell": " ".join(map(str, matrix)),
        **_displacements(crystal),
        **kept,
        **crystal.history,
        "non-analytic correction": "BORN" if "BORN" in entry.files or crystal.nac else "none",
    }


def _displacements(crystal: Crystal) -> dict[str, str]:
    """Number and length of the displacements, where forces were given."""
    if crystal.dataset is None or "first_atoms" not in crystal.dataset:
        return {}
    atoms = crystal.dataset["first_atoms"]
    length = float(np.mean([np.linalg.norm(one["displacement"]) for one in atoms]))
    return {"displaced supercells": str(len(atoms)), "displacement": f"{length:.4g} Å"}


def _incar(entry: Entry) -> dict[str, str]:
    return read_conf(entry.files.get("INCAR-force", ""))
