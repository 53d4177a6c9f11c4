"""All virtual compounds of several prototypes, without those that two prototypes share."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from sse_flows.errors import SSEError
from sse_flows.structures.formulas import composition_hashes
from sse_flows.structures.prototypes import Prototype
from sse_flows.structures.substituents import choices_for
from sse_flows.structures.substitution import (
    CHUNK,
    Children,
    Counts,
    Substitution,
    decorated,
    numbers_of,
)

if TYPE_CHECKING:
    from pymatgen.core import Structure

FileFormat = Literal["csv", "jsonl", "parquet"]


@dataclass
class Library:
    """The children of several prototypes.

    Where two prototypes have the same arrangement of mobile ions, cations and anions, the later
    one gives no compound of a composition that the earlier one has given.

    Parameters
    ----------
    substitutions
        One for each prototype.

    Examples
    --------
    >>> from sse_flows.structures.prototypes import load_prototypes
    >>> library = Library.of(load_prototypes(["li3ps4"]), anions=["O", "S"], cations=["P", "As"])
    >>> sorted(name for chunk in library.chunks() for name in chunk.formulas())
    ['Li3AsO4', 'Li3AsS4', 'Li3PO4', 'Li3PS4']
    """

    substitutions: list[Substitution]
    _homes: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self._homes = _first_equivalents([one.prototype for one in self.substitutions])

    @classmethod
    def of(
        cls,
        prototypes: Iterable[Prototype],
        *,
        cations: Sequence[str] | None = None,
        anions: Sequence[str] | None = None,
        mobile: Sequence[str] | None = None,
        sites: Mapping[str, Sequence[str]] | None = None,
        scale_volume: bool = False,
    ) -> Library:
        """A library by lists of species, as `choices_for` takes them.

        `sites` may name the groups of some of the prototypes only.

        Raises
        ------
        SSEError
            If a list cannot be used, `sites` names a group that no prototype has, or there is no
            prototype.
        """
        made = []
        prototypes = list(prototypes)
        if not prototypes:
            raise SSEError("no prototype is given", mend="Name a prototype or a structure file")
        for prototype in prototypes:
            given = _sites_of(prototype, sites or {}, prototypes)
            choices = choices_for(prototype, cations, anions, mobile, given)
            made.append(Substitution(prototype, choices, scale_volume))
        return cls(made)

    @property
    def counts(self) -> dict[str, Counts]:
        """What became of the decorations, by prototype, once `chunks` has run."""
        return {one.prototype.id: one.counts for one in self.substitutions}

    def assignments(self) -> int:
        """No fewer than there are children; see `Substitution.assignments`."""
        return sum(one.assignments() for one in self.substitutions)

    def chunks(self, size: int = CHUNK) -> Iterator[Children]:
        """All children, at most `size` at a time, always in the same order."""
        given: dict[int, set[int]] = {}
        for place, one in enumerate(self.substitutions):
            home = self._homes[place]
            shared = self._homes.count(home) > 1
            own: list[int] = []
            for chunk in one.chunks(size):
                kept = chunk
                if shared:
                    codes = composition_hashes(chunk.numbers, one.prototype.counts).tolist()
                    new = np.array([code not in given.get(home, ()) for code in codes], bool)
                    own += codes
                    kept = chunk[new]
                    one.counts.repeated += len(chunk) - len(kept)
                    one.counts.kept -= len(chunk) - len(kept)
                if len(kept):
                    yield kept
            given.setdefault(home, set()).update(own)

    def structure(self, child_id: str) -> Structure:
        """The crystal of a child by its id.

        Raises
        ------
        SSEError
            If no prototype of the library has such a child.
        """
        return _structure_of(child_id, self.substitutions)


def _structure_of(child_id: str, substitutions: Sequence[Substitution]) -> Structure:
    name = child_id.rpartition("_")[0]
    for one in substitutions:
        if one.prototype.id == name:
            numbers = numbers_of(child_id, one.prototype)
            return decorated(one.prototype, numbers, one.ratio_of(numbers))
    names = ", ".join(one.prototype.id for one in substitutions)
    raise SSEError(f"{child_id!r} is no child of {names}", mend="Ids begin with a prototype's id")


def _sites_of(
    prototype: Prototype, sites: Mapping[str, Sequence[str]], prototypes: Sequence[Prototype]
) -> dict[str, Sequence[str]]:
    """Those of the lists that concern this prototype; the others must concern another one."""
    names = {name for group in prototype.groups for name in (group.name, group.element)}
    anywhere = {n for one in prototypes for g in one.groups for n in (g.name, g.element)}
    unknown = sorted(set(sites) - anywhere)
    if unknown:
        raise SSEError(
            f"no prototype has sites called {', '.join(unknown)}",
            mend=f"The groups of sites are {', '.join(sorted(anywhere))}",
        )
    return {name: listed for name, listed in sites.items() if name in names}


def _first_equivalents(prototypes: Sequence[Prototype]) -> list[int]:
    """For each prototype the first one with the same arrangement of roles, perhaps itself."""
    homes: list[int] = []
    for place, prototype in enumerate(prototypes):
        same = (other for other in range(place) if _equivalent(prototypes[other], prototype))
        homes.append(next(same, place))
    return homes


def _equivalent(first: Prototype, second: Prototype) -> bool:
    """Whether the sites of mobile ions, cations and anions coincide, up to strain and scale."""
    from pymatgen.analysis.structure_matcher import StructureMatcher

    if _roles(first).count("cation") != _roles(second).count("cation"):
        return False
    if sorted(_roles(first)) != sorted(_roles(second)):
        return False
    matcher = StructureMatcher(primitive_cell=False, scale=True)
    return bool(matcher.fit(_by_role(first), _by_role(second)))


def _roles(prototype: Prototype) -> list[str]:
    return [prototype.groups[label].role for label in prototype.labels]


def _by_role(prototype: Prototype) -> Structure:
    """The cell with one element for each role."""
    from pymatgen.core import Structure

    stands = {"mobile": "Li", "cation": "Na", "anion": "O"}
    cell = prototype.structure
    return Structure(cell.lattice, [stands[role] for role in _roles(prototype)], cell.frac_coords)


def child_rows(chunk: Children) -> list[dict[str, Any]]:
    """One plain record for each child of a chunk, for files."""
    groups = [group.name for group in chunk.prototype.groups]
    rows = []
    columns = (chunk.ids(), chunk.formulas(), chunk.charges.tolist(), chunk.volume_ratio.tolist())
    for name, formula, charges, ratio in zip(*columns, strict=True):
        symbols = name.rpartition("_")[2].split("-")
        species = [_species(s, q) for s, q in zip(symbols, charges, strict=True)]
        sites = " ".join(f"{g}={s}" for g, s in zip(groups, species, strict=True))
        rows.append(
            {
                "id": name,
                "formula": formula,
                "prototype": chunk.prototype.id,
                "sites": sites,
                "volume_ratio": round(ratio, 4),
            }
        )
    for row, same in zip(rows, chunk.is_prototype.tolist(), strict=True):
        row["is_prototype"] = same
    return rows


def _species(symbol: str, charge: int) -> str:
    size = str(abs(charge)) if abs(charge) > 1 else ""
    return f"{symbol}{size}{'-' if charge < 0 else '+'}"


def write_children(chunks: Iterable[Children], path: Path, form: FileFormat) -> int:
    """Write children to a file, chunk by chunk; the file appears once it is whole.

    Returns
    -------
    int
        How many there were.

    Raises
    ------
    SSEError
        If the file cannot be written.
    """
    draft = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}[form]
        count = writer(chunks, draft)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise SSEError(f"cannot write {path}: {error.strerror or error}") from error
    return count


def _write_csv(chunks: Iterable[Children], path: Path) -> int:
    count = 0
    with path.open("w", newline="", encoding="utf-8") as handle:
        names = ["id", "formula", "prototype", "sites", "volume_ratio", "is_prototype"]
        writer = csv.DictWriter(handle, names)
        writer.writeheader()
        for chunk in chunks:
            writer.writerows(child_rows(chunk))
            count += len(chunk)
    return count


def _write_jsonl(chunks: Iterable[Children], path: Path) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as handle:
        for chunk in chunks:
            handle.writelines(json.dumps(row) + "\n" for row in child_rows(chunk))
            count += len(chunk)
    return count


def _write_parquet(chunks: Iterable[Children], path: Path) -> int:
    import pyarrow as pa
    from pyarrow import parquet

    schema = pa.schema(
        [
            *((name, pa.string()) for name in ("id", "formula", "prototype", "sites")),
            ("volume_ratio", pa.float64()),
            ("is_prototype", pa.bool_()),
        ]
    )
    count = 0
    with parquet.ParquetWriter(path, schema) as writer:
        for chunk in chunks:
            writer.write_table(pa.Table.from_pylist(child_rows(chunk), schema=schema))
            count += len(chunk)
    return count
