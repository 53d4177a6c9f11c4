"""Phonons of the Materials Project: what mp-api gives becomes a PhononDOS or a LatticeDynamics.

The Materials Project (CC-BY 4.0) holds phonons by DFPT (abinit; G. Petretto et al., Sci. Data 5,
180065, 2018), of which the DOS is given, and by displaced supercells (phonopy, pheasy) with force
constants. Frequencies are in THz and densities in 1/THz there, meV and 1/meV here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pymatgen.core import Structure

from sse_flows.errors import SSEError
from sse_flows.phonons.document import LatticeDynamics, PhononDOS
from sse_flows.units import THZ_TO_MEV

Method = Literal["phonopy", "pheasy", "dfpt"]

METHODS: tuple[Method, ...] = ("phonopy", "pheasy", "dfpt")
"""How the phonons were computed, in order of preference: the first two have force constants."""

SUMMARY_FIELDS = (
    "material_id",
    "phonon_IDs",
    "band_gap",
    "formation_energy_per_atom",
    "energy_above_hull",
)
"""What is asked for of each material."""

TASK_FIELDS = (
    "structure",
    "supercell_matrix",
    "primitive_matrix",
    "born",
    "epsilon_static",
    "epsilon_electronic",
    "total_dft_energy",
    "code",
    "last_updated",
)
"""What is asked for of each phonon calculation."""

MAX_CENTER_GAP: float = 0.05
"""Largest relative difference between the total band centres of the force constants and of the
published DOS; beyond it the force constants are not read as they are meant."""

_IDS_AT_ONCE = 200  # mp-api's limit


@dataclass(frozen=True)
class Listing:
    """Phonons that the Materials Project holds of a material.

    Attributes
    ----------
    material_id
        Id of the material.
    method, phonon_id
        How they were computed, and id of the calculation.
    properties
        `band_gap` (eV), `formation_energy` and `energy_above_hull` (eV/atom) as far as known.
    """

    material_id: str
    method: Method
    phonon_id: str
    properties: dict[str, float] = field(default_factory=dict)


def list_phonons(
    session: Any,
    ids: Sequence[str] = (),
    chemsys: Sequence[str] = (),
    method: Method | None = None,
) -> tuple[list[Listing], dict[str, SSEError]]:
    """Which of some materials have phonons.

    Parameters
    ----------
    session
        An open client of mp-api.
    ids, chemsys
        Material ids, and chemical systems such as ``"Li-O"``; ``*`` stands for any element.
    method
        Only phonons of this method; by default the first of ``METHODS`` that there is.

    Returns
    -------
    listings, refused
        One a material; and ids that were asked for but have none. Materials of a system without
        phonons are passed over.
    """
    search = session.materials.summary.search
    found = []
    for start in range(0, len(ids), _IDS_AT_ONCE):
        part = list(ids[start : start + _IDS_AT_ONCE])
        found += search(material_ids=part, fields=list(SUMMARY_FIELDS))
    if chemsys:
        found += search(chemsys=list(chemsys), fields=list(SUMMARY_FIELDS))
    known = {str(get_field(doc, "material_id")): doc for doc in found}
    listings = {name: _listing(name, doc, method) for name, doc in known.items()}
    mend = "Leave it out, or ask for another --method; materialsproject.org shows what there is"
    what = f"{method} phonons" if method else "phonons"
    refused = {
        name: SSEError(f"the Materials Project holds no {what} of it", compound=name, mend=mend)
        for name in ids
        if listings.get(name) is None
    }
    return [one for one in listings.values() if one is not None], refused


def _listing(name: str, doc: Any, method: Method | None) -> Listing | None:
    by_method = {
        str(getattr(key, "value", key)): value
        for key, value in (get_field(doc, "phonon_IDs") or {}).items()
    }
    names = {
        "band_gap": "band_gap",
        "formation_energy_per_atom": "formation_energy",
        "energy_above_hull": "energy_above_hull",
    }
    values = {ours: get_field(doc, theirs) for theirs, ours in names.items()}
    for wanted in METHODS if method is None else (method,):
        if by_method.get(wanted):
            known = {key: float(value) for key, value in values.items() if value is not None}
            return Listing(name, wanted, str(by_method[wanted][0]), known)
    return None


def fetch_task(session: Any, listing: Listing) -> Any:
    """The phonon document of a listing, without its DOS and force constants.

    Raises
    ------
    SSEError
        The Materials Project lists it but does not hold it.
    """
    docs = session.materials.phonon.search(
        identifiers=[listing.phonon_id],
        phonon_method=listing.method,
        fields=list(TASK_FIELDS),
    )
    if not docs:
        raise SSEError(
            f"the Materials Project lists phonons {listing.phonon_id} but holds none",
            compound=listing.material_id,
            mend="Try again after its next release, or leave the material out",
        )
    return docs[0]


def phonon_dos(task: Any, dos: Any, listing: Listing) -> PhononDOS:
    """The published DOS as a document.

    Parameters
    ----------
    task, dos
        emmet's ``PhononBSDOSTask`` and ``PhononDOS``, or their plain data.
    listing
        What they are of.

    Raises
    ------
    SSEError
        There is no structure, or the DOS is malformed.
    """
    structure = _structure(get_field(dos, "structure") or get_field(task, "structure"), listing)
    energies = np.asarray(get_field(dos, "frequencies"), dtype=float) * THZ_TO_MEV
    densities = np.asarray(get_field(dos, "densities"), dtype=float) / THZ_TO_MEV
    given = get_field(dos, "projected_densities")
    projected = None if not given else np.asarray(given, dtype=float) / THZ_TO_MEV
    remarks = {}
    if projected is not None and projected.shape != (len(structure), len(energies)):
        shape = " x ".join(map(str, projected.shape))
        remarks["projections"] = f"left out: {shape} values for {len(structure)} sites"
        projected = None
    _check_dos(listing, energies, densities, projected)
    modes = densities * np.gradient(energies)
    return PhononDOS(
        compound_id=listing.material_id,
        formula=structure.composition.reduced_formula,
        structure=structure,
        energies=energies.tolist(),
        densities=densities.tolist(),
        projected_densities=None if projected is None else projected.tolist(),
        negative_share=float(modes[energies < 0].sum() / modes.sum()),
        method=_method(task, listing),
        source_id=listing.phonon_id,
        provenance={**_provenance(task, listing), **remarks},
    )


def _check_dos(
    listing: Listing,
    energies: NDArray[np.float64],
    densities: NDArray[np.float64],
    projected: NDArray[np.float64] | None,
) -> None:
    problem = None
    if energies.ndim != 1 or len(energies) < 2 or energies.shape != densities.shape:
        problem = f"{energies.shape} frequencies and {densities.shape} densities"
    elif not (np.isfinite(energies).all() and np.isfinite(densities).all()):
        problem = "NaN or infinite values"
    elif not (np.diff(energies) > 0).all():
        problem = "frequencies that do not ascend"
    elif not densities.max() > 0:
        problem = "no modes"
    elif projected is not None and not np.isfinite(projected).all():
        problem = "projections that are NaN or infinite"
    if problem:
        raise SSEError(
            f"the DOS of the Materials Project has {problem}",
            compound=listing.material_id,
            mend="Leave the material out, and report it to the Materials Project",
        )


def dynamics_of(
    task: Any, constants: Any, listing: Listing, published: PhononDOS | None = None
) -> LatticeDynamics:
    """Lattice dynamics of the force constants that the Materials Project gives.

    Parameters
    ----------
    task
        emmet's ``PhononBSDOSTask`` or its plain data: structure, supercell and primitive matrices,
        Born charges and dielectric tensor.
    constants
        Force constants, eV/Å^2, full or compact, in phonopy's order of atoms.
    listing
        What they are of.
    published
        The DOS, whose total band centre must be that of the force constants.

    Raises
    ------
    SSEError
        Something is missing or does not fit, so that the phonons could not be exact.
    """
    from sse_flows.phonons.modes import lattice_dynamics

    structure = _structure(get_field(task, "structure"), listing)
    supercell, primitive = (_matrix(task, f"{name}_matrix") for name in ("supercell", "primitive"))
    if supercell is None or primitive is None or np.abs(supercell % 1).max() > 1e-6:
        raise _inexact(listing, "the supercell or primitive matrix is missing or not integral")
    born, dielectric = _born(task)
    dynamics = lattice_dynamics(
        structure,
        np.rint(supercell).astype(int),
        np.asarray(constants, dtype=float),
        primitive_matrix=primitive,
        born=born,
        dielectric=dielectric,
        compound_id=listing.material_id,
        method=_method(task, listing),
        energy_per_atom=get_field(task, "total_dft_energy"),
        provenance=_provenance(task, listing),
    )
    center = None if published is None else published.band_center()
    if center is not None and abs(dynamics.band_center["total"] / center - 1) > MAX_CENTER_GAP:
        raise _inexact(
            listing,
            f"their band centre {dynamics.band_center['total']:.2f} meV is not the {center:.2f} "
            "meV of the published DOS",
        )
    return dynamics


def _born(task: Any) -> tuple[Any, Any]:
    """Born charges and high-frequency dielectric tensor, both or neither.

    emmet allows the charges of the inequivalent atoms alone. These are refused further down, for
    their number, and not guessed at.
    """
    born = get_field(task, "born")
    dielectric = get_field(task, "epsilon_electronic") or get_field(task, "epsilon_static")
    return (born, dielectric) if born and dielectric else (None, None)


def _inexact(listing: Listing, reason: str) -> SSEError:
    return SSEError(
        f"the force constants were not used: {reason}",
        compound=listing.material_id,
        mend="Use the DOS alone",
    )


def _method(task: Any, listing: Listing) -> str:
    code = get_field(task, "code") or ("abinit" if listing.method == "dfpt" else "DFT")
    names = {"dfpt": "DFPT", "phonopy": "displaced supercells", "pheasy": "pheasy"}
    return f"{names[listing.method]}, {code} (Materials Project)"


def _provenance(task: Any, listing: Listing) -> dict[str, str]:
    return {
        "entry": f"Materials Project {listing.material_id}",
        "phonon id": listing.phonon_id,
        "phonon method": listing.method,
        "last updated": str(get_field(task, "last_updated")),
    }


def _structure(given: Any, listing: Listing) -> Structure:
    from sse_flows.structures.readers import structure_from_plain

    if isinstance(given, Mapping):
        given = structure_from_plain({"@class": "Structure", **given}, listing.material_id)
    if not isinstance(given, Structure):
        raise SSEError(
            "the Materials Project gives no structure with its phonons",
            compound=listing.material_id,
            mend="Leave the material out, and report it to the Materials Project",
        )
    symbols = [site.specie.symbol for site in given]
    return Structure(given.lattice, symbols, given.frac_coords)


def _matrix(task: Any, name: str) -> NDArray[np.float64] | None:
    given = get_field(task, name)
    return None if given is None else np.asarray(given, dtype=float)


def get_field(document: Any, name: str) -> Any:
    """A field of a document or of its plain data; None where it has none."""
    if isinstance(document, Mapping):
        return document.get(name)
    return getattr(document, name, None)
