"""What a report is made of: one document that gathers the documents of the stages."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sse_flows.descriptors.document import DescriptorSet
from sse_flows.models.document import TrainedModels
from sse_flows.models.explanation import CompoundExplanation
from sse_flows.phonons.document import LatticeDynamics
from sse_flows.screening.document import ScreeningResult
from sse_flows.structures.compound import Compound


class CompoundReport(BaseModel):
    """One compound of the campaign with all that was made of it."""

    model_config = ConfigDict(extra="forbid")

    compound: Compound = Field(description="The crystal and what its source knows of it")
    dynamics: LatticeDynamics | None = Field(None, description="Its lattice dynamics, if computed")
    descriptors: DescriptorSet | None = Field(None, description="Its descriptors, if computed")
    role: str = Field("screen", description="What it is for: 'train', 'screen' or both")
    live: bool = Field(True, description="Computed in this run (else found in the store)")
    keys: dict[str, str] = Field(
        default_factory=dict, description="Content key of each of its jobs, by the job's name"
    )
    remarks: list[str] = Field(
        default_factory=list, description="What was doubtful or corrected in its calculations"
    )


class Failure(BaseModel):
    """A compound that did not come through, and what to do about it."""

    model_config = ConfigDict(extra="forbid")

    compound_id: str = Field(description="Id of the compound")
    stage: str = Field(description="Stage that failed, e.g. 'relax'")
    reason: str = Field(description="Why, in one line")
    mend: str | None = Field(None, description="What to do about it")


class ReportData(BaseModel):
    """Everything that one page shows."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Name of the campaign")
    mobile_ion: str = Field(description="Element symbol of the mobile ion")
    code: str = Field(description="Code and model of the forces, e.g. 'forcefield SevenNet-0'")
    created: str = Field(description="When the report was made, ISO 8601")
    settings: dict[str, Any] = Field(default_factory=dict, description="The campaign's settings")
    versions: dict[str, str] = Field(default_factory=dict, description="Version by package")
    store: str = Field("", description="Where the documents are, without secrets")
    compounds: list[CompoundReport] = Field(default_factory=list, description="Every compound")
    failures: list[Failure] = Field(default_factory=list, description="What did not come through")
    models: TrainedModels | None = Field(None, description="The trained models")
    screening: ScreeningResult | None = Field(None, description="The ranked pool")
    explanations: list[CompoundExplanation] = Field(
        default_factory=list, description="What adds up to the predictions of the compounds"
    )
    reference_rows: list[DescriptorSet] = Field(
        default_factory=list, description="Training rows of a shipped table, not computed here"
    )
