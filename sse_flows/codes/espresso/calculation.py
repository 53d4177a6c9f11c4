"""One run of pw.x in the present folder, from its input to its document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pymatgen.core import Structure

from sse_flows.codes.espresso.density import clean, copy_density
from sse_flows.codes.espresso.documents import EspressoDocument, describe_run
from sse_flows.codes.espresso.inputs import PW_INPUT, Settings, edit_input, read_input, write_pw
from sse_flows.codes.espresso.job import run_pw
from sse_flows.codes.espresso.outputs import read_pw, xml_path
from sse_flows.codes.espresso.pseudopotentials import locate
from sse_flows.codes.espresso.ranks import leave_files_of_others
from sse_flows.codes.espresso.resume import changes, is_finished, prepare_restart
from sse_flows.codes.labels import run_labels


def calculate(
    maker: Any,
    calculation: str,
    structure: Structure,
    settings: Settings,
    prev_dir: str | Path | None,
    keep: bool = False,
) -> EspressoDocument:
    """One run of pw.x in the present folder.

    Parameters
    ----------
    maker
        Its ``name`` and ``launch`` are used, and ``keep_density`` and ``gamma_tricks`` if it has
        them.
    calculation
        ``scf``, ``nscf``, ``relax`` or ``vc-relax``.
    structure, settings
        What is computed, and with what.
    prev_dir
        Folder of a calculation of a similar crystal, whose density is the start; ``nscf`` needs it.
    keep
        Whether all files stay for a run to follow; what is finished is then not run again.

    Raises
    ------
    SSEError
        It failed and could not be mended.
    """
    folder = Path.cwd()
    leave_files_of_others(folder, maker.launch.words())
    draft = write_draft(maker, calculation, structure, settings)
    asked, source = read_input(draft)[0], None
    if keep and is_finished(folder, draft):
        corrections = changes(asked, folder / PW_INPUT)
    else:
        source = _prepare(draft, calculation, structure, prev_dir)
        before = changes(asked, folder / PW_INPUT)
        corrections = [*before, *run_pw(folder, maker.launch)]
    draft.unlink(missing_ok=True)
    result = read_pw(xml_path(folder))
    namelists = {name: dict(keys) for name, keys in read_input(folder / PW_INPUT)[0].items()}
    if namelists.get("electrons", {}).get("startingpot") != "file":
        source = None  # a handler did without it
    if not keep:
        clean(folder, keep_density=getattr(maker, "keep_density", False))
    return describe_run(
        structure,
        settings,
        result,
        namelists,
        corrections=corrections,
        density_from=source,
        task_label=maker.name,
        **run_labels(folder),
    )


def write_draft(maker: Any, calculation: str, structure: Structure, settings: Settings) -> Path:
    """The input of pw.x under another name: what is in the folder is looked at first."""
    draft = Path.cwd() / "pw.draft"
    pseudo_dir = locate(settings.pseudopotentials, maker.launch.pseudo_dir)
    tricks = getattr(maker, "gamma_tricks", True)
    write_pw(draft, structure, settings, calculation, str(pseudo_dir), gamma_tricks=tricks)
    return draft


def _prepare(
    draft: Path, calculation: str, structure: Structure, prev_dir: str | Path | None
) -> str | None:
    """Make ``pw.in`` of its draft; returns the folder whose density is the start, if any."""
    folder = draft.parent
    if prepare_restart(folder, draft):
        return None
    if not copy_density(prev_dir, structure, folder / PW_INPUT) or calculation == "nscf":
        return None  # what is not self-consistent starts from a density in any case
    edit_input(folder / PW_INPUT, {"electrons": {"startingpot": "file"}})
    return str(prev_dir)
