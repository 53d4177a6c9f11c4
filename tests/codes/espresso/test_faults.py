"""How a run ended: the sign of each fault, in texts with the shape of pw.x's."""

from __future__ import annotations

import pytest

from sse_flows.codes.espresso.faults import KINDS, diagnose

DONE = "\n=---=\n   JOB DONE.\n=---=\n"
BOX = "\n %%%%%%%%\n     Error in routine {routine} ({code}):\n     {text}\n %%%%%%%%\n"
WARNING = (
    "     Message from routine input:\n"
    '     WARNING: "startingwfc" set to atomic+random may spoil restart\n'
)


def stopped(routine: str, text: str, code: int = 1) -> str:
    return BOX.format(routine=routine, text=text, code=code) + "\n     stopping ...\n"


ENDS = {
    "scf": "     convergence NOT achieved after   2 iterations: stopping\n" + DONE,
    "time": "     Maximum CPU time exceeded\n" + DONE,
    "stopped": "     Program stopped by user request\n" + DONE,
    "steps": "     The maximum number of steps has been reached.\n" + DONE,
    "bfgs": "     bfgs history already reset at previous step: stopping\n" + DONE,
    "bands": stopped("setup", "too few bands"),
    "matrix": stopped("cdiaghg", "S matrix not positive definite", 57),
    "pseudopotential": stopped("readpp", "file ./Li.UPF not found"),
    "input": stopped(" read_namelists", " bad line in namelist &electrons"),
    "parallel": stopped("mp_start_pools", "invalid number of pools, out of range"),
    "density": stopped("read_scf", "Reading ldaU ns"),
    "other": stopped("davcio", 'error writing file "out/pwscf.wfc1"', 10),
    "killed": "     Program PWSCF v.7.3 starts\n     iteration #  3     ecut=    40.00 Ry\n",
    "launch": "srun: error: Unable to create step for job 3\n",
}
MORE = {
    stopped("electrons", "charge is wrong: smearing is needed"): "bands",
    stopped("efermig", "internal error, cannot bracket Ef"): "bands",
    stopped("set_dft_from_name", " conflicting values for igcx"): "pseudopotential",
    stopped("rdiaghg", "problems computing cholesky", 8): "matrix",
    stopped("davcio", 'error reading file "out/pwscf.wfc1"', 10): "density",
    stopped("davcio", "error while reading from file", 10): "density",
    WARNING + DONE: None,
    WARNING + "     Maximum CPU time exceeded\n" + DONE: "time",
    "     No convergence has been achieved\n" + DONE: "scf",
    "": "killed",
    " with few k points: some nodes have no k-points\n" + DONE: None,  # slow, but right
}


def found(tmp_path, text: str) -> str | None:
    (tmp_path / "pw.out").write_text(text)
    fault = diagnose(tmp_path / "pw.out")
    return None if fault is None else fault.kind.name


@pytest.mark.parametrize(("text", "kind"), [(v, k) for k, v in ENDS.items()] + list(MORE.items()))
def test_every_end_is_told_from_the_others(tmp_path, text, kind):
    assert found(tmp_path, text) == kind


def test_all_kinds_are_covered():
    assert {kind.name for kind in KINDS} <= set(ENDS)


def test_job_done_alone_is_good_and_never_outweighs_a_fault(tmp_path):
    assert found(tmp_path, "     convergence has been achieved in   9 iterations\n" + DONE) is None
    assert found(tmp_path, ENDS["scf"]) == "scf"


def test_a_missing_output_was_killed(tmp_path):
    fault = diagnose(tmp_path / "nothing.out")
    assert fault is not None
    assert fault.kind.name == "killed"
    assert "no output" in fault.message


@pytest.mark.parametrize("text", [None, "", "<qes:espresso><output>", "</qes:espress"])
def test_results_that_are_cut_off_are_told(tmp_path, text):
    (tmp_path / "pw.out").write_text(DONE)
    results = tmp_path / "data.xml"
    if text is not None:
        results.write_text(text)
    fault = diagnose(tmp_path / "pw.out", results)
    assert fault is not None
    assert fault.kind.name == "truncated"
    results.write_text("<a/>\n</qes:espresso>\n")
    assert diagnose(tmp_path / "pw.out", results) is None


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_messages_hold_the_line_and_a_mend(tmp_path, kind):
    (tmp_path / "pw.out").write_text(ENDS[kind.name])
    fault = diagnose(tmp_path / "pw.out")
    assert fault is not None
    assert "\n" not in fault.message
    assert fault.kind.mend
    assert "{" not in fault.message
