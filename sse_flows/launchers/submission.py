"""What of a campaign was put on which LaunchPad: `submission.json` in the results folder."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from sse_flows.errors import SSEError
from sse_flows.files import write_whole

SUBMISSION_FILE = "submission.json"


class Submission(BaseModel):
    """Where the parts of a campaign are; holds no user names and no passwords."""

    campaign: str = Field(description="Name of the campaign")
    host: str = Field(description="Host of the LaunchPad, without user and password")
    database: str = Field(description="Name of the LaunchPad's database")
    compounds: dict[str, str] = Field(default_factory=dict, description="Compound -> part")
    references: dict[str, str] = Field(default_factory=dict, description="Element -> part")
    tail: str | None = Field(None, description="Part of models and screening")
    submitted_at: str = Field(description="When, ISO 8601, UTC")

    @property
    def parts(self) -> list[str]:
        """Keys of all parts: references, compounds, tail."""
        tail = [] if self.tail is None else [self.tail]
        return [*self.references.values(), *self.compounds.values(), *tail]

    def write(self, folder: Path) -> None:
        """Write into the results folder, whole or not at all."""
        write_whole(folder / SUBMISSION_FILE, self.model_dump_json(indent=1))

    @classmethod
    def read(cls, folder: Path) -> Submission:
        """Read from the results folder.

        Raises
        ------
        SSEError
            The campaign was not submitted, or the file is damaged.
        """
        path = folder / SUBMISSION_FILE
        if not path.is_file():
            raise SSEError(
                f"the campaign of {folder} was not submitted",
                mend="Submit it: sse submit campaign.yaml",
            )
        try:
            return cls.model_validate_json(path.read_text())
        except ValidationError as error:
            raise SSEError(
                f"{path} is damaged or of another version of sse-flows",
                mend="Submit the campaign again: it writes the file anew and adds nothing twice",
            ) from error


def refuse_lost_store(folder: Path) -> None:
    """Refuse a submitted campaign where no store is configured: a new one would be empty.

    Raises
    ------
    SSEError
        It was submitted, and neither jobflow's configuration nor the folder has a store.
    """
    from sse_flows.store.jobstore import STORE_FILE, configured_store

    if not is_submitted(folder) or (folder / STORE_FILE).is_file() or configured_store():
        return
    raise SSEError(
        "the campaign was submitted, and jobflow's configuration with its store is not found",
        mend="Set JOBFLOW_CONFIG_FILE to the jobflow.yaml that `sse init cluster` wrote",
    )


def is_submitted(folder: Path) -> bool:
    """Whether the campaign of a results folder was submitted."""
    return (folder / SUBMISSION_FILE).is_file()
