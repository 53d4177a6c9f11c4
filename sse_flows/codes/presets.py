"""Named settings of a code, in the ``presets.yaml`` beside its modules."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any


@cache
def named_settings(package: str) -> dict[str, dict[str, Any]]:
    """Named settings of a package, such as ``sse_flows.codes.vasp``."""
    import yaml

    text = (files(package) / "presets.yaml").read_text(encoding="utf-8")
    return yaml.safe_load(text)
