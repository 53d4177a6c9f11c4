"""Made-up pseudopotentials: what the double must know of an element, in the form of a POTCAR.

VASP knows nothing of an element but what the POTCAR says, and neither does the double: radii,
charges and electronegativities stand where a real file has its tables. It takes no other file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sse_flows.testing.vasp_double.mark import MARK

END = "End of Dataset"


@dataclass(frozen=True)
class Potential:
    """One element.

    Parameters
    ----------
    symbol
        Of the pseudopotential, such as ``Li_sv``.
    element
        Of the periodic table.
    mass
        u.
    valence
        Number of valence electrons.
    cutoff
        Recommended plane-wave cutoff, eV.
    electronegativity
        Pauling's.
    covalent_radius, metallic_radius
        Å.
    metal
        Whether the element is a metal.
    open_shell
        Whether it may carry a magnetic moment.
    states
        Radius (Å) of the ion of each common oxidation state.
    """

    symbol: str
    element: str
    mass: float
    valence: int
    cutoff: float
    electronegativity: float
    covalent_radius: float
    metallic_radius: float
    metal: bool
    open_shell: bool
    states: dict[int, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """As TITEL and first line."""
        return f"PAW_PBE {self.symbol} FAKE, {MARK}"


def potcar_text(potential: Potential) -> str:
    """One data set, parsed by pymatgen as a POTCAR and by :func:`read_potcar` as a Potential."""
    p = potential
    rows = [
        f"  {p.title}",
        f"   {p.valence:.14f}",
        " parameters from PSCTR are:",
        f"   VRHFIN ={p.element}: made up for tests",
        "   LEXCH  = PE",
        f"   EATOM  = {10.0 * p.valence:10.4f} eV",
        f"   TITEL  = {p.title}",
        "   LULTRA =        F",
        "   LUNSCR =        T",
        "   RPACOR =    0.000",
        f"   POMASS = {p.mass:8.3f}; ZVAL   = {p.valence:8.3f}",
        f"   RCORE  = {p.covalent_radius:8.3f}",
        f"   RWIGS  = {p.metallic_radius:8.3f}",
        f"   ENMAX  = {p.cutoff:8.3f}; ENMIN  = {0.75 * p.cutoff:8.3f} eV",
        "   LCOR   =        T",
        "   LPAW   =        T",
        "END of PSCTR-controll parameters",
        f" electronegativity {p.electronegativity:.3f}",
        f" metal {p.metal:d}",
        f" openshell {p.open_shell:d}",
        *(f" state {charge:d} {radius:.4f}" for charge, radius in p.states.items()),
        f" {END}",
    ]
    return "\n".join(rows) + "\n"


def read_potcar(path: Path) -> list[Potential]:
    """Read the data sets of a POTCAR.

    Raises
    ------
    ValueError
        It is not one of the double's own.
    """
    texts = path.read_text().split(END)
    return [_parse(text, path) for text in texts if text.strip()]


def _parse(text: str, path: Path) -> Potential:
    if MARK not in text:
        raise ValueError(f"{path} is no pseudopotential of the {MARK}: it uses its own alone")
    header, _, body = text.partition("END of PSCTR-controll parameters")
    keys = {}
    for part in header.replace(";", "\n").splitlines():
        key, equals, value = part.partition("=")
        if equals:
            keys[key.strip()] = value.strip()
    rows = [line.split() for line in body.splitlines() if line.strip()]
    single = {row[0]: float(row[1]) for row in rows if row[0] != "state"}
    return Potential(
        symbol=keys["TITEL"].split()[1],
        element=keys["VRHFIN"].split(":")[0].strip(),
        mass=_number(keys["POMASS"]),
        valence=round(_number(keys["ZVAL"])),
        cutoff=_number(keys["ENMAX"]),
        electronegativity=single["electronegativity"],
        covalent_radius=_number(keys["RCORE"]),
        metallic_radius=_number(keys["RWIGS"]),
        metal=bool(single["metal"]),
        open_shell=bool(single["openshell"]),
        states={int(row[1]): float(row[2]) for row in rows if row[0] == "state"},
    )


def _number(value: str) -> float:
    return float(value.split(maxsplit=1)[0])
