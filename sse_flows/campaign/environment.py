"""What this machine has for a campaign, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sse_flows.errors import SSEError

if TYPE_CHECKING:
    from sse_flows.campaign.manifest import Manifest
    from sse_flows.codes.code import Code

State = Literal["ok", "missing", "broken"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at.

    Attributes
    ----------
    subject
        What was looked at.
    state
        ``ok``; ``missing``: something optional; ``broken``: campaigns cannot run.
    detail
        Version or state.
    mend
        What to do, if anything.
    """

    subject: str
    state: State
    detail: str
    mend: str | None = None


def inspect_environment(campaign: Path | None = None) -> list[Finding]:
    """Look at packages, force fields, store, programs and keys; nothing is changed.

    Parameters
    ----------
    campaign
        A campaign file; what its code needs for its elements is then looked at too.

    Raises
    ------
    SSEError
        The campaign file is wrong.
    """
    return [
        *_packages(),
        *_force_fields(),
        _store(),
        _writable(),
        *_programs(),
        *_espresso(),
        *_vasp(),
        _materials_project(),
        *([] if campaign is None else _campaign(campaign)),
    ]


def _packages() -> list[Finding]:
    needed = ("atomate2", "jobflow", "fireworks", "pymatgen", "phonopy", "scikit-learn", "maggma")
    return [_package(name, "broken", f"pip install {name}") for name in needed]


def _package(name: str, absent: State, mend: str) -> Finding:
    try:
        return Finding(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Finding(name, absent, "not installed", mend)


def _force_fields() -> list[Finding]:
    mend = "pip install 'sse-flows[forcefield]'"
    found = [
        Finding(f"force field {model}", item.state, f"{item.subject} {item.detail}", item.mend)
        for model, item in (
            ("SevenNet", _package("sevenn", "missing", mend)),
            ("CHGNet", _package("chgnet", "missing", mend)),
        )
    ]
    torch = _package("torch", "broken", "pip install torch==2.13.0 (a CPU build will do)")
    return [torch, *found]


def _store() -> Finding:
    """The store that campaigns would use, without its secrets."""
    try:
        # jobflow reads its file on import
        from sse_flows.store.jobstore import configured_store, connect, store_place

        store = configured_store()
        if store is None:
            return _embedded_store()
        connect(store)
    except SSEError as error:
        return Finding("store", "broken", error.message, error.mend)
    except Exception as error:
        place = os.environ.get("JOBFLOW_CONFIG_FILE", "~/.jobflow.yaml")
        detail = f"{type(error).__name__} with the store of {place}"
        return Finding("store", "broken", detail, "Check that file and that the database answers")
    kind = type(store.docs_store).__name__
    return Finding("store", "ok", f"{kind} of jobflow's configuration: {store_place(store)}")


def _embedded_store() -> Finding:
    from sse_flows.store.sqlite import network_file_system

    detail = "embedded: a SQLite file in each results folder"
    shared = network_file_system(Path.cwd())
    if shared is None:
        return Finding("store", "ok", detail)
    mend = "to run on several machines at once, configure MongoDB for jobflow (docs/store.md)"
    return Finding(
        "store", "missing", f"{detail}, here on {shared}: for one machine at a time", mend
    )


def _writable() -> Finding:
    folder = Path.cwd()
    free = shutil.disk_usage(folder).free / 1e9
    if not os.access(folder, os.W_OK):
        return Finding("working folder", "missing", f"{folder} is read-only", "cd elsewhere")
    if free < 2:
        return Finding("working folder", "missing", f"{free:.1f} GB free", "Free some space")
    return Finding("working folder", "ok", f"{free:.0f} GB free")


def _programs() -> list[Finding]:
    wanted = {"sbatch": "for clusters only: run on a login node of a Slurm cluster"}
    findings = []
    for program, mend in wanted.items():
        path = shutil.which(program)
        state: State = "ok" if path else "missing"
        findings.append(Finding(program, state, path or "not on PATH", None if path else mend))
    return findings


def _espresso() -> list[Finding]:
    """pw.x, ph.x and the folder of pseudopotentials."""
    from sse_flows.codes.espresso.pseudopotentials import VARIABLE

    folder = os.environ.get(VARIABLE)
    if not folder:
        pseudo = Finding(
            VARIABLE,
            "missing",
            "not set",
            f"for Quantum ESPRESSO only: export {VARIABLE}=<folder of UPF files>",
        )
    elif not Path(folder).expanduser().is_dir():
        pseudo = Finding(VARIABLE, "missing", f"{folder} is no folder", "Mend the variable")
    else:
        files = [p for p in Path(folder).expanduser().iterdir() if p.suffix.lower() == ".upf"]
        pseudo = Finding(VARIABLE, "ok", f"{folder}, {len(files)} UPF files")
    return [_espresso_program("pw.x", ""), _espresso_program("ph.x", ""), pseudo]


def _espresso_program(name: str, command: str, absent: State = "missing") -> Finding:
    from sse_flows.codes.espresso.check import find_program
    from sse_flows.codes.espresso.job import Launch

    try:
        program = find_program(Launch(command), name)
    except SSEError as error:
        return Finding(name, absent, error.message, error.mend)
    if program is None:
        mend = "apt-get install quantum-espresso, or set SSE_ESPRESSO_COMMAND or code.command"
        only = "" if absent == "broken" else "for Quantum ESPRESSO only: "
        wanted = " ".join(Launch(command).words(name))
        return Finding(name, absent, f"{wanted!r} not found", f"{only}{mend}")
    version = f"version {program.version}" if program.version else "version unknown"
    parallel = f", {program.parallel}" if program.parallel else ""
    return Finding(name, "ok", f"{program.path}, {version}{parallel}")


def _vasp() -> list[Finding]:
    """VASP by atomate2's settings, and the folder of POTCARs by pymatgen's."""
    from sse_flows.codes.vasp.potcars import FOLDER_SETTING, folder

    place = folder()
    mend = f"for VASP only: export {FOLDER_SETTING}=<folder made by pmg config -p>"
    if place is None:
        potcars = Finding(FOLDER_SETTING, "missing", "not set", mend)
    elif not place.is_dir():
        potcars = Finding(FOLDER_SETTING, "missing", f"{place} is no folder", mend)
    else:
        sets = sorted(one.name for one in place.iterdir() if one.is_dir())
        potcars = Finding(FOLDER_SETTING, "ok", f"{place}: {', '.join(sets) or 'empty'}")
    return [_vasp_program("", ""), _vasp_program("", "", gamma=True), potcars]


def _vasp_program(
    command: str, gamma_command: str, gamma: bool = False, absent: State = "missing"
) -> Finding:
    from sse_flows.codes.vasp.check import find_program
    from sse_flows.codes.vasp.launch import GAMMA, STANDARD, Launch

    name = GAMMA if gamma else STANDARD
    launch = Launch(command, gamma_command)
    program = find_program(launch, gamma)
    if program is None:
        text = launch.commands()[int(gamma)]
        only = "" if absent == "broken" else "for VASP only: "
        mend = f"{only}load its module, or set VASP_CMD of atomate2 (ATOMATE2_VASP_CMD)"
        return Finding(name, absent, f"{text!r} not found", mend)
    version = f"version {program.version}" if program.version else "version unknown"
    starter = f", started by {program.starter}" if program.starter else ""
    return Finding(name, "ok", f"{program.path}, {version}{starter}")


def _campaign(path: Path) -> list[Finding]:
    """Whether the code of a campaign can treat its elements."""
    from sse_flows.campaign.flow import Campaign, make_code
    from sse_flows.campaign.pool import elements_of

    campaign = Campaign.from_file(path)
    try:
        code = make_code(campaign.manifest)
        findings = [Finding(f"code of {campaign.manifest.name}", "ok", code.method)]
    except SSEError as error:
        return [Finding("code of the campaign", "broken", error.message, error.mend)]
    findings += _campaign_programs(campaign.manifest)
    compounds = campaign.pool.compounds.values()
    return [*findings, *_elements(code, {e for one in compounds for e in elements_of(one)})]


def _campaign_programs(manifest: Manifest) -> list[Finding]:
    """The programs that a campaign's code starts, without which it cannot run.

    Where Slurm is they may be absent: jobs load their module on the nodes.
    """
    section = manifest.code
    absent: State = "missing" if shutil.which("sbatch") else "broken"
    if section.name == "espresso":
        names = ["pw.x", *(["ph.x"] if manifest.phonons.born_charges else [])]
        return [_espresso_program(name, section.command, absent) for name in names]
    if section.name == "vasp":
        given = (section.command, section.gamma_command)
        return [_vasp_program(*given, absent=absent), _vasp_program(*given, gamma=True)]
    return []


def _elements(code: Code, elements: Iterable[str]) -> list[Finding]:
    """What a code needs for each element; what is wrong with all of them alike is said once."""
    found, wrong = [], defaultdict(list)
    for element in sorted(elements):
        try:
            found += [Finding(element, "ok", text) for text in code.of([element]).needs]
        except SSEError as error:
            wrong[error.message, error.mend].append(element)
    broken = [Finding(", ".join(names), "broken", *told) for told, names in wrong.items()]
    return [*found, *broken]


def _materials_project() -> Finding:
    if importlib.util.find_spec("mp_api") is None:
        mend = "only to query the Materials Project: pip install 'sse-flows[mp]'"
        return Finding("mp-api", "missing", "not installed", mend)
    if not os.environ.get("MP_API_KEY"):
        mend = "only to query the Materials Project: export MP_API_KEY=<your key>"
        return Finding("MP_API_KEY", "missing", "not set", mend)
    return Finding("MP_API_KEY", "ok", "set")
