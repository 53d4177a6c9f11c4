"""A campaign as a YAML file: every field checked before anything is computed."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sse_flows.campaign.codes import CODES, CodeSection, ForceFieldSection
from sse_flows.descriptors.document import DESCRIPTORS
from sse_flows.errors import SSEError
from sse_flows.models.defaults import MAX_FEATURES
from sse_flows.screening.document import Filters


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid")


class MaterialsProjectQuery(_Section):
    """Structures from the Materials Project; needs MP_API_KEY."""

    ids: list[str] = Field(default_factory=list, description="Ids such as mp-1960")
    chemsys: list[str] = Field(default_factory=list, description="Systems such as Li-P-S")
    energy_above_hull_max: float | None = Field(None, ge=0, description="eV/atom")

    @model_validator(mode="after")
    def _asks_for_something(self) -> MaterialsProjectQuery:
        if not self.ids and not self.chemsys:
            raise ValueError("give ids or chemsys")
        return self


class Structures(_Section):
    """Where structures come from; all sources given are joined."""

    conductors: list[str] | Literal["all"] = Field(
        default_factory=list, description="Ids of built-in conductors, or all"
    )
    files: list[str] = Field(
        default_factory=list, description="CIF, POSCAR or JSON files, folders or patterns"
    )
    materials_project: MaterialsProjectQuery | None = Field(None, description="Query of mp-api")

    @property
    def empty(self) -> bool:
        """Whether no source is named."""
        return not (self.conductors or self.files or self.materials_project)


class Training(Structures):
    """What the models learn from: structures to compute, and a table computed before."""

    table: str | None = Field(
        None, description="Descriptors computed before: 'builtin', or a CSV file; None for none"
    )
    conductivities: str | None = Field(
        None, description="CSV with columns id and conductivity_S_per_cm for structures from files"
    )


class Relax(_Section):
    """Relaxation with the space group kept."""

    force_max: float = Field(0.001, gt=0, le=0.1, description="Largest force left, eV/Å")
    steps: int = Field(500, ge=2, description="Most ionic steps; one would be no relaxation")


class Phonons(_Section):
    """Finite displacements."""

    displacement: float = Field(0.01, gt=0, le=0.1, description="Å")
    supercell: Literal["min_length", "primitive_2x2x2"] = Field(
        "min_length", description="By the distance of images, or 2x2x2 of the primitive cell"
    )
    min_length: float = Field(10.0, gt=0, le=40, description="Distance of images, Å")
    max_atoms: int = Field(1000, ge=2, description="Largest supercell accepted, atoms")
    born_charges: bool = Field(
        True, description="Correct for electric fields in insulators, where the code can"
    )


class Ordering(_Section):
    """How partial occupancies become an ordered cell."""

    max_atoms: int = Field(200, ge=1, description="Largest ordered cell, atoms")
    timeout: float = Field(120.0, gt=0, description="Longest search for one compound, s")


class Models(_Section):
    """Classifier and regressor of conductivity."""

    threshold: float = Field(1e-4, gt=0, description="Superionic above this, S/cm")
    max_features: int = Field(
        MAX_FEATURES,
        ge=1,
        le=len(DESCRIPTORS),
        description="Largest subset of the classifier; seconds at 4, a day at 30 when nested",
    )
    trees: int = Field(200, ge=1, description="Trees of the random forest")
    random_state: int = Field(0, ge=0, description="Seed of everything random")
    nested: bool = Field(True, description="Also score with the selection inside the folds")
    elimination: bool = Field(
        False, description="Keep only the descriptors that a backward elimination leaves the forest"
    )


class Results(_Section):
    """Where results go."""

    folder: str = Field("runs/{name}", description="Relative to the campaign file; {name} allowed")


class Manifest(_Section):
    """All that a campaign file may say."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="Name of the campaign")
    mobile_ion: str | list[str] = Field("Li", description="Element symbol, or several by priority")
    train: Training = Field(default_factory=Training)
    screen: Structures = Field(default_factory=Structures)
    code: CodeSection = Field(default_factory=ForceFieldSection)
    relax: Relax = Field(default_factory=Relax)
    phonons: Phonons = Field(default_factory=Phonons)
    ordering: Ordering = Field(default_factory=Ordering)
    models: Models = Field(default_factory=Models)
    filters: Filters = Field(default_factory=Filters)
    results: Results = Field(default_factory=Results)
    merge_duplicates: bool = Field(True, description="Merge compounds of the same structure")
    formation_energies: bool = Field(
        True, description="Compute elemental references for heats of formation"
    )

    @field_validator("mobile_ion")
    @classmethod
    def _are_elements(cls, value: str | list[str]) -> str | list[str]:
        from pymatgen.core import Element

        for symbol in [value] if isinstance(value, str) else value:
            if not Element.is_valid_symbol(symbol):
                raise ValueError(f"{symbol!r} is no element symbol, for example Li")
        if not value:
            raise ValueError("name at least one element, for example Li")
        return value

    @model_validator(mode="after")
    def _has_work(self) -> Manifest:
        if self.train.empty and self.train.table is None and self.screen.empty:
            raise ValueError("name structures or a table under train, or structures under screen")
        return self

    @model_validator(mode="after")
    def _take_defaults_of_the_code(self) -> Manifest:
        for name, value in self.code.phonon_defaults().items():
            if name not in self.phonons.model_fields_set:
                setattr(self.phonons, name, value)
        return self

    @property
    def mobile_ions(self) -> list[str]:
        """Mobile ions by priority."""
        return [self.mobile_ion] if isinstance(self.mobile_ion, str) else list(self.mobile_ion)


class _UniqueKeys(yaml.SafeLoader):
    """Plain YAML in which a key given twice is an error; YAML itself takes the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for (key_node, _), key, seen in zip(node.value, keys, range(len(keys)), strict=True):
            if key in keys[:seen]:
                problem = f"the field {key!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
        return super().construct_mapping(node, deep)


def read_manifest(path: str | Path) -> Manifest:
    """Read and check a campaign file.

    Raises
    ------
    SSEError
        The file is missing or no YAML, or a field is unknown or wrong; the message names the file,
        the field and what would be right.
    """
    path = Path(path)
    try:
        data = yaml.load(path.read_text(), _UniqueKeys)  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text file"
        raise SSEError(
            f"cannot read the campaign file {path}: {reason}",
            mend="Write one with `sse init`",
        ) from error
    except yaml.YAMLError as error:
        raise SSEError(
            f"{path} is no valid YAML: {_yaml_place(error)}", mend="Mend that line"
        ) from error
    if not isinstance(data, dict):
        raise SSEError(f"{path} holds no fields", mend="Start from `sse init`")
    try:
        return Manifest.model_validate(data)
    except ValidationError as error:
        raise SSEError(f"{path}: {_first_error(error)}") from error


def _yaml_place(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not understood"
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def _first_error(error: ValidationError) -> str:
    """One line: the field, what is wrong, what would be right, and how many more there are."""
    fields: dict[str, list[Any]] = {}  # a field that may be of two types has two errors
    for problem in error.errors():
        fields.setdefault(_where(problem["loc"]), []).append(problem)
    where, problems = next(iter(fields.items()))
    if problems[0]["type"] == "union_tag_invalid":
        tag = problems[0]["ctx"]
        names = " or ".join(f"'{name}'" for name in CODES)
        return f"field {where}.name: Input should be {names} (got {tag['tag']!r})"
    more = f" (and {len(fields) - 1} more)" if len(fields) > 1 else ""
    location, value = problems[0]["loc"], problems[0]["input"]
    if problems[0]["type"] == "extra_forbidden":
        return f"unknown field {where}{_suggestion(location)}{more}"
    messages = dict.fromkeys(one["msg"].removeprefix("Value error, ") for one in problems)
    shown = "" if isinstance(value, dict) else f" (got {value!r})"
    return f"field {where}: {' or '.join(messages)}{shown}{more}"


def _where(location: tuple) -> str:
    """Dotted name of a field, without the types of a union that pydantic names beside it."""
    parts = [str(part) for part in _without_tag(location)]
    kept = [part for part in parts if part not in ("str", "float") and "[" not in part]
    return ".".join(kept) or "campaign"


def _without_tag(location: tuple) -> tuple:
    """A location without the name of the code, which pydantic puts after ``code``."""
    return (*location[:1], *location[2:]) if location[1:] and location[1] in CODES else location


def _tag(model: Any) -> Any:
    return getattr(model.model_fields.get("name"), "default", None)


def _suggestion(location: tuple) -> str:
    """Known fields at that place, the nearest first."""
    model: Any = Manifest
    for part in location[:-1]:
        known = getattr(model, "model_fields", {}).get(part)
        kinds = (known.annotation, *get_args(known.annotation)) if known else (model,)
        models = [kind for kind in kinds if hasattr(kind, "model_fields")]
        tagged = [one for one in models if location[1:2] == (_tag(one),)]
        model = next(iter(tagged or models), None)
    names = list(getattr(model, "model_fields", {}))
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    if near:
        return f". Did you mean {near[0]}?"
    return f". Known fields here: {', '.join(names)}" if names else ""
