"""Born charges and dielectric tensor of an entry's BORN."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sse_flows.errors import SSEError
from sse_flows.phonons import phonopy_adapter as adapter
from sse_flows.phonons.crystal import Crystal
from sse_flows.phonons.entries import Entry

MAX_BORN_SUM: float = 0.1
"""Born charges whose sum exceeds this per atom (e) are of another crystal; in the Kyoto database
raw charges add up to 1e-7."""


def read_born(
    entry: Entry, crystal: Crystal, primitive_matrix: NDArray[np.float64]
) -> dict[str, NDArray]:
    """Born charges of the primitive cell and dielectric tensor.

    Like phonopy's BORN: a line with a factor or a comment, the tensor, and the charges of the
    inequivalent atoms. The factor is that of VASP's units whether it stands there or not.
    """
    from phonopy.file_IO import parse_BORN_from_strings
    from phonopy.structure.cells import get_primitive

    text = entry.files["BORN"]
    primitive = get_primitive(crystal.unitcell, primitive_matrix, symprec=adapter.SYMPREC)
    try:
        found = parse_BORN_from_strings(text, primitive)
    except Exception as error:  # its own exceptions and those of int() and float()
        raise _foreign_born(entry, " ".join(str(error).split())) from error
    charges = np.asarray(found["born"])
    if not np.isfinite(charges).all() or not np.isfinite(found["dielectric"]).all():
        raise _foreign_born(entry, "values that are no numbers")
    if np.abs(charges.sum(axis=0)).max() > MAX_BORN_SUM * len(primitive):
        raise _foreign_born(entry, "the charges do not add up to zero")
    factor = found.get("factor")
    if factor is not None and abs(float(factor) - adapter.COULOMB) > 0.01:
        raise _foreign_born(entry, f"its factor {factor} is not {adapter.COULOMB:.4f} eV Å")
    return {"born": charges, "dielectric": np.asarray(found["dielectric"])}


def _foreign_born(entry: Entry, reason: str) -> SSEError:
    return SSEError(
        f"BORN does not fit the primitive cell: {reason}",
        compound=entry.compound_id,
        mend="Write BORN for this cell with phonopy-vasp-born, or remove it",
    )
