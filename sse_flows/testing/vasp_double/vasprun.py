"""The vasprun.xml."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from sse_flows.testing.vasp_double.crystal import Array, Crystal
from sse_flows.testing.vasp_double.incar import kind_of
from sse_flows.testing.vasp_double.lines import LineFile
from sse_flows.testing.vasp_double.mark import MARK, VERSION
from sse_flows.testing.vasp_double.model import Evaluated
from sse_flows.testing.vasp_double.outcar import KILOBAR
from sse_flows.testing.vasp_double.response import Response
from sse_flows.testing.vasp_double.setup import Setup

_LISTS = ("MAGMOM", "ROPT", "LDAUU", "LDAUJ", "LDAUL")
_ENERGIES = ("e_fr_energy", "e_wo_entrp", "e_0_energy")


class Vasprun(LineFile):
    """Writes block by block; an interrupted run leaves a file without its end, as VASP's is."""

    def header(self) -> None:
        """Inputs."""
        setup = self.setup
        self.write('<?xml version="1.0" encoding="UTF-8"?>', "<modeling>", " <generator>")
        self.write(_value("program", "vasp", "string"), _value("version", VERSION, "string"))
        self.write(_value("subversion", MARK, "string"), " </generator>", " <incar>")
        tags = dict(setup.incar.tags)
        tags["SYSTEM"] = f"{MARK}: {tags.get('SYSTEM', '')}"
        self.write(*(_tag(name, value) for name, value in tags.items()), " </incar>")
        self.write(*_kpoints(setup), ' <parameters><separator name="general">')
        self.write(*_parameters(setup), " </separator></parameters>", *_atoms(setup))
        self.write(*_structure(setup.crystal, "initialpos"))

    def open_step(self) -> None:
        """Begin an ionic step."""
        self.write(" <calculation>")

    def electronic_step(self, energy: float, entropy: float, last: bool) -> None:
        """One iteration; the last one has the terms of the energy too, as in VASP."""
        terms = [("eentropy", entropy)] if last else []
        energies = [(name, energy) for name in _ENERGIES]
        self.write("  <scstep>", *_energies([*terms, *energies]), "  </scstep>")

    def ionic_step(self, crystal: Crystal, result: Evaluated) -> None:
        """Geometry, forces, stress and energy."""
        self.write(*_structure(crystal))
        self.write(*_varray("forces", result.forces))
        self.write(*_varray("stress", -KILOBAR * result.stress))
        self.write(*_energies([(name, result.energy) for name in _ENERGIES]))

    def close_step(self) -> None:
        """End an ionic step."""
        self.write(" </calculation>")

    def response(self, response: Response) -> None:
        """Tensors of a run with LEPSILON, inside its calculation."""
        self.write(*_varray("epsilon", response.dielectric))
        self.write(*_varray("epsilon_rpa", response.dielectric))
        if response.ionic is not None:
            self.write(*_varray("epsilon_ion", response.ionic))
        self.write('  <array name="born_charges"><dimension dim="1">ion</dimension>')
        for tensor in response.born:
            self.write("   <set>", *_rows(tensor), "   </set>")
        self.write("  </array>")

    def modes(self, dynamical: Array, values: Array, vectors: Array) -> None:
        """Hessian, eigenvalues and eigenvectors of the normal modes."""
        self.write("  <dynmat>", *_varray("hessian", dynamical))
        joined = "".join(f" {value:15.8f}" for value in values)
        self.write(f'   <v name="eigenvalues">{joined}</v>', *_varray("eigenvectors", vectors))
        self.write('   <i name="unit" type="string">THz^2</i>', "  </dynmat>")

    def electrons(self) -> None:
        """Eigenvalues and density of states, inside the last calculation."""
        self.write(*_eigenvalues(self.setup), *_density(self.setup))

    def footer(self, crystal: Crystal) -> None:
        """Final geometry and the end."""
        self.write(*_structure(crystal, "finalpos"), "</modeling>")
        self.close()


def _value(name: str, value: str, kind: str = "") -> str:
    typed = f" type={quoteattr(kind)}" if kind else ""
    return f"  <i{typed} name={quoteattr(name)}>{escape(value)}</i>"


def _tag(name: str, value: str) -> str:
    """A tag of the INCAR; lists in an element of their own, 2*0.5 written out."""
    words = []
    for word in value.split():
        times, star, single = word.rpartition("*")
        words += [single] * int(times) if star and times.isdigit() else [word]
    joined = " ".join(words)
    kind = kind_of(joined)
    if kind == "logical":
        joined = " ".join("T" if w.strip(".")[0].lower() == "t" else "F" for w in words)
    if kind == "":
        joined = re.sub("[dD]", "E", joined)
    if kind == "string" or (len(words) == 1 and name not in _LISTS):
        return _value(name, joined, kind)
    typed = f" type={quoteattr(kind)}" if kind else ""
    return f"  <v{typed} name={quoteattr(name)}>{joined}</v>"


def _parameters(setup: Setup) -> Iterator[str]:
    """Tags with their values after defaults, for readers that ask what was really used."""
    incar, bands = setup.incar, setup.bands
    defaults = {
        "PREC": "Normal",
        "ALGO": "Normal",
        "GGA": "PE",
        "METAGGA": "--",
        "ISTART": "0",
        "ICHARG": "2",
        "ISMEAR": "1",
        "SIGMA": "0.2",
        "ISIF": "2",
        "POTIM": "0.5",
        "LORBIT": "0",
        "ISYM": "2",
        "LREAL": "F",
        "LWAVE": "T",
        "LCHARG": "T",
        "LDAU": "F",
        "LUSE_VDW": "F",
        "LHFCALC": "F",
        "AEXX": "0.0",
        "HFSCREEN": "0.0",
        "AGGAC": "1.0",
        "LEPSILON": "F",
        "LCALCEPS": "F",
        "LCHIMAG": "F",
        "NELMIN": "2",
        "LNONCOLLINEAR": "F",
        "LSORBIT": "F",
    }
    used = {
        "SYSTEM": MARK,
        "NELM": f"{setup.most_electronic_steps}",
        "NSW": f"{incar.nsw}",
        "IBRION": f"{incar.ibrion}",
        "ISPIN": f"{bands.spins}",
        "ENMAX": f"{setup.cutoff:.8f}",
        "ENCUT": f"{setup.cutoff:.8f}",
        "EDIFF": f"{setup.ediff:.10f}",
        "EDIFFG": f"{setup.ediffg:.8f}",
        "NBANDS": f"{bands.energies.shape[1]}",
        "NELECT": f"{bands.electrons:.8f}",
        "NEDOS": "301",
        **{f"NG{axis}": f"{n}" for axis, n in zip("XYZ", setup.grid, strict=True)},
    }
    tags = {**defaults, **{k: v for k, v in incar.tags.items() if k in defaults}, **used}
    yield from (_tag(name, value) for name, value in tags.items())
    if incar.reals("MAGMOM"):
        yield _tag("MAGMOM", incar.text("MAGMOM"))


def _kpoints(setup: Setup) -> Iterator[str]:
    k = setup.kpoints
    yield " <kpoints>"
    if k.style != "Reciprocal":
        yield f"  <generation param={quoteattr(k.style)}>"
        yield f'   <v type="int" name="divisions">{" ".join(map(str, k.divisions))}</v>'
        if k.style != "listgenerated":
            yield f'   <v name="usershift">{" ".join(map(str, k.shift))}</v>'
        yield "  </generation>"
    yield from _varray("kpointlist", k.points)
    yield from _varray("weights", k.weights.reshape(-1, 1))
    yield " </kpoints>"


def _atoms(setup: Setup) -> Iterator[str]:
    yield f" <atominfo><atoms>{len(setup.crystal.species)}</atoms>"
    yield f'  <types>{len(setup.crystal.counts)}</types><array name="atoms"><set>'
    for species, kind in zip(setup.crystal.species, setup.crystal.types, strict=True):
        yield f"   <rc><c>{species:2s}</c><c>{kind + 1:4d}</c></rc>"
    yield '  </set></array><array name="atomtypes"><set>'
    for (element, number), p in zip(setup.crystal.blocks, setup.potentials, strict=True):
        yield (
            f"   <rc><c>{number:4d}</c><c>{element:2s}</c><c>{p.mass:12.6f}</c>"
            f"<c>{p.valence:12.6f}</c><c>{escape(p.title)}</c></rc>"
        )
    yield "  </set></array></atominfo>"


def _structure(crystal: Crystal, name: str = "") -> Iterator[str]:
    yield f" <structure name={quoteattr(name)}>" if name else " <structure>"
    yield "  <crystal>"
    yield from _varray("basis", crystal.lattice)
    yield f'  <i name="volume">{crystal.volume:16.8f}</i>'
    yield from _varray("rec_basis", np.linalg.inv(crystal.lattice).T.astype(float))
    yield "  </crystal>"
    yield from _varray("positions", crystal.fractional % 1.0)
    yield " </structure>"


def _energies(terms: Sequence[tuple[str, float]]) -> Iterator[str]:
    yield "   <energy>"
    yield from (_value(name, f"{value:16.8f}") for name, value in terms)
    yield "   </energy>"


def _varray(name: str, array: Array) -> Iterator[str]:
    yield f"  <varray name={quoteattr(name)}>"
    yield from _rows(array)
    yield "  </varray>"


def _rows(array: Array) -> Iterator[str]:
    form = "<v>" + " %16.8f" * array.shape[1] + " </v>"
    yield from (form % tuple(row) for row in array)


def _eigenvalues(setup: Setup) -> Iterator[str]:
    bands = setup.bands
    yield "  <eigenvalues><array><field>eigene</field><field>occ</field><set>"
    for spin in range(1, bands.spins + 1):
        yield f'   <set comment="spin {spin}">'
        levels = zip(bands.energies, bands.occupations, strict=True)
        for number, (energies, occupations) in enumerate(levels, 1):
            yield f'    <set comment="kpoint {number}">'
            rows = np.column_stack([energies, occupations])
            yield from (f"<r>{energy:10.4f} {filled:8.4f} </r>" for energy, filled in rows)
            yield "    </set>"
        yield "   </set>"
    yield "  </set></array></eigenvalues>"


def _density(setup: Setup) -> Iterator[str]:
    table = setup.bands.density(setup.kpoints.weights)
    yield "  <dos>"
    yield _value("efermi", f"{setup.bands.fermi:16.8f}")
    yield "  <total><array><field>energy</field><field>total</field><field>integrated</field><set>"
    for spin in range(1, setup.bands.spins + 1):
        yield f'   <set comment="spin {spin}">'
        yield from (f"<r>{e:12.4f} {d:12.4f} {i:12.4f} </r>" for e, d, i in table)
        yield "   </set>"
    yield "  </set></array></total></dos>"
