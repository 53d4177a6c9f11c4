"""Write ward_matminer.json: matminer's 273 features of the small ordered built-in conductors.

    python tests/data/make_ward_matminer.py

To be run again when matminer changes its definitions; the file names the version it was made with.
"""

from __future__ import annotations

import json
import warnings
from importlib.metadata import version
from pathlib import Path

from sse_flows.structures.conductors import load_conductors
from sse_flows.testing.matminer_ward import matminer_ward

MOST_SITES = 16


def main() -> None:
    warnings.filterwarnings("ignore")
    featurizer = matminer_ward()
    crystals = {}
    for conductor in load_conductors():
        if not conductor.is_ordered:
            continue
        cell = conductor.structure.get_primitive_structure()
        if len(cell) <= MOST_SITES:
            cell = cell.copy()
            cell.translate_sites(range(len(cell)), [0, 0, 0], to_unit_cell=True)
            crystals[conductor.id] = {
                "lattice": cell.lattice.matrix.tolist(),
                "species": [site.specie.symbol for site in cell],
                "positions": cell.frac_coords.tolist(),
                "values": [float(f"{value:.13g}") for value in featurizer.featurize(cell)],
            }
    data = {
        "matminer": version("matminer"),
        "pymatgen": version("pymatgen"),
        "labels": featurizer.feature_labels(),
        "crystals": crystals,
    }
    text = json.dumps(data).replace('"lattice"', '\n"lattice"').replace('"values"', '\n"values"')
    Path(__file__).with_name("ward_matminer.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
