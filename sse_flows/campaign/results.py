"""The documents of a campaign, read from its store by the plan."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from sse_flows.descriptors.document import DescriptorSet
from sse_flows.errors import SSEError
from sse_flows.models.document import TrainedModels
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.screening.document import ScreeningResult
from sse_flows.store.chunks import chunks

if TYPE_CHECKING:
    import pandas as pd
    from jobflow import JobStore

    from sse_flows.campaign.flow import Campaign, Plan
    from sse_flows.campaign.status import Status
    from sse_flows.models.explanation import CompoundExplanation
    from sse_flows.report.document import ReportData

Document = TypeVar("Document", bound=BaseModel)

VERSIONS = (
    "sse-flows",
    "atomate2",
    "jobflow",
    "pymatgen",
    "phonopy",
    "scikit-learn",
    "sevenn",
    "chgnet",
)


class CampaignResults:
    """Reads what a campaign has stored so far.

    Parameters
    ----------
    store
        The campaign's store, connected.
    plan
        Which job gives what.
    """

    def __init__(self, store: JobStore, plan: Plan):
        self.store = store
        self.plan = plan

    def descriptors(self, role: str | None = None) -> list[DescriptorSet]:
        """Descriptors of the compounds that came through, in the campaign's order.

        Parameters
        ----------
        role
            Only those of this role, ``train`` or ``screen``.
        """
        ids = [
            jobs["descriptors"]
            for compound, jobs in self.plan.jobs.items()
            if role is None or role in self.plan.roles[compound]
        ]
        found = self._documents(ids, DescriptorSet, load=False)
        return [found[one] for one in ids if one in found]

    def dynamics(self, compound: str) -> LatticeDynamics | None:
        """Lattice dynamics of one compound, large arrays included; None while there are none.

        Raises
        ------
        SSEError
            The campaign has no such compound.
        """
        if compound not in self.plan.jobs:
            near = get_close_matches(compound, self.plan.jobs, n=1)
            raise SSEError(
                f"the campaign {self.plan.name} has no compound {compound!r}",
                mend=f"Did you mean {near[0]}?" if near else "The index of table() has them",
            )
        job = self.plan.jobs[compound]["phonons"]
        return self._documents([job], LatticeDynamics, load=True).get(job)

    def models(self) -> TrainedModels | None:
        """The trained models, if they are done."""
        return self._one(self.plan.models, TrainedModels)

    def screening(self) -> ScreeningResult | None:
        """The ranked pool, if it is done."""
        return self._one(self.plan.screening, ScreeningResult)

    def table(self) -> pd.DataFrame:
        """Descriptors of all compounds, one a row, with probability and rank where screened."""
        from sse_flows.descriptors.table import descriptor_table

        table = descriptor_table(self.descriptors())
        screening = self.screening()
        if screening is not None:
            rows = {row.compound_id: row for row in screening.rows}
            for column in ("rank", "probability", "log10_conductivity"):
                name = "log10_conductivity_predicted" if column.startswith("log10") else column
                values = {key: getattr(row, column) for key, row in rows.items()}
                table[name] = table.index.map(values.get).astype(float)
        return table

    def _one(self, job: str | None, kind: type[Document]) -> Document | None:
        return None if job is None else self._documents([job], kind, load=True).get(job)

    def _documents(
        self, jobs: Iterable[str], kind: type[Document], load: bool
    ) -> dict[str, Document]:
        found: dict[str, Document] = {}
        for some in chunks(list(jobs)):
            criteria = {"uuid": {"$in": some}}
            for doc in self.store.query(criteria, properties=["uuid", "output"], load=load):
                if doc.get("output") is not None:
                    found[doc["uuid"]] = parse_output(doc["output"], kind)
        return found


def parse_output(output: dict[str, Any], kind: type[Document]) -> Document:
    """A stored output as its document, without the marks that monty adds."""
    return kind.model_validate({k: v for k, v in output.items() if not k.startswith("@")})


def write_provenance(campaign: Campaign, plan: Plan, store: JobStore, path: Path) -> None:
    """Write where the numbers of a campaign's table came from, as JSON.

    Parameters
    ----------
    campaign, plan, store
        The campaign, its plan and its open store.
    path
        File to write.

    Raises
    ------
    SSEError
        It cannot be written.
    """
    try:
        path.write_text(json.dumps(_provenance(campaign, plan, store), indent=1) + "\n")
    except OSError as error:
        raise SSEError(f"cannot write {path}: {error.strerror}") from error


def _provenance(campaign: Campaign, plan: Plan, store: JobStore) -> dict[str, Any]:
    from sse_flows.campaign.flow import make_code, settings_of

    described = CampaignResults(store, plan).descriptors()
    return {
        "campaign": plan.settings or settings_of(campaign.manifest),
        "method": _methods(described) or make_code(campaign.manifest).method,
        "versions": installed_versions(),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "compounds": {
            one.compound_id: {
                "jobs": plan.jobs[one.compound_id],
                "provenance": one.provenance,
                "missing": one.missing,
                "flags": one.flags,
            }
            for one in described
        },
        "refused": plan.failures,
    }


def gather_report(campaign: Campaign, store: JobStore, folder: Path, status: Status) -> ReportData:
    """Everything that the page of a campaign shows, of what is done so far.

    Parameters
    ----------
    campaign, store, folder
        The campaign, its open store and its results folder.
    status
        Where it stands; tells what failed and what was computed of late.
    """
    from sse_flows.campaign.flow import Plan, make_code, settings_of
    from sse_flows.campaign.remarks import read_remarks
    from sse_flows.report.document import CompoundReport, Failure, ReportData
    from sse_flows.store.jobstore import store_place

    plan = Plan.read(folder)
    results = CampaignResults(store, plan)
    described = {one.compound_id: one for one in results.descriptors()}
    remarks = read_remarks(store, plan)
    compounds = []
    for compound_id, compound in campaign.pool.compounds.items():
        if compound_id not in plan.jobs:
            continue
        compounds.append(
            CompoundReport(
                compound=compound,
                dynamics=_without_force_constants(results.dynamics(compound_id)),
                descriptors=described.get(compound_id),
                role=" and ".join(plan.roles[compound_id]),
                live=plan.jobs[compound_id]["phonons"] in status.computed,
                keys=plan.jobs[compound_id],
                remarks=remarks.get(compound_id, []),
            )
        )
    manifest, models = campaign.manifest, results.models()
    return ReportData(
        name=manifest.name,
        mobile_ion=", ".join(manifest.mobile_ions),
        code=_methods(one.dynamics for one in compounds) or make_code(manifest).method,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=plan.settings or settings_of(manifest),
        versions=installed_versions(),
        store=store_place(store),
        compounds=compounds,
        failures=[
            Failure(compound_id=p.compound, stage=p.stage, reason=p.reason, mend=p.mend)
            for p in status.problems
        ],
        models=models,
        screening=results.screening(),
        explanations=_explanations(models, list(described.values())),
        reference_rows=_reference_rows(manifest.train.table, campaign, described),
    )


def _methods(documents: Iterable[LatticeDynamics | DescriptorSet | None]) -> str:
    """What gave the forces, as the documents say; empty where there are none yet."""
    return "; ".join(dict.fromkeys(one.method for one in documents if one is not None))


def _explanations(
    models: TrainedModels | None, sets: list[DescriptorSet]
) -> list[CompoundExplanation]:
    """What adds up to the predictions of the compounds; none without models or compounds."""
    if models is None or not sets:
        return []
    from sse_flows.descriptors.table import descriptor_table
    from sse_flows.models.explain import explain_compounds

    return explain_compounds(models, descriptor_table(sets))


def _without_force_constants(dynamics: LatticeDynamics | None) -> LatticeDynamics | None:
    return dynamics and dynamics.model_copy(update={"force_constants": None})


def _reference_rows(
    table: str | None, campaign: Campaign, computed: dict[str, DescriptorSet]
) -> list[DescriptorSet]:
    """Rows of the training table that were not computed in this campaign."""
    from sse_flows.campaign.tables import table_path
    from sse_flows.descriptors.table import descriptor_sets, read_descriptor_csv

    if table is None:
        return []
    path = table_path(table if table == "builtin" else str(campaign.base / table))
    sets = descriptor_sets(read_descriptor_csv(path))
    return [one for one in sets if one.compound_id not in computed]


def installed_versions() -> dict[str, str]:
    """Versions of the packages that results depend on."""
    found = {}
    for package in VERSIONS:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_table(table: pd.DataFrame, form: str, output: Path | None) -> str | None:
    """Write a table as csv, json or parquet; return the text where no file is named.

    Raises
    ------
    SSEError
        Parquet without a file, or the file cannot be written.
    """
    try:
        if form == "parquet":
            if output is None:
                raise SSEError("parquet is binary", mend="Name a file with --output")
            table.to_parquet(output)
            return None
        text = (
            table.to_csv()
            if form == "csv"
            else table.reset_index().to_json(orient="records", indent=1)
        )
        if output is None:
            return text
        output.write_text(text)
        return None
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}") from error


def write_text(text: str, output: Path | None) -> str | None:
    """Write text to a file; return it where none is named.

    Raises
    ------
    SSEError
        The file cannot be written.
    """
    if output is None:
        return text
    try:
        output.write_text(text)
    except OSError as error:
        raise SSEError(f"cannot write {output}: {error.strerror}") from error
    return None
