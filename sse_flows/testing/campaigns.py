"""Small campaigns of Li2O and Li2S for tests of codes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pymatgen.core import Lattice, Structure

from sse_flows.campaign.flow import Campaign
from sse_flows.campaign.manifest import Manifest, read_manifest
from sse_flows.errors import SSEError


def write_antifluorites(folder: Path) -> None:
    """Write ``li2o.cif`` and ``li2s.cif``."""
    for name, anion, edge in (("li2o", "O", 4.56), ("li2s", "S", 5.7)):
        crystal = Structure.from_spacegroup(
            "Fm-3m", Lattice.cubic(edge), [anion, "Li"], [[0, 0, 0], [0.25, 0.25, 0.25]]
        )
        crystal.to(str(folder / f"{name}.cif"))


def campaign_of(
    pool: Path, code: dict | str, files: Sequence[str] = ("li2o.cif",), **more: Any
) -> Campaign:
    """A campaign that screens files of a folder; `more` sections of its file."""
    fields = {"name": "x", "screen": {"files": list(files)}, "code": code, **more}
    return Campaign(Manifest.model_validate(fields), pool)


def keys_of(campaign: Campaign, compound: str = "li2o") -> dict[str, str]:
    """Content keys of the jobs of a compound by stage."""
    return campaign.plan().jobs[compound]


def refusal_of(folder: Path, code: str) -> str:
    """What is said of a campaign file whose section ``code`` (YAML) is wrong; empty if nothing."""
    path = folder / "campaign.yaml"
    path.write_text(f"name: x\nscreen: {{files: [a]}}\ncode: {code}\n")
    try:
        read_manifest(path)
    except SSEError as error:
        return error.message
    return ""
