"""Which shipped force field gives the better phonons of Li compounds? DFT decides.

    python benchmarks/force_fields.py KYOTO_FOLDER [--models SevenNet-0 CHGNet] [--limit N]

KYOTO_FOLDER holds archives ``mp-ID-formula-spacegroup.tar.lzma`` of the Kyoto phonon database
(PBEsol). Each compound of `COMPOUNDS` goes through the path that a campaign takes: relax with the
force field, supercell of 10 Å, displacements, LatticeDynamics. This is done twice: in the force
field's own cell, and with the lattice constants of DFT kept, which tells stiffness from volume. The
reference is made by the same code from the database's own forces. Neither has the non-analytic
correction: a force field knows no Born charges. What is done is kept in the results folder and not
computed again.
"""

from __future__ import annotations

import argparse
import lzma
import os
import tarfile
import tempfile
import time
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from jobflow import Flow, JobStore
    from pymatgen.core import Structure

    from sse_flows.campaign.graph import Graph, Node
    from sse_flows.phonons.document import LatticeDynamics

COMPOUNDS: dict[str, tuple[str, ...]] = {
    "fluoride": ("mp-1138", "mp-10250", "mp-3700"),
    "chloride": ("mp-22905", "mp-22961", "mp-567652", "mp-985585"),
    "bromide": ("mp-23259",),
    "iodide": ("mp-22899",),
    "oxide": ("mp-1960", "mp-8001", "mp-5840", "mp-4156", "mp-3731", "mp-14232"),
    "sulfide": ("mp-1153", "mp-15788", "mp-867699", "mp-11175", "mp-985582"),
    "selenide": ("mp-2286", "mp-20187"),
    "telluride": ("mp-5048",),
    "nitride": ("mp-2251", "mp-37906", "mp-3524", "mp-3216"),
    "phosphide": ("mp-736", "mp-10182"),
    "hydride": ("mp-23703", "mp-23818"),
    "phosphate": ("mp-13725",),
}
"""Chosen for many chemistries, small cells and no magnetic ions; not for the results."""

QUANTITIES = {
    "phonon_band_center_total": "total band centre, meV",
    "phonon_band_center_mobile": "Li band centre, meV",
    "phonon_band_center_anion": "anion band centre, meV",
    "vibrational_entropy": "entropy at 300 K, J/(K mol atom)",
    "low_energy_ratio_mobile": "Li share below 30 meV",
    "low_energy_ratio_hybrid": "hybrid share below 30 meV",
}
"""What is compared: descriptors as the models read them, but for the entropy, which is per atom."""
TIMED = 100
"""Supercell size nearest to which the force call is timed, atoms."""
RESULTS = Path("runs/force_fields")


# --- the reference -------------------------------------------------------------------------------


def reference(archive: Path) -> LatticeDynamics:
    """Lattice dynamics from the forces of an archive of the Kyoto database."""
    from phonopy import Phonopy
    from phonopy.file_IO import parse_FORCE_SETS
    from phonopy.interface.vasp import read_vasp_from_strings

    from sse_flows.phonons.modes import lattice_dynamics
    from sse_flows.phonons.phonopy_adapter import pymatgen_structure

    files = read_archive(archive)
    conf = dict(line.split("=", 1) for line in files["phonopy.conf"].splitlines() if "=" in line)
    conf = {key.strip(): value for key, value in conf.items()}
    phonon = Phonopy(
        read_vasp_from_strings(files["POSCAR-unitcell"]),
        matrix(conf["DIM"]),
        primitive_matrix=matrix(conf.get("PRIMITIVE_AXIS", "1 1 1")),
    )
    with tempfile.NamedTemporaryFile("w", suffix="FORCE_SETS") as file:
        file.write(files["FORCE_SETS"])
        file.flush()
        phonon.dataset = parse_FORCE_SETS(filename=file.name)
    phonon.produce_force_constants(calculate_full_force_constants=False)
    assert phonon.force_constants is not None
    return lattice_dynamics(
        pymatgen_structure(phonon.unitcell),
        phonon.supercell_matrix,
        phonon.force_constants,
        primitive_matrix=phonon.primitive_matrix,
        compound_id=compound_id(archive),
        method="PBEsol (Kyoto phonon database 2018-04-17)",
        with_bands=False,
    )


def read_archive(archive: Path) -> dict[str, str]:
    """Text of every file of an archive, by file name."""
    found = {}
    with tarfile.open(fileobj=BytesIO(lzma.decompress(archive.read_bytes()))) as tar:
        for member in tar.getmembers():
            content = tar.extractfile(member)
            if content is not None:
                found[Path(member.name).name] = content.read().decode()
    return found


def matrix(text: str) -> np.ndarray:
    """3 x 3 matrix of phonopy.conf: nine or three numbers, fractions allowed."""
    numbers = np.array([float(Fraction(word)) for word in text.split()])
    return np.diag(numbers) if len(numbers) == 3 else numbers.reshape(3, 3)


def compound_id(archive: Path) -> str:
    """Id ``mp-N`` from the name of an archive."""
    return "-".join(archive.name.split("-")[:2])


def archives(folder: Path, limit: int | None) -> dict[str, Path]:
    """Archives of `COMPOUNDS`, in that order."""
    paths = {compound_id(path): path for path in sorted(folder.glob("mp-*.tar.lzma"))}
    wanted = [id_ for ids in COMPOUNDS.values() for id_ in ids][:limit]
    missing = [id_ for id_ in wanted if id_ not in paths]
    if missing:
        raise SystemExit(f"{folder} holds no archive of {', '.join(missing)}")
    return {id_: paths[id_] for id_ in wanted}


# --- the force fields ----------------------------------------------------------------------------


def chain(model: str, cell: str, id_: str, structure: Structure) -> Flow:
    """Relaxation and phonons of one compound, with content keys: a run can be resumed."""
    from jobflow import Flow

    from sse_flows.campaign.keys import with_content_keys
    from sse_flows.codes.forcefield import ForceField
    from sse_flows.phonons.flow import LatticeDynamicsMaker

    field = ForceField(model)
    maker = field.relax_maker()
    maker.relax_cell = cell == "relaxed"
    relax = maker.make(structure)
    phonons = LatticeDynamicsMaker(field.phonon_maker(), method=field.method)
    dynamics = phonons.make(relax.output.structure, id_)
    flow = Flow([relax, dynamics], output=dynamics.output, name=f"{id_} {model}")
    flow.update_metadata({"model": model, "cell": cell, "compound": id_}, dynamic=True)
    return with_content_keys(flow)


def compute(flows: dict[Any, Flow], folder: Path, processes: int) -> dict[Any, Any]:
    """Run the flows; the LatticeDynamics of each, or the reason why there is none (str)."""
    from jobflow import Flow

    from sse_flows.campaign.run import LocalRunner
    from sse_flows.store.jobstore import embedded_store

    folder.mkdir(parents=True, exist_ok=True)
    store = embedded_store(folder)
    store.connect()
    runner = LocalRunner(store, folder, processes, tell)
    reasons = failures(runner.run(Flow(list(flows.values()))))
    return {one: reasons.get(one) or document(flow, store) for one, flow in flows.items()}


def tell(graph: Graph, node: Node | None) -> None:
    """Print a line when the document of a compound is there, or a job failed."""
    last = node is not None and node.job.name == "collect_lattice_dynamics"
    if node is not None and (node.reason or (last and node.state == "done")):
        print(*key(node), node.state, node.reason, flush=True)


def key(node: Node) -> tuple[str, ...]:
    """Model, cell and compound of a job."""
    return tuple(node.job.metadata[name] for name in ("model", "cell", "compound"))


def failures(graph: Graph) -> dict[tuple[str, ...], str]:
    """Why a model failed at a compound."""
    return {key(node): node.reason for node in graph.nodes.values() if node.reason}


def document(flow: Flow, store: JobStore) -> LatticeDynamics:
    """The stored document of a flow, with its arrays."""
    from monty.json import MontyDecoder

    return MontyDecoder().process_decoded(store.get_output(flow.output.uuid, load=True))


def seconds_per_call(model: str, supercell: Structure) -> float:
    """CPU seconds of one force call, the model being loaded and warm."""
    from sse_flows.codes.forcefield import ForceField

    maker = ForceField(model).static_maker()
    maker.run_ase(supercell)
    found = []
    for _ in range(3):
        moved = supercell.copy().perturb(0.01)  # ASE remembers the forces of the last structure
        start = time.process_time()
        maker.run_ase(moved)
        found.append(time.process_time() - start)
    return min(found)


# --- the comparison ------------------------------------------------------------------------------


def quantities(dynamics: LatticeDynamics) -> dict[str, float | None]:
    """Descriptors, soft modes and volume per atom (Å^3) of a crystal; the entropy is per atom."""
    from sse_flows.descriptors.phonon import phonon_descriptors
    from sse_flows.roles import assign_roles

    found = phonon_descriptors(
        dynamics.energies,
        dynamics.projected_dos,
        [site.specie.symbol for site in dynamics.primitive],
        mobile="Li",
        anions=assign_roles(dynamics.primitive, "Li").anions,
        soft_modes=dynamics.soft_modes,
        entropy=dynamics.entropy / dynamics.primitive.composition.reduced_composition.num_atoms,
    )
    return {
        **{name: found[name] for name in QUANTITIES},
        "lowest_energy": dynamics.soft_modes.lowest_energy,
        "soft_modes": dynamics.soft_modes.count,
        "volume": dynamics.primitive.volume / len(dynamics.primitive),
    }


def row(dft: LatticeDynamics, field: LatticeDynamics | str) -> dict[str, Any]:
    """The numbers of one line of the table: the reference and, unless it failed, the model."""
    wanted = {f"{name}_dft": value for name, value in quantities(dft).items()}
    if isinstance(field, str):
        return {"failure": field, **wanted}
    given = quantities(field)
    return {
        "failure": "",
        "supercell_atoms": abs(round(np.linalg.det(field.supercell_matrix))) * len(field.unitcell),
        "displacements": int(field.provenance["displaced supercells"]),
        **wanted,
        **given,
        "volume_error_percent": 100 * (given["volume"] / wanted["volume_dft"] - 1),  # type: ignore
    }


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of each model against DFT, quantity by quantity."""
    found = []
    for name, label in QUANTITIES.items():
        for cell, same in table.groupby("cell", sort=False):
            wins = nearest(same, name)
            for model, part in same.groupby("model", sort=False):
                head = {"quantity": label, "cell": cell, "model": model, "nearest": wins[model]}
                found.append({**head, **scores(part, name)})
    return pd.DataFrame(found)


def nearest(table: pd.DataFrame, name: str) -> pd.Series:
    """Number of compounds at which each model is the nearest to DFT."""
    error = (table[name] - table[f"{name}_dft"]).abs()
    winner = table["model"].loc[error.dropna().groupby(table["compound_id"]).idxmin()]
    return winner.value_counts().reindex(table["model"].unique(), fill_value=0)


def scores(part: pd.DataFrame, name: str) -> dict[str, Any]:
    """Errors, slope and rank correlation of one quantity of one model.

    ``MAE scaled`` is what is left once the model's values are divided by their median ratio to
    DFT, a single number: the error that no calibration of the scale removes.
    """
    pair = part.set_index("formula")[[f"{name}_dft", name]].astype(float).dropna()
    wanted, given = pair.iloc[:, 0], pair.iloc[:, 1]
    error, ratio = given - wanted, (given / wanted).median()
    return {
        "n": len(pair),
        "MAE": error.abs().mean(),
        "mean error": error.mean(),
        "median ratio": ratio,
        "MAE scaled": (given / ratio - wanted).abs().mean(),
        "slope": np.polyfit(wanted, given, 1)[0] if len(pair) > 1 else np.nan,
        "Spearman": given.corr(wanted, method="spearman"),
        "worst": ", ".join(f"{f} {error[f]:+.2g}" for f in error.abs().nlargest(3).index),
    }


def stability(table: pd.DataFrame) -> pd.DataFrame:
    """Volume errors and soft modes of each model."""
    found = []
    for (cell, model), part in table.groupby(["cell", "model"], sort=False):
        done = part[part["failure"] == ""]
        soft, expected = done["soft_modes"] > 0, done["soft_modes_dft"] > 0
        line = {
            "cell": cell,
            "model": model,
            "failed": ", ".join(part["formula"][part["failure"] != ""]) or "none",
            "volume MAE, %": done["volume_error_percent"].abs().mean(),
            "volume mean error, %": done["volume_error_percent"].mean(),
            "soft in both": ", ".join(done["formula"][soft & expected]) or "none",
            "soft in the model alone": ", ".join(done["formula"][soft & ~expected]) or "none",
            "soft in DFT alone": ", ".join(done["formula"][~soft & expected]) or "none",
        }
        found.append(line)
    return pd.DataFrame(found)


def by_compound(table: pd.DataFrame) -> pd.DataFrame:
    """DFT and every model side by side, ``DFT / model / model``, a line a compound."""
    found = []
    for _, part in table.groupby("compound_id", sort=False):
        first = part.iloc[0]
        line = {"compound": first["formula"], "id": first["compound_id"]}
        for name, label in list(QUANTITIES.items())[:4]:
            line[label] = slashed([first[f"{name}_dft"], *part[name]])
        line["volume error, %"] = slashed(part["volume_error_percent"])
        line["lowest mode, meV"] = slashed([first["lowest_energy_dft"], *part["lowest_energy"]])
        found.append(line)
    return pd.DataFrame(found)


def slashed(values: Any) -> str:
    """Numbers with one decimal, ``1.0 / 2.0``; a failure is a dash."""
    return " / ".join("-" if pd.isna(value) else f"{round(value, 1) + 0.0:.1f}" for value in values)


def markdown(table: pd.DataFrame) -> str:
    """A table as docs/force_fields.md holds it."""
    rounded = table.map(lambda x: f"{round(x, 4):.3g}" if isinstance(x, float) else str(x))
    lines = [list(table.columns), ["---"] * len(table.columns), *rounded.to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def timings(models: list[str], fields: dict[Any, Any]) -> pd.DataFrame:
    """CPU seconds of a force call on the supercell nearest to `TIMED` atoms."""
    from sse_flows.phonons.phonopy_adapter import phonopy_from_document, pymatgen_structure

    done = [field for field in fields.values() if not isinstance(field, str)]
    cells = [pymatgen_structure(phonopy_from_document(field).supercell) for field in done]
    cell = min(cells, key=lambda cell: abs(len(cell) - TIMED))
    name = f"CPU s a force call, {cell.composition.reduced_formula}, {len(cell)} atoms"
    found = [{"model": model, name: seconds_per_call(model, cell)} for model in models]
    return pd.DataFrame(found)


def main() -> None:
    """Compute, compare, write the table and print the summary."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    options = parse_arguments()
    found = archives(options.folder, options.limit)
    kinds = {id_: kind for kind, ids in COMPOUNDS.items() for id_ in ids}
    dft = {id_: reference(archive) for id_, archive in found.items()}
    flows = {
        (model, cell, id_): chain(model, cell, id_, dft[id_].primitive)
        for cell in options.cells
        for model in options.models
        for id_ in found
    }
    fields = compute(flows, options.results, options.processes)
    table = pd.DataFrame(
        {
            "compound_id": id_,
            "formula": dft[id_].formula,
            "kind": kinds[id_],
            "model": model,
            "cell": cell,
            **row(dft[id_], field),
        }
        for (model, cell, id_), field in fields.items()
    )
    table.to_csv(options.output, index=False, float_format="%.3f")
    times = timings(options.models, fields)
    for part in (summary(table), stability(table), times):
        print("\n" + markdown(part))
    for cell, part in table.groupby("cell", sort=False):
        print(f"\nCell: {cell}\n\n{markdown(by_compound(part))}")


def parse_arguments() -> argparse.Namespace:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="archives of the Kyoto phonon database")
    parser.add_argument("--models", nargs="+", default=["SevenNet-0", "CHGNet"])
    parser.add_argument("--limit", type=int, help="only the first N compounds")
    parser.add_argument(
        "--cells",
        nargs="+",
        choices=["relaxed", "dft"],
        default=["relaxed", "dft"],
        help="lattice constants of the force field, or those of DFT",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder that resumes a run")
    parser.add_argument("--output", type=Path, default=Path("docs/force_fields.csv"))
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
