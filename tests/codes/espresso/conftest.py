"""A cheap crystal and pseudopotentials of our own making."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.codes.espresso.job import Launch
from sse_flows.codes.espresso.pseudopotentials import Pseudopotential

HEADER = """\
<UPF version="2.0.1">
<PP_INFO>
{info}
</PP_INFO>
<PP_HEADER generated="by hand" element="{element}" pseudo_type="{kind}" has_so="{spin_orbit}"
 functional="{functional}" z_valence="1.0" wfc_cutoff="{wfc}" rho_cutoff="{rho}"/>
</UPF>
"""


def _write_upf(folder: Path, name: str, **fields) -> Path:
    """A file with the header of a pseudopotential and nothing else."""
    element = name.split(".", maxsplit=1)[0]
    given = {"element": element, "kind": "PAW", "functional": "PBE", "wfc": 0, "rho": 0}
    given |= {"info": "", "spin_orbit": "F"}
    path = folder / name
    path.write_text(HEADER.format(**{**given, **fields}))
    return path


@pytest.fixture
def upf() -> Callable[..., Path]:
    """Writes a file with the header of a pseudopotential: ``upf(folder, "Li.x.UPF", ...)``."""
    return _write_upf


@pytest.fixture
def pseudo(tmp_path) -> Path:
    """Folder of pseudopotentials of Li and O, in PBE and PBEsol."""
    folder = tmp_path / "pseudo"
    folder.mkdir()
    for functional in ("PBE", "PBESOL"):
        _write_upf(folder, f"Li.{functional}.UPF", functional=functional, wfc=40.0, rho=320.0)
        _write_upf(folder, f"O.{functional}.UPF", functional=functional, wfc=55.0, rho=400.0)
    return folder


def _stand_in(element: str, **fields) -> Pseudopotential:
    """A pseudopotential that no program will read."""
    given = {"file": f"{element}.UPF", "sha256": "0" * 16, "functional": "PBE", "kind": "PAW"}
    return Pseudopotential(**{**given, "cutoff_wfc": 40.0, "cutoff_rho": 320.0, **fields})


@pytest.fixture
def stand_in() -> Callable[..., Pseudopotential]:
    """Makes pseudopotentials that no program will read: ``stand_in("Li", kind="NC")``."""
    return _stand_in


STOPPER = """\
#!/bin/sh
[ -f seen ] && exec {program} "$@"
cp -r out before 2>/dev/null
for attempt in 1 2 3 4 5 6 7 8 9; do
    {program} "$@" >pw.out 2>&1 & pid=$!
    while kill -0 $pid 2>/dev/null; do
        grep -q "{when}" pw.out && touch pwscf.EXIT
        sleep 0.02
    done
    wait $pid; code=$?
    grep -q "{when}" pw.out || exit $code
    if grep -q "Program stopped by user request" pw.out; then
        touch seen
        sed -i 's/Program stopped by user request/Maximum CPU time exceeded/' pw.out
        exit $code
    fi
    rm -rf out pwscf.EXIT  # too late: pw.x was done before it looked
    [ -d before ] && cp -r before out
done
exit 1
"""


@pytest.fixture
def stopper(espresso_here) -> Callable[..., Launch]:
    """Makes a command that stops the real pw.x once, as its clock does, where a text is printed.

    pw.x leaves the same state at the request of a user as at the end of its time.
    """

    def command(when: str, launcher: str = "", options: str = "") -> Launch:
        program = f"{launcher} {shutil.which('pw.x')}"
        path = espresso_here / "bin" / "pw.x"
        path.parent.mkdir(exist_ok=True)
        path.write_text(STOPPER.format(program=program, when=when))
        path.chmod(0o755)
        return Launch(f"{path} {options}")

    return command


@pytest.fixture
def silicon() -> Structure:
    """Two atoms, one of them off its place so that forces do not vanish by symmetry."""
    crystal = Structure.from_spacegroup("Fd-3m", Lattice.cubic(5.43), ["Si"], [[0, 0, 0]])
    primitive = crystal.get_primitive_structure()
    primitive.translate_sites([0], [0.02, 0.01, -0.015], frac_coords=False)
    return primitive
