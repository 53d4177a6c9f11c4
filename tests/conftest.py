"""Fixtures that several stages share."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sse_flows.testing.faults import mounted

pytest_plugins = ["sse_flows.testing.servers"]

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file, and all that need Slurm, in one process of pytest-xdist."""
    for item in items:
        file = f"{item.path.parent.name}/{item.path.stem}"
        name = "slurm" if item.get_closest_marker("slurm") else file
        item.add_marker(pytest.mark.xdist_group(name))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of third-party reference data; tests that need it are skipped where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SSE_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"reference data not found in {folder}; set SSE_SHARED_DATA to its folder")
    return folder


@contextmanager
def _mounted(folder: Path, options: str) -> Iterator[Path]:
    """Mount a small file system of its own in a folder; skips where that is not allowed."""
    with ExitStack() as stack:
        try:
            stack.enter_context(mounted(folder, options))
        except (OSError, subprocess.SubprocessError):
            pytest.skip("no right to mount a file system")
        yield folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Folder on a disk of 600 kB; skipped where nothing can be mounted."""
    with _mounted(tmp_path / "small", "size=600k") as folder:
        yield folder


@pytest.fixture
def read_only_folder(tmp_path: Path) -> Iterator[Path]:
    """Folder that nobody can write to; root by way of a read-only file system."""
    if os.geteuid() == 0:
        with _mounted(tmp_path / "read-only", "ro,size=64k") as folder:
            yield folder
        return
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@pytest.fixture
def no_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store is configured for jobflow, whatever the user's own settings say."""
    from jobflow import SETTINGS, JobStore
    from maggma.stores import MemoryStore

    monkeypatch.setattr(SETTINGS, "JOB_STORE", JobStore(MemoryStore()))


@pytest.fixture
def espresso_here(monkeypatch, tmp_path) -> Path:
    """An empty folder to run the real pw.x in; skipped where it or its data are absent."""
    folder = Path("/usr/share/espresso/pseudo")
    if not (shutil.which("pw.x") and shutil.which("ph.x")):
        pytest.skip("pw.x and ph.x of Quantum ESPRESSO are not on PATH")
    if not (folder / "Si.pz-vbc.UPF").is_file():
        pytest.skip(f"no pseudopotentials in {folder} (package quantum-espresso-data)")
    if os.geteuid() == 0:  # Open MPI refuses to run as root unless told twice
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT", "1")
        monkeypatch.setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
    monkeypatch.setenv("ESPRESSO_PSEUDO", str(folder))
    monkeypatch.delenv("SSE_ESPRESSO_COMMAND", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path
