"""The section ``code`` of a campaign file, one model for each code, and the codes made of them.

To add a code: a model with its ``name`` and ``make``, put into `CODES`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

if TYPE_CHECKING:
    from sse_flows.codes.code import Code


class _CodeSection(BaseModel):
    model_config = ConfigDict(extra="forbid")

    def make(self) -> Code:
        """The code of this section; imports are heavy."""
        raise NotImplementedError

    def phonon_defaults(self) -> dict[str, Any]:
        """Fields of the section ``phonons`` that this code sets where the file does not."""
        return {}


class ForceFieldSection(_CodeSection):
    """A machine-learned force field."""

    name: Literal["forcefield"] = Field("forcefield", description="Kind of code")
    model: str = Field("SevenNet-0", description="Force field by name or file")
    calculator: dict[str, Any] = Field(
        default_factory=dict, description="Options passed to its ASE calculator"
    )

    def make(self) -> Code:
        """The force field."""
        from sse_flows.codes.forcefield import ForceField

        return ForceField(self.model, self.calculator)


def _one_of(known: Collection[str], value: str) -> str:
    """The value, if it is a known one."""
    if value not in known:
        raise ValueError(f"give one of {', '.join(known)}{_nearest(value, known)}")
    return value


def _nearest(value: str, known: Collection[str]) -> str:
    """The known name that was meant, as a question; empty where none is like it."""
    names = {name.lower(): name for name in known}
    near = difflib.get_close_matches(value.lower(), names, n=1)
    return f"; did you mean {names[near[0]]}?" if near else ""


def _kpoints(kinds: str) -> WrapValidator:
    """Say in one line which kinds of k points there are; pydantic says it once a kind."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"give {kinds}") from None

    return WrapValidator(check)


_Mesh = Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=3, max_length=3)]
_Number = Annotated[float, Field(gt=0)]
KPoints = Annotated[_Mesh | _Number, _kpoints("a mesh such as [5, 5, 5], or a spacing in 1/Å")]


class EspressoSection(_CodeSection):
    """Quantum ESPRESSO."""

    name: Literal["espresso"] = Field("espresso", description="Kind of code")
    preset: str = Field("tight", description="Named settings: tight or jaafreh2024")
    pseudopotentials: str | dict[str, str] | None = Field(
        None, description="Folder, JSON family, or files by element; None for ESPRESSO_PSEUDO"
    )
    functional: str | None = Field(None, description="PBE, PBEsol or LDA; None for the preset's")
    command: str = Field("", description="Of pw.x; empty for SSE_ESPRESSO_COMMAND of the machine")
    kpoints: KPoints | None = Field(None, description="Mesh, or spacing in 1/Å, of cells")
    supercell_kpoints: KPoints | None = Field(None, description="The same of supercells")
    spin: Literal["auto", "none", "polarised"] = Field("auto", description="Spin polarisation")
    input: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Namelists of pw.x and ph.x that win over the preset"
    )

    @field_validator("preset")
    @classmethod
    def _is_known(cls, value: str) -> str:
        from sse_flows.codes.espresso.inputs import presets

        return _one_of(presets(), value)

    @field_validator("functional")
    @classmethod
    def _is_spelt_as_in_files(cls, value: str | None) -> str | None:
        return value and {"pbe": "PBE", "pbesol": "PBEsol", "lda": "LDA"}.get(value.lower(), value)

    @field_validator("input")
    @classmethod
    def _has_known_keys(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        from sse_flows.codes.espresso.inputs import known_keys, unknown_keys

        if unknown := unknown_keys(value):
            names = [f"{section}.{key}" for section, keys in known_keys().items() for key in keys]
            raise ValueError(
                f"no keys of pw.x or ph.x: {', '.join(unknown)}; write them as in "
                f"input: {{system: {{ecutwfc: 60}}}}{_nearest(unknown[0], names)}"
            )
        return value

    def make(self) -> Code:
        """The code; whether its programs are here is not asked."""
        from sse_flows.codes.espresso.code import Espresso

        return Espresso(**self.model_dump(exclude={"name"}))

    def phonon_defaults(self) -> dict[str, Any]:
        """What the preset says of displacements and supercells."""
        from sse_flows.codes.espresso.inputs import presets

        return presets()[self.preset]["phonons"]


class KPointLength(BaseModel):
    """k points by a length."""

    model_config = ConfigDict(extra="forbid")

    length: float = Field(gt=0, description="Å; int(length |b| + 1/2) points along each vector b")


VaspKPoints = Annotated[
    _Mesh | _Number | KPointLength,
    _kpoints("a mesh such as [5, 5, 5], points times atoms such as 5000, or {length: 19.7} in Å"),
]


class VaspSection(_CodeSection):
    """VASP."""

    name: Literal["vasp"] = Field("vasp", description="Kind of code")
    preset: str = Field("kim2024", description="Named settings: kim2024 or kyoto")
    potcar_functional: str = Field("PBE_54", description="Set of POTCARs, as pymatgen names it")
    potcars: dict[str, str] = Field(
        default_factory=dict, description="POTCARs by element, such as Li: Li_sv"
    )
    incar: dict[str, Any] = Field(
        default_factory=dict, description="Keys that win over the preset; null takes one away"
    )
    kpoints: VaspKPoints | None = Field(
        None, description="Mesh, density (points times atoms) or {length: Å} of cells"
    )
    supercell_kpoints: VaspKPoints | None = Field(None, description="The same of supercells")
    spin: Literal["auto", "none", "polarised"] = Field("auto", description="Spin polarisation")
    command: str = Field("", description="Of vasp_std; empty for VASP_CMD of atomate2's settings")
    gamma_command: str = Field("", description="Of vasp_gam; empty for one like `command`")

    @field_validator("preset")
    @classmethod
    def _is_known(cls, value: str) -> str:
        from sse_flows.codes.vasp.presets import presets

        return _one_of(presets(), value)

    @field_validator("potcar_functional")
    @classmethod
    def _is_known_set(cls, value: str) -> str:
        from sse_flows.codes.vasp.potcars import functionals

        return _one_of(functionals(), value)

    @field_validator("potcars")
    @classmethod
    def _suit_their_elements(cls, value: dict[str, str]) -> dict[str, str]:
        wrong = [f"{k}: {v}" for k, v in value.items() if not re.fullmatch(rf"{k}([^a-z].*)?", v)]
        if wrong:
            raise ValueError(f"no POTCAR of that element: {', '.join(wrong)}")
        return value

    @field_validator("incar")
    @classmethod
    def _has_right_keys(cls, value: dict[str, Any]) -> dict[str, Any]:
        from sse_flows.codes.vasp.presets import wrong_keys

        if faults := wrong_keys(value):
            raise ValueError("; ".join(faults))
        return {key.upper(): one for key, one in value.items()}

    def make(self) -> Code:
        """The code; whether VASP is here is not asked."""
        from sse_flows.codes.vasp.code import Vasp

        return Vasp(**self.model_dump(exclude={"name"}))

    def phonon_defaults(self) -> dict[str, Any]:
        """What the preset says of displacements and supercells."""
        from sse_flows.codes.vasp.presets import presets

        return presets()[self.preset]["phonons"]


CODES = ("forcefield", "espresso", "vasp")
"""Names of codes, the default first."""


def _named(value: Any) -> Any:
    """``code: espresso`` and ``code: CHGNet`` for short, and the default's name."""
    if isinstance(value, str):
        is_name = value.replace("-", "").isalnum()  # not a file of a force field
        if value not in CODES and is_name and (meant := _nearest(value, CODES)):
            raise ValueError(f"no code has that name{meant}")
        return {"name": value} if value in CODES else {"name": CODES[0], "model": value}
    if isinstance(value, Mapping):
        name = value.get("name", CODES[0])
        if name not in CODES and (meant := _nearest(str(name), CODES)):
            raise ValueError(f"no code has the name {name}{meant}")
        return {"name": CODES[0], **value}
    return value


CodeSection = Annotated[
    Annotated[ForceFieldSection | EspressoSection | VaspSection, Field(discriminator="name")],
    BeforeValidator(_named),
]
