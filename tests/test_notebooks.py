"""Every notebook runs from its first cell to its last."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path):
    notebook = nbformat.read(path, as_version=4)
    kept = [len(cell.get("outputs", [])) for cell in notebook.cells]
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(path.parent))
    assert [len(cell.get("outputs", [])) for cell in notebook.cells] == kept
