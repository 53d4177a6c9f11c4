"""Which processes a calculation ran with, and what others than they may go on from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sse_flows.codes.espresso.outputs import xml_path
from sse_flows.codes.espresso.ranks import leave_files_of_others, ranks
from sse_flows.codes.espresso.resume import is_unfinished_ph

STATE = ("pwscf.wfc1", "pwscf.wfc2", "pwscf.mix1", "pwscf.restart_scf", "pwscf.restart_k2")


def test_one_process_is_the_same_wherever_it_runs(monkeypatch):
    assert ranks(["pw.x"]) == ranks(["/opt/bin/ph.x"])
    before = ranks(["pw.x"])
    monkeypatch.setenv("SLURM_NTASKS", "8")
    assert ranks(["pw.x"]) == before


def test_numbers_and_pools_tell_processes_apart():
    pools = ranks(["mpirun", "-np", "2", "pw.x", "-nk", "2"])
    assert pools == ranks(["mpirun", "-np", "2", "/opt/ph.x", "-nk", "2"])
    others = (["mpirun", "-np", "4", "pw.x", "-nk", "2"], ["mpirun", "-np", "2", "pw.x"], ["pw.x"])
    assert all(ranks(other) != pools for other in others)


@pytest.mark.parametrize("name", ["SLURM_NTASKS", "SLURM_TASKS_PER_NODE", "PBS_NP"])
def test_a_launcher_takes_its_number_from_the_batch_job(monkeypatch, name):
    before = ranks(["srun", "pw.x"])
    monkeypatch.setenv(name, "17")
    assert ranks(["srun", "pw.x"]) != before


class TestFiles:
    @pytest.fixture
    def folder(self, tmp_path) -> Path:
        """A run of two processes, and a ph.x that was killed."""
        leave_files_of_others(tmp_path, ["mpirun", "-np", "2", "pw.x"])
        (tmp_path / "out" / "_ph0").mkdir(parents=True)
        (tmp_path / "ph.out").write_text("     Program PHONON v.6.7 starts\n")
        xml_path(tmp_path).parent.mkdir()
        for name in ("charge-density.dat", "wfc1.dat"):
            (xml_path(tmp_path).parent / name).write_text("")
        for name in STATE:
            (tmp_path / "out" / name).write_text("")
        return tmp_path

    def names(self, folder: Path) -> set[str]:
        return {path.name for path in (folder / "out").iterdir()}

    def test_the_same_processes_find_all(self, folder):
        leave_files_of_others(folder, ["mpirun", "-np", "2", "ph.x"])
        assert self.names(folder) == {*STATE, "_ph0", "pwscf.save"}
        assert is_unfinished_ph(folder)

    @pytest.mark.parametrize("noted", [True, False])
    def test_others_find_what_is_of_all(self, folder, noted):
        if not noted:
            (folder / "ranks.txt").unlink()
        command = ["mpirun", "-np", "3" if noted else "2", "pw.x"]
        leave_files_of_others(folder, command)
        assert self.names(folder) == {"pwscf.save"}
        assert len(list(xml_path(folder).parent.iterdir())) == 2
        assert not is_unfinished_ph(folder)
        (folder / "out" / "pwscf.wfc1").write_text("")
        leave_files_of_others(folder, command)
        assert self.names(folder) == {"pwscf.save", "pwscf.wfc1"}
