"""Documents of VASP calculations: atomate2's, and that of Born charges."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atomate2.vasp.jobs.base import get_vasp_task_document
from emmet.core.tasks import OutputDoc, TaskDoc
from pydantic import Field

from sse_flows.codes.born import BornCharges


class VaspOutput(OutputDoc):
    """atomate2's summary of results."""

    band_gap: float | None = Field(
        None, description="Band gap on the mesh of k points, eV; 0 for metals, None without bands"
    )


class VaspDocument(TaskDoc):
    """atomate2's document of a calculation, and what was done on the way to it."""

    output: VaspOutput | None = Field(None, description="What came out")
    corrections: list[str] = Field(
        default_factory=list, description="What was changed after faults, in turn"
    )


class VaspBornDocument(BornCharges):
    """Born charges and dielectric tensor by VASP."""


def read_document(folder: Path, label: str, **kwargs: Any) -> VaspDocument:
    """Document of a folder with VASP's output; densities of states and bands stay in its files.

    Parameters
    ----------
    folder
        With the output of one calculation.
    label
        Name of the task.
    kwargs
        For emmet's TaskDoc.from_directory.
    """
    leave = ("parse_dos", "parse_bandstructure", "store_additional_json")
    options = {**dict.fromkeys(leave, False), **kwargs}
    task: Any = get_vasp_task_document(folder, **options)
    gap = task.calcs_reversed[0].output.bandgap if task.calcs_reversed else None
    fields = {**dict(task), "task_label": label}
    fields["output"] = VaspOutput(**{**dict(task.output), "band_gap": gap})
    fields["corrections"] = corrections_of(folder)
    return VaspDocument(**fields)


def corrections_of(folder: Path) -> list[str]:
    """What custodian changed in a folder, one line for each fault."""
    from monty.serialization import loadfn

    path = next(
        (p for p in (folder / "custodian.json", folder / "custodian.json.gz") if p.is_file()), None
    )
    if path is None:
        return []
    found = [one for log in loadfn(path, cls=None) for one in log["corrections"]]
    return [f"{', '.join(map(str, one['errors']))}: {_words(one['actions'])}" for one in found]


def _words(actions: list[dict[str, Any]] | None) -> str:
    """Actions of a handler in words, such as ``INCAR ALGO = All``."""
    words = []
    for action in actions or []:
        target = str(action.get("dict") or action.get("file") or "")
        for kind, what in dict(action.get("action") or {}).items():
            if kind == "_set" and isinstance(what, dict):
                words.append(f"{target} {', '.join(f'{k} = {v}' for k, v in what.items())}")
            else:
                words.append(f"{target} {kind.strip('_').replace('_', ' ')}")
    return "; ".join(words) or "nothing left to try"
