"""Options of the commands that make virtual compounds of prototypes."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from sse_flows.structures.library import Library


class Grouping(StrEnum):
    """What carries the same element; values as `sse_flows.structures.prototypes.Grouping`."""

    site = "site"
    element = "element"


Cations = Annotated[
    str | None,
    typer.Option(
        help="Elements for cation sites, such as Si,Ge,Fe3+; without a charge all usual ones.",
        show_default="all of the table",
    ),
]
AnionElements = Annotated[
    str | None,
    typer.Option(help="Elements for anion sites.", show_default="all of the table"),
]
Exchange = Annotated[
    str | None,
    typer.Option(
        "--exchange", help="Elements for the mobile ion, such as Li,Na.", show_default="as it is"
    ),
]
Sites = Annotated[
    list[str] | None,
    typer.Option(
        "--site", help="Elements for one group of sites, such as La1=La,Y; may be repeated."
    ),
]
GroupCations = Annotated[Grouping, typer.Option(help="Which cation sites are alike.")]
GroupAnions = Annotated[Grouping, typer.Option(help="Which anion sites are alike.")]
ScaleVolume = Annotated[
    bool,
    typer.Option(
        "--scale-volume/--fixed-volume", help="Let the cell follow the ionic radii, or keep it."
    ),
]


def make_library(
    prototypes: list[str] | None,
    cations: str | None,
    anions: str | None,
    exchange: str | None,
    sites: list[str] | None,
    group_cations: Grouping,
    group_anions: Grouping,
    scale_volume: bool,
    mobile_ion: str,
) -> Library:
    """The library that the options stand for."""
    from sse_flows.structures.library import Library
    from sse_flows.structures.prototypes import load_prototypes, read_prototypes

    by_cation, by_anion = _literal(group_cations), _literal(group_anions)
    made = (
        read_prototypes(prototypes, mobile_ion, by_cation, by_anion)
        if prototypes
        else load_prototypes(None, mobile_ion, by_cation, by_anion)
    )
    return Library.of(
        made,
        cations=_listed(cations),
        anions=_listed(anions),
        mobile=_listed(exchange),
        sites=_sites(sites or []),
        scale_volume=scale_volume,
    )


def _literal(grouping: Grouping) -> Literal["site", "element"]:
    return "site" if grouping is Grouping.site else "element"


def _listed(text: str | None) -> list[str] | None:
    return None if text is None else text.replace(",", " ").split()


def _sites(texts: list[str]) -> dict[str, list[str]]:
    from sse_flows.errors import SSEError

    found = {}
    for text in texts:
        name, equals, listed = text.partition("=")
        if not equals or not name.strip():
            raise SSEError(f"--site {text!r} has no name", mend="Write it like La1=La,Y")
        found[name.strip()] = _listed(listed) or []
    return found
