"""A best-subset search as a Flow: parts on as many nodes as there are, then one answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jobflow import Flow, Maker, OutputReference, job

from sse_flows.errors import SSEError
from sse_flows.models.subset_document import (
    SubsetPart,
    SubsetResult,
    SubsetSettings,
    SubsetTable,
)


@dataclass
class SubsetSearchMaker(Maker):
    """Search all subsets in parts of about equal work and merge them.

    The answer is that of one search, however many parts there are.

    Parameters
    ----------
    n_parts
        Jobs of the search.
    settings
        What is searched; `SubsetSettings` or a dict of its fields.
    n_jobs
        Threads of every job; one a core by default.
    kernel
        Implementation, see `sse_flows.models.subset_search.available_kernels`.
    checkpoint
        Keep the state of a part in a file of its own, from which it goes on when its job was killed
        and runs again in the same folder.
    rescore
        Also score the best subset of every size by scikit-learn, when merging.

    Examples
    --------
    >>> from sse_flows.models.subset_table import subset_table
    >>> table, _ = subset_table(frame, "conductivity", threshold=1e-4)  # doctest: +SKIP
    >>> flow = SubsetSearchMaker(n_parts=64).make(table)  # doctest: +SKIP
    """

    name: str = "best subset"
    n_parts: int = 4
    settings: SubsetSettings | dict[str, Any] = field(default_factory=SubsetSettings)
    n_jobs: int | None = None
    kernel: str = "auto"
    checkpoint: bool = True
    rescore: bool = True

    def make(self, table: SubsetTable | OutputReference) -> Flow:
        """Flow whose output is a `SubsetResult`.

        Parameters
        ----------
        table
            The rows, as `sse_flows.models.subset_table.subset_table` gives them.

        Raises
        ------
        SSEError
            If there is not at least one part.
        """
        if self.n_parts < 1:
            raise SSEError(f"n_parts={self.n_parts} is not positive", mend="Give 1 or more")
        settings = SubsetSettings.model_validate(self.settings)
        parts = [
            search_subset_part(
                table, settings, i, self.n_parts, self.n_jobs, self.kernel, self.checkpoint
            )
            for i in range(self.n_parts)
        ]
        for i, one in enumerate(parts):
            one.name = f"subsets, part {i + 1} of {self.n_parts}"
        merged = merge_subset_parts([one.output for one in parts], self.rescore)
        return Flow([*parts, merged], output=merged.output, name=self.name)


@job(output_schema=SubsetPart)
def search_subset_part(
    table: SubsetTable,
    settings: SubsetSettings,
    part: int,
    n_parts: int,
    n_jobs: int | None = None,
    kernel: str = "auto",
    checkpoint: bool = True,
) -> SubsetPart:
    """Search one part, counted from 0; see `sse_flows.models.subset_document.search_part`."""
    from sse_flows.campaign.keys import content_key
    from sse_flows.models.subset_document import search_part

    rows, asked = SubsetTable.model_validate(table), SubsetSettings.model_validate(settings)
    # parts that run in one folder, or another search after this one, must not share a file
    key = content_key([rows.model_dump(), asked.model_dump(), part, n_parts])
    file = f"subsets-{key[:16]}.json" if checkpoint else None
    return search_part(rows, asked, (part, n_parts), n_jobs=n_jobs, kernel=kernel, checkpoint=file)


@job(output_schema=SubsetResult)
def merge_subset_parts(parts: list[SubsetPart], rescore: bool = True) -> SubsetResult:
    """Merge all parts of a search; see `sse_flows.models.subset_document.conclude`."""
    from sse_flows.models.subset_document import conclude

    return conclude([SubsetPart.model_validate(one) for one in parts], rescore=rescore)
