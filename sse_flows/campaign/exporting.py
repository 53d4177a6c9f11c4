"""A campaign as one file: its input, its plan and all that was computed for it; and back.

What belongs to a campaign: the documents of every job of its flow, and all others that the store
holds of its compounds in the same stages. The latter are the displaced supercells and whatever
else jobs asked for while they ran; they bear the compound's name, but no plan lists them. Where
several campaigns of one store have computed a compound of that name, theirs come along.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sse_flows.campaign.events import EVENTS_FILE, EventLog, read_events
from sse_flows.campaign.flow import STAGES, Campaign, Plan
from sse_flows.campaign.places import PLAN_FILE
from sse_flows.campaign.results import installed_versions
from sse_flows.errors import SSEError
from sse_flows.files import write_or_tell
from sse_flows.store.archive import Archive, ArchiveWriter
from sse_flows.store.chunks import chunks
from sse_flows.store.export import Exported, Key, Taken, read_documents, write_documents
from sse_flows.store.jobstore import open_store, store_place
from sse_flows.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from jobflow import Flow, JobStore

KIND = "campaign of sse-flows"
INPUT, RESULTS = "campaign", "results"
"""Folders of the archive: the campaign's file with its structures, and its results folder."""

_ELSEWHERE = "Name another folder with --folder"


@dataclass(frozen=True)
class ExportedCampaign:
    """What an archive holds.

    Attributes
    ----------
    stored
        Documents and arrays.
    files
        Files of the campaign.
    not_packed
        What the campaign file names that lies outside its folder, or belongs to its code.
    """

    stored: Exported
    files: int
    not_packed: list[str]


@dataclass(frozen=True)
class ImportedCampaign:
    """What became of an archive.

    Attributes
    ----------
    file
        The campaign file, to be run on.
    documents
        What was written and what was there.
    not_packed
        As of :class:`ExportedCampaign`: what has to be brought by other means.
    store
        Where the documents went.
    shared
        Whether that is a store that a cluster's machines can share.
    """

    file: Path
    documents: Taken
    not_packed: list[str]
    store: str
    shared: bool


def export_campaign(path: str | Path, output: str | Path) -> ExportedCampaign:
    """Write a campaign and all that was computed for it into one file.

    Parameters
    ----------
    path
        The campaign file.
    output
        ``*.tar`` or ``*.tar.gz``; an older one is replaced once the new one is whole.

    Raises
    ------
    SSEError
        The campaign was never run, nothing is stored yet, or the file cannot be written.
    """
    campaign = Campaign.from_file(path)
    Plan.read(campaign.folder)  # before a store is opened, which would make one
    flow, plan = campaign.flow(), campaign.plan()
    store = open_store(campaign.folder)
    keys = documents_of(store, flow, plan)
    if not keys:
        raise SSEError(f"nothing of {plan.name} is stored yet", mend="Run the campaign first")
    files, not_packed = input_files(campaign)
    with ArchiveWriter(output) as archive:
        archive.add_file(f"{INPUT}/{Path(path).name}", Path(path))
        for file in files:
            archive.add_file(f"{INPUT}/{file.relative_to(campaign.base).as_posix()}", file)
        archive.add_text(f"{RESULTS}/{PLAN_FILE}", plan.model_dump_json(indent=1))
        if (campaign.folder / EVENTS_FILE).is_file():
            archive.add_file(f"{RESULTS}/{EVENTS_FILE}", campaign.folder / EVENTS_FILE)
        stored = write_documents(store, keys, archive)
        archive.finish(
            {
                "kind": KIND,
                "name": plan.name,
                "file": Path(path).name,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "versions": installed_versions(),
                "documents": stored.documents,
                "arrays": stored.arrays,
                "incomplete": stored.incomplete,
                "not_packed": not_packed,
            }
        )
    return ExportedCampaign(stored, len(files) + 1, not_packed)


def documents_of(store: JobStore, flow: Flow, plan: Plan) -> set[Key]:
    """Uuid and index of the stored documents that belong to a campaign; see above."""
    jobs = sorted({job.uuid for job, _ in flow.iterflow()})
    names = set(plan.jobs)
    keys: set[Key] = set()
    for some in chunks(jobs):
        for doc in store.query({"uuid": {"$in": some}}, ["uuid", "index", "metadata"]):
            keys.add((doc["uuid"], doc["index"]))
            metadata = doc.get("metadata") or {}
            if metadata.get("stage") in STAGES and metadata.get("compound"):
                names.add(metadata["compound"])  # computed first by a campaign that named it so
    for some in chunks(sorted(names)):
        criteria = {
            "metadata.compound": {"$in": some},
            "metadata.stage": {"$in": list(STAGES)},
            "metadata.imported": None,
        }
        keys.update((doc["uuid"], doc["index"]) for doc in store.query(criteria, ["uuid"]))
    return keys


def input_files(campaign: Campaign) -> tuple[list[Path], list[str]]:
    """Files that a campaign file names below its own folder, and what else it names."""
    from sse_flows.structures.intake import structure_files

    manifest, base = campaign.manifest, campaign.base
    names = [*manifest.train.files, *manifest.screen.files, manifest.train.conductivities]
    names.append(None if manifest.train.table == "builtin" else manifest.train.table)
    files: set[Path] = set()
    elsewhere: list[str] = []
    for name in filter(None, names):
        path = base / name
        found = [path] if path.is_file() else structure_files(path)
        inside = [file for file in found if ".." not in file.parts and file.is_relative_to(base)]
        files.update(inside)
        if len(inside) < len(found) or Path(name).is_absolute():
            elsewhere.append(name)
    if getattr(manifest.code, "pseudopotentials", None):
        elsewhere.append(f"code.pseudopotentials: {manifest.code.pseudopotentials}")  # type: ignore[union-attr]
    return sorted(files), elsewhere


def import_campaign(
    path: str | Path, folder: str | Path | None = None, anywhere: bool = False
) -> ImportedCampaign:
    """Unpack a campaign, its documents into the configured store or one in its results folder.

    Importing twice changes nothing. Documents of the store that are newer are kept; so are plan
    and log of a results folder that has them.

    Parameters
    ----------
    path
        Written by :func:`export_campaign`.
    folder
        Where the campaign file goes; by default a folder with the campaign's name.
    anywhere
        Whether its results folder may lie outside that folder.

    Raises
    ------
    SSEError
        The archive is damaged or is not to be trusted, or a file of that name is there and
        differs. Nothing is written then.
    """
    archive = Archive(path)
    names = [archive.about.get("name"), archive.about.get("file")]
    if archive.about.get("kind") != KIND or not all(map(_is_plain, names)):
        raise SSEError(f"{path} holds no campaign", mend="Name a file that `sse export` wrote")
    base = Path(folder if folder is not None else archive.about["name"])
    _check_files(archive, base)
    campaign = _unpack_input(archive, base.resolve(), anywhere)
    store = open_store(campaign.folder)
    documents = read_documents(archive, store)
    for name, stream in archive.files(RESULTS):
        if name in (PLAN_FILE, EVENTS_FILE) and not (campaign.folder / name).exists():
            write_or_tell(campaign.folder / name, stream.read(), _ELSEWHERE)
    _note_found(campaign.folder, documents.finished)
    return ImportedCampaign(
        base / archive.about["file"],
        documents,
        list(archive.about.get("not_packed", [])),
        store_place(store),
        not isinstance(store.docs_store, SqliteStore),
    )


def _is_plain(name: Any) -> bool:
    return isinstance(name, str) and Path(name).name == name and not name.startswith(".")


def _check_files(archive: Archive, base: Path) -> None:
    """Refuse to write over files that differ."""
    for name, stream in archive.files(INPUT):
        target = base / name
        if target.exists() and (not target.is_file() or target.read_bytes() != stream.read()):
            raise SSEError(
                f"{target} is there already and differs from the one in the archive",
                mend="Name another folder with --folder",
            )


def _unpack_input(archive: Archive, base: Path, anywhere: bool) -> Campaign:
    """Write the campaign's files; the campaign file itself is read before any is written."""
    import tempfile

    with tempfile.TemporaryDirectory() as draft:
        for name, stream in archive.files(INPUT):
            if name == archive.about["file"]:
                (Path(draft) / name).write_bytes(stream.read())
        manifest = Campaign.from_file(Path(draft) / archive.about["file"]).manifest
    campaign = Campaign(manifest, base)
    if not (anywhere or campaign.folder.is_relative_to(base)):
        raise SSEError(
            f"the campaign keeps its results outside its folder, in {campaign.folder}",
            mend="Import with --anywhere if they may go there",
        )
    for name, stream in archive.files(INPUT):
        if not (base / name).resolve().is_relative_to(base):
            raise SSEError(f"{base / name} is a link that leads elsewhere", mend="Remove it")
        write_or_tell(base / name, stream.read(), _ELSEWHERE)
    return campaign


def _note_found(folder: Path, finished: set[str]) -> None:
    """Tell the log, which `sse status` reads, of results that no run of this folder computed."""
    plan, log = Plan.read(folder), EventLog(folder)
    known = {e["uuid"] for e in read_events(folder) if e["state"] in ("done", "found")}
    for stage, compound, job in _planned(plan):
        if job in finished and job not in known:
            log.found(job, stage, compound)


def _planned(plan: Plan) -> Iterator[tuple[str, str | None, Any]]:
    for compound, jobs in plan.jobs.items():
        for stage, job in jobs.items():
            yield stage, compound, job
    yield "models", None, plan.models
    yield "screening", None, plan.screening
