"""Which elements may fill a site, and with which charges: one table for all substitutions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sse_flows.errors import SSEError
from sse_flows.structures.prototypes import Prototype, SiteGroup

_SPECIES = re.compile(r"^([A-Z][a-z]?)(?:(\d*)([+-]))?$")


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    cations: dict[str, tuple[int, ...]] = Field(description="Element: charges on cation sites, e")
    anions: dict[str, tuple[int, ...]] = Field(description="Element: charges on anion sites, e")
    mobile: dict[str, tuple[int, ...]] = Field(description="Element: charges as mobile ion, e")

    @field_validator("cations", "anions", "mobile")
    @classmethod
    def _are_elements(cls, table: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
        wrong = [
            symbol for symbol, states in table.items() if not _is_element(symbol) or not states
        ]
        if wrong:
            raise ValueError(f"{wrong} are no elements, or have no charge")
        return table

    @model_validator(mode="after")
    def _have_signs(self) -> _Table:
        positive = [q for table in (self.cations, self.mobile) for s in table.values() for q in s]
        negative = [q for states in self.anions.values() for q in states]
        if min(positive) <= 0 or max(negative) >= 0:
            raise ValueError("cations and mobile ions are positive, anions negative")
        return self


@cache
def substituent_table() -> _Table:
    """The table of allowed oxidation states (e) for each role."""
    import yaml

    text = (files("sse_flows.structures") / "substituents.yaml").read_text(encoding="utf-8")
    return _Table.model_validate(yaml.safe_load(text))


@dataclass(frozen=True)
class Choice:
    """One way to fill a group of sites.

    Attributes
    ----------
    number
        Atomic number.
    charge
        Oxidation state, e.
    """

    number: int
    charge: int


def parse_choices(species: Sequence[str], role: str) -> tuple[Choice, ...]:
    """Elements, with or without their charge, as choices for sites of a role.

    Parameters
    ----------
    species
        ``"Fe"`` (all states of the table) or ``"Fe3+"``.
    role
        ``mobile``, ``cation`` or ``anion``.

    Raises
    ------
    SSEError
        If the list is empty, an element unknown, its state not in the table and not given, or of
        the wrong sign.
    """
    if not species:
        raise SSEError(f"no element is given for the {role} sites", mend="Name at least one")
    found = [choice for text in species for choice in _choices(text.strip(), role)]
    return tuple(dict.fromkeys(found))


def default_choices(role: str) -> tuple[Choice, ...]:
    """All elements of the table for a role."""
    return parse_choices(list(_of_role(role)), role)


def choices_for(
    prototype: Prototype,
    cations: Sequence[str] | None = None,
    anions: Sequence[str] | None = None,
    mobile: Sequence[str] | None = None,
    sites: Mapping[str, Sequence[str]] | None = None,
) -> tuple[tuple[Choice, ...], ...]:
    """What may fill each group of a prototype.

    Parameters
    ----------
    cations, anions
        Species for the sites of that role; by default all of the table but the mobile ion.
    mobile
        Species for the mobile ion; by default that of the prototype.
    sites
        Species for single groups by name, or for all groups of an element of the prototype; they
        take the place of the lists of roles.

    Raises
    ------
    SSEError
        If a list cannot be used or `sites` names no group.
    """
    own = [group.element for group in prototype.groups if group.role == "mobile"]
    moving = own if mobile is None else mobile
    lists = {"cation": cations, "anion": anions, "mobile": moving}
    sites = sites or {}
    _check_names(prototype, sites)
    return tuple(_for_group(group, lists[group.role], sites, moving) for group in prototype.groups)


def _for_group(
    group: SiteGroup,
    listed: Sequence[str] | None,
    sites: Mapping[str, Sequence[str]],
    mobile: Sequence[str],
) -> tuple[Choice, ...]:
    given = sites.get(group.name, sites.get(group.element, listed))
    if given is not None:
        return parse_choices(given, group.role)
    moving = {choice.number for choice in parse_choices(mobile, "mobile")}
    return tuple(one for one in default_choices(group.role) if one.number not in moving)


def _check_names(prototype: Prototype, sites: Mapping[str, Sequence[str]]) -> None:
    known = {name for group in prototype.groups for name in (group.name, group.element)}
    unknown = sorted(set(sites) - known)
    if unknown:
        names = ", ".join(group.name for group in prototype.groups)
        raise SSEError(
            f"it has no sites called {', '.join(unknown)}",
            compound=prototype.id,
            mend=f"Its groups of sites are {names}",
        )


def _choices(text: str, role: str) -> list[Choice]:
    match = _SPECIES.match(text)
    if match is None or not _is_element(match.group(1)):
        raise SSEError(
            f"{text!r} is no element", mend="Write symbols like Fe, or Fe3+ with a charge"
        )
    symbol, size, sign = match.groups()
    number = _number(symbol)
    if sign is None:
        states = _of_role(role).get(symbol)
        if states is None:
            raise SSEError(
                f"no oxidation state of {symbol} is known for {role} sites",
                mend=f"Give its charge, such as {symbol}{'2-' if role == 'anion' else '2+'}",
            )
        return [Choice(number, state) for state in states]
    charge = int(size or 1) * (1 if sign == "+" else -1)
    if (charge < 0) != (role == "anion") or charge == 0:
        raise SSEError(
            f"{text} cannot fill {role} sites",
            mend="Anion sites take negative ions, all others positive ones",
        )
    return [Choice(number, charge)]


def _of_role(role: str) -> dict[str, tuple[int, ...]]:
    table = substituent_table()
    return {"cation": table.cations, "anion": table.anions, "mobile": table.mobile}[role]


def _is_element(symbol: str) -> bool:
    from pymatgen.core import Element

    return Element.is_valid_symbol(symbol) and symbol not in {"D", "T"}


def _number(symbol: str) -> int:
    from pymatgen.core import Element

    return int(Element(symbol).Z)
