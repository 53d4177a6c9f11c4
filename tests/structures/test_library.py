"""Children of several prototypes, and the files they are written to."""

from __future__ import annotations

import csv
import json

import pandas as pd
import pytest
from pymatgen.core import Structure

from sse_flows.errors import SSEError
from sse_flows.structures.formulas import composition_hashes, reduced_formula, reduced_formulas
from sse_flows.structures.library import Library, write_children
from sse_flows.structures.prototypes import load_prototypes, make_prototype

SOME = {"cations": ["P", "As", "Si", "Ge", "V"], "anions": ["O", "S", "Cl"]}


def children(library, size=50):
    return [name for chunk in library.chunks(size) for name in chunk.ids()]


def test_an_equivalent_prototype_gives_no_composition_twice():
    first = load_prototypes(["li3ps4"])[0]
    strained = Structure(
        first.structure.lattice.matrix * 1.1, first.structure.species, first.structure.frac_coords
    )
    strained.replace_species({"P": "As", "S": "O"})
    second = make_prototype(strained, "again")
    library = Library.of([first, second], **SOME)
    alone = children(Library.of([first], **SOME))
    assert children(library) == alone
    assert library.counts["again"].kept == 0
    assert library.counts["again"].repeated == library.counts["li3ps4"].kept == len(alone)
    apart = Library.of([first, *load_prototypes(["li6ps5cl"])], **SOME)
    assert apart.counts.keys() == {"li3ps4", "li6ps5cl"}
    assert len(children(apart)) > len(alone)
    assert apart.counts["li6ps5cl"].repeated == 0


def test_compositions_new_to_an_equivalent_prototype_are_kept():
    first = load_prototypes(["li3ps4"])[0]
    library = Library.of([first, make_prototype(first.structure, "again")], **SOME)
    library.substitutions[0].choices = library.substitutions[0].choices[:1] + tuple(
        one[:1] for one in library.substitutions[0].choices[1:]
    )
    children(library)
    assert library.counts["again"].kept > 0
    assert library.counts["again"].repeated == 1


def test_lists_for_sites_may_concern_one_prototype():
    library = Library.of(load_prototypes(["li3ps4", "li2tio3"]), sites={"Ti1": ["Zr"]}, **SOME)
    assert all("-Zr-" in name for name in children(library) if name.startswith("li2tio3"))
    with pytest.raises(SSEError, match="no prototype has sites called Xy"):
        Library.of(load_prototypes(["li3ps4"]), sites={"Xy": ["Zr"]})
    with pytest.raises(SSEError, match="no prototype is given"):
        Library.of([])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_files_hold_every_child(form, tmp_path):
    library = Library.of(load_prototypes(["li10gep2s12"]), scale_volume=True, **SOME)
    path = tmp_path / "new" / f"children.{form}"
    count = write_children(library.chunks(50), path, form)
    if form == "csv":
        rows = list(csv.DictReader(path.open()))
    elif form == "jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
    else:
        rows = pd.read_parquet(path).to_dict("records")
    assert [row["id"] for row in rows] == children(library)
    assert count == len(rows) > 10
    own = next(row for row in rows if row["id"] == "li10gep2s12_Li-Ge-P-P-S")
    assert own["sites"] == "Li=Li+ Ge=Ge4+ P1=P5+ P2=P5+ S=S2-"
    assert str(own["is_prototype"]) == "True"
    assert float(own["volume_ratio"]) == 1
    assert [path.name] == [one.name for one in path.parent.iterdir()]


def test_a_crystal_is_made_by_id():
    library = Library.of(load_prototypes(["li3ps4"]), scale_volume=True, **SOME)
    crystal = library.structure("li3ps4_Li-As-S")
    assert crystal.composition.reduced_formula == "Li3AsS4"
    chunk = next(library.chunks())
    row = chunk.ids().index("li3ps4_Li-As-S")
    assert crystal.volume == pytest.approx(chunk.structure(row).volume)
    with pytest.raises(SSEError, match="is no child of li3ps4"):
        library.structure("li2tio3_Li-Ti-Ti-O")
    with pytest.raises(SSEError, match="not neutral"):
        library.structure("li3ps4_Li-P-Cl")


def test_formulas_are_reduced_and_hashes_tell_them_apart():
    assert reduced_formula({3: 20, 32: 2, 15: 4, 16: 24}) == "Li10GeP2S12"
    prototype = load_prototypes(["li10gep2s12"])[0]
    library = Library.of([prototype], **SOME)
    for chunk in library.chunks():
        formulas = reduced_formulas(chunk.numbers, prototype.counts)
        hashes = composition_hashes(chunk.numbers, prototype.counts)
        assert len(set(formulas)) == len(set(hashes.tolist()))
        pairs = set(zip(formulas, hashes.tolist(), strict=True))
        assert len(pairs) == len(set(formulas))
