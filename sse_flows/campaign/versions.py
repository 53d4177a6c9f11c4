"""Versions of models in a store, and the documents that they point to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobflow import OutputReference

from sse_flows.campaign.results import parse_output
from sse_flows.errors import SSEError
from sse_flows.models.document import TrainedModels
from sse_flows.moments import in_utc
from sse_flows.screening.document import ScreeningResult
from sse_flows.screening.versions import ModelVersion

if TYPE_CHECKING:
    from jobflow import JobStore


@dataclass(frozen=True)
class Stored:
    """A version in a store.

    Attributes
    ----------
    uuid
        Of its job.
    version
        The document.
    completed_at
        When it was made, ISO 8601.
    """

    uuid: str
    version: ModelVersion
    completed_at: str

    def references(self) -> list[OutputReference]:
        """Of the version, its models and its screening."""
        jobs = (self.uuid, self.version.models_job, self.version.screening_job)
        return [OutputReference(job) for job in jobs]


def list_versions(store: JobStore, name: str | None = None) -> list[Stored]:
    """Versions in a store by name and number, of one name or of all."""
    criteria: dict[str, Any] = {"metadata.stage": "model_version", "output": {"$ne": None}}
    if name is not None:
        criteria["output.name"] = name
    found = [_stored(doc) for doc in store.query(criteria, ["uuid", "output", "completed_at"])]
    return sorted(found, key=lambda one: (one.version.name, one.version.version, one.completed_at))


def latest_version(store: JobStore, name: str) -> Stored | None:
    """The version of the highest number; None where there is none."""
    found = list_versions(store, name)
    return found[-1] if found else None


def stored_version(store: JobStore, uuid: str) -> Stored:
    """The version that a job made.

    Raises
    ------
    SSEError
        The store does not hold it.
    """
    doc = store.query_one(
        {"uuid": uuid, "output": {"$ne": None}}, ["uuid", "output", "completed_at"]
    )
    if doc is None:
        raise SSEError(f"the store holds no version of models {uuid}", mend="Retrain")
    return _stored(doc)


def find_version(store: JobStore, name: str, number: int | None = None) -> Stored:
    """One version by name and number, by default the latest.

    Raises
    ------
    SSEError
        There is no such version; the message names those that there are.
    """
    found = [s for s in list_versions(store, name) if number in (None, s.version.version)]
    if not found:
        there = [f"{s.version.name} {s.version.version}" for s in list_versions(store)]
        raise SSEError(
            f"no version {number or ''} of {name} in the store; there are: "
            f"{', '.join(there) or 'none'}",
            mend="Make one with `sse retrain`",
        )
    return found[-1]


def stored_models(store: JobStore, stored: Stored) -> TrainedModels:
    """The trained models of a version."""
    return parse_output(_output(store, stored.version.models_job), TrainedModels)


def stored_screening(store: JobStore, stored: Stored) -> ScreeningResult:
    """The ranked pool of a version."""
    return parse_output(_output(store, stored.version.screening_job), ScreeningResult)


def _stored(doc: dict[str, Any]) -> Stored:
    return Stored(
        doc["uuid"], parse_output(doc["output"], ModelVersion), in_utc(doc["completed_at"])
    )


def _output(store: JobStore, uuid: str) -> dict[str, Any]:
    doc = store.query_one({"uuid": uuid, "output": {"$ne": None}}, ["output"], load=True)
    if doc is None:
        raise SSEError(f"the store holds no output of job {uuid}", mend="Retrain")
    return doc["output"]
