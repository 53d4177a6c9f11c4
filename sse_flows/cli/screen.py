"""``sse screen``: filter and rank a pool that the store holds."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sse_flows.cli.options import Format, MobileIon, Output, Properties, TableFormat

KIM2024 = "kim2024"
"""The published equation of Kim et al. (2024)."""

Pool = Annotated[
    str,
    typer.Option(
        metavar="NAME|FOLDER",
        help="kyoto, phonopy or mp: only what was imported from there, of the configured store or "
        "runs/NAME. A campaign's results folder: only its compounds. Another folder: all in its "
        "store.",
    ),
]
Gap = Annotated[float, typer.Option(min=0, help="Smallest band gap, eV.")]
Hull = Annotated[float, typer.Option(min=0, help="Largest energy above hull, eV/atom.")]
Anions = Annotated[str, typer.Option(help="One of these must be an anion.")]
Unknown = Annotated[
    bool, typer.Option(help="Keep, with a flag, compounds whose gap or hull energy is unknown.")
]


def screen(
    pool: Pool = "kyoto",
    properties: Properties = None,
    model: Annotated[
        str, typer.Option(help="What ranks them: the folder of a saved model, or kim2024.")
    ] = KIM2024,
    level: Annotated[
        float, typer.Option(help="Of the conformal intervals and sets of a saved model.")
    ] = 0.9,
    form: TableFormat = Format.table,
    output: Output = None,
    min_band_gap: Gap = 1.0,
    max_energy_above_hull: Hull = 1e-6,
    anions: Anions = "O,S",
    mobile_ion: MobileIon = "Li",
    keep_unknown: Unknown = False,
) -> None:
    """Filter and rank a pool; the defaults are those of Kim et al. (2024)."""
    from sse_flows.campaign.results import write_table, write_text
    from sse_flows.campaign.screening import screen_sets
    from sse_flows.campaign.stored import read_pool_sets
    from sse_flows.cli.tables import screening_summary, screening_table
    from sse_flows.models.registry import load_models
    from sse_flows.screening.properties import read_properties

    models = None if model == KIM2024 else load_models(model)
    given = read_properties(properties) if properties is not None else {}
    filters = filter_fields(
        mobile_ion, anions, min_band_gap, max_energy_above_hull, keep_unknown=keep_unknown
    )
    result, table = screen_sets(read_pool_sets(pool, mobile_ion), given, filters, models, level)
    typer.echo(screening_summary(result), err=True)
    text = (
        write_text(screening_table(table) + "\n", output)
        if form is Format.table
        else write_table(table, form.value, output)
    )
    typer.echo(f"wrote {output}" if text is None else text, nl=text is None)


def filter_fields(
    mobile_ion: str, anions: str, gap: float, hull: float, *, keep_unknown: bool
) -> dict[str, Any]:
    """Fields of the filters that the options stand for."""
    return {
        "require_elements": [mobile_ion],
        "anions": anions.replace(",", " ").split(),
        "min_band_gap": gap,
        "max_energy_above_hull": hull,
        "missing": "flag" if keep_unknown else "drop",
    }
