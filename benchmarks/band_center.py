"""The phonon band centre from structure: every figure of docs/band_center.md.

    python benchmarks/band_center.py DATA_FOLDER [STAGE ...] [--save FOLDER]

DATA_FOLDER holds phonon_dos_train.json.gz (DFPT densities of states), kyoto_band_centers.jsonl.gz
(finite displacements) and, for the speed, mp_li_pool.jsonl.gz. Stages, all by default: agreement,
published, folds, totals, holdout, domain, speed. `--save` also trains on everything and writes the
model that comes with the package. One thread; the whole takes about 40 minutes.
"""

# ruff: noqa: E402 - threads are pinned before NumPy is imported
from __future__ import annotations

import argparse
import hashlib
import os
import time
from pathlib import Path

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_variable] = "1"

import numpy as np
from ase.data import chemical_symbols
from pymatgen.core import Composition
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.model_selection import GroupKFold

from sse_flows.models.band_center import BandCenterModel, TrainingSet, training_set
from sse_flows.models.band_center_compare import (
    compare_models,
    cross_predict,
    paper_features,
    published_model,
)
from sse_flows.models.band_center_data import TrainingCompound, merge_training, read_training
from sse_flows.models.band_center_elements import ElementBandCenters, split_totals
from sse_flows.models.band_center_file import load_band_center, save_band_center
from sse_flows.models.band_center_pool import read_pool
from sse_flows.models.band_center_train import families, family_scores, train_band_center

DOS, KYOTO, POOL = (
    "phonon_dos_train.json.gz",
    "kyoto_band_centers.jsonl.gz",
    "mp_li_pool.jsonl.gz",
)
ATTRIBUTION = [
    "A. Togo, Phonon database at Kyoto University, version 2018-04-17 (CC BY 4.0)",
    "G. Petretto et al., Sci. Data 5, 180065 (2018) (CC BY 4.0), densities of states as curated "
    "by Z. Chen et al., Adv. Sci. 8, 2004214 (2021)",
]


def show(title: str, scores) -> None:
    """Print the scores of families on a line each."""
    for family, one in scores.items():
        print(
            f"  {title:<46} {family:<9} n {one.n_compounds:5d}  R2 {one.r2:.4f}  "
            f"MAE {one.mae:.3f}  RMSE {one.rmse:.3f}",
            flush=True,
        )


class Data:
    """The two sets, as given and merged, with the compounds on which scores are reported."""

    def __init__(self, folder: Path):
        kyoto = read_training(folder / KYOTO)
        given = read_training(folder / DOS, cut_off="keep")
        sound = read_training(folder / DOS)
        self.kyoto, self.given = {one.compound_id: one for one in kyoto}, given
        cut = {one.compound_id for one in given} - {one.compound_id for one in sound}
        merged = merge_training([kyoto, sound])
        self.all, _ = training_set(merged)
        self.formulas = {one.compound_id: _formula(one) for one in merged}
        scored = {one.compound_id for one in given}
        self.scored = np.array([name in scored for name in self.all.rows.ids])
        # an uncut DFPT centre stays the target; one that may be cut gets the complete set's
        dfpt = {one.compound_id: one.center for one in sound}
        self.targets = np.array(
            [
                dfpt.get(name, total)
                for name, total in zip(self.all.rows.ids, self.all.totals, strict=True)
            ]
        )
        self.cut = np.array([name in cut for name in self.all.rows.ids])

    def as_given(self) -> TrainingSet:
        """The densities of states alone, cut off or not, one row an entry."""
        unique = [
            TrainingCompound(f"{k}", one.crystal, one.center) for k, one in enumerate(self.given)
        ]
        return training_set(unique)[0]


def agreement(data: Data) -> None:
    """How far DFPT on a coarse grid and finite displacements agree."""
    print("agreement of the two sets, DFPT less finite displacements")
    sound = {name for name, there in zip(data.all.rows.ids, ~data.cut, strict=True) if there}
    pairs = [
        (one.center, data.kyoto[one.compound_id].center, one.compound_id in sound)
        for one in data.given
        if one.compound_id in data.kyoto
    ]
    for title, keep in (("may not be cut off", True), ("may be cut off", False)):
        difference = np.array([a - b for a, b, ok in pairs if ok == keep])
        print(
            f"  {title:<20} n {len(difference)}  mean {difference.mean():.3f}  mean magnitude "
            f"{np.abs(difference).mean():.3f}  sd {difference.std():.3f} meV"
        )


def published(data: Data) -> None:
    """The published models on the densities of states as given."""
    given = data.as_given()
    features, masks = paper_features(given.rows), {"Li": families(given.rows)["Li"]}
    names = ["extra trees", "random forest", "gradient boosting", "hist gradient boosting"]
    names += ["xgboost", "lightgbm", "adaboost", "decision tree"]
    for title, groups in (("random folds", None), ("folds by formula", given.rows.groups())):
        print(f"published models, DOS as given, {title}")
        table = compare_models(features, given.totals, groups, models=names, masks=masks)
        print(table.round(3).to_string(index=False), flush=True)
    kept = published_model("extra trees").fit(features.to_numpy(), given.totals)[0].support_
    print(f"  the filter keeps {kept.sum()} of {len(kept)} columns of all rows")
    trees = ExtraTreesRegressor(100, random_state=0)
    found = cross_predict(trees, features.to_numpy(), given.totals, given.rows.groups())
    show("extra trees, 271 unfiltered, by formula", family_scores(given.rows, given.totals, found))


def folds(data: Data) -> None:
    """Ten folds by formula over both sets, scored on the compounds of the DFPT set."""
    print("this package, both sets, ten folds by formula")
    rows, groups = data.all.rows, np.array(data.all.rows.groups())
    members = np.empty((3, len(groups)))
    for learned, tested in GroupKFold(10, shuffle=True, random_state=0).split(
        groups, groups=groups
    ):
        kept = np.zeros(len(groups), bool)
        kept[learned] = True
        model = fitted(data.all.take(kept))
        part = rows.take(~kept)
        logs = model.predict_members(part.features)
        for k, values in enumerate((*logs, logs.mean(axis=0))):
            members[k, tested] = part.totals(np.exp(values))
    for title, found in zip(("boosted trees alone", "process alone", "both"), members, strict=True):
        scored(data, title, found)
    every = family_scores(rows, data.all.totals, members[2])
    show("both, on all compounds of both sets", every)


def fitted(part: TrainingSet) -> ElementBandCenters:
    """The default estimator on a part."""
    elements = split_totals(part.rows, part.totals, part.elements)
    return ElementBandCenters().fit(part.rows.features, elements)


def scored(data: Data, title: str, found) -> None:
    """Scores on the compounds of the DFPT set, and on those of them that are not cut off."""
    for suffix, mask in (("", data.scored), (", uncut", data.scored & ~data.cut)):
        part = data.all.rows.take(mask)
        show(title + suffix, family_scores(part, data.targets[mask], found[mask]))


def totals(data: Data) -> None:
    """The densities of states alone, as given: what a set without projections teaches."""
    print("DOS as given alone (totals only), the fifth kept aside by hash")
    given = data.as_given()
    aside = np.array([_hash(_formula(one)) % 5 == 0 for one in data.given])
    part, target = given.rows.take(aside), given.totals[aside]
    model = fitted(given.take(~aside))
    found = part.totals(model.predict(part.features))
    show("this package", family_scores(part, target, found))
    features = paper_features(given.rows).to_numpy()
    trees = published_model("extra trees").fit(features[~aside], given.totals[~aside])
    show("extra trees, filtered", family_scores(part, target, trees.predict(features[aside])))


def held_out(data: Data) -> np.ndarray:
    """A fifth of all reduced formulas, by hash: looked at by no choice of the model."""
    return np.array([_hash(data.formulas[name]) % 5 == 0 for name in data.all.rows.ids])


def _hash(formula: str) -> int:
    return int(hashlib.sha256(f"band-center:{formula}".encode()).hexdigest(), 16)


def _formula(one: TrainingCompound) -> str:
    symbols = [chemical_symbols[number] for number in one.crystal.numbers]
    return Composition({symbol: symbols.count(symbol) for symbol in set(symbols)}).reduced_formula


def holdout(data: Data) -> None:
    """Scores on compositions kept aside, with the coverage of the intervals and the domain."""
    print("a fifth of the compositions kept aside by hash")
    aside = held_out(data)
    model = BandCenterModel(n_folds=3).fit_set(data.all.take(~aside))
    part = data.all.rows.take(aside)
    table = model.table_of_rows(part)
    found = table["band_center"].to_numpy()
    every = np.full(len(aside), np.nan)
    every[aside] = found
    for title, mask in (
        ("DFPT set", data.scored & aside),
        ("DFPT set, uncut", data.scored & aside & ~data.cut),
        ("both sets", aside),
    ):
        show(title, family_scores(data.all.rows.take(mask), data.targets[mask], every[mask]))
    target, inside = data.targets[aside], table["inside_domain"].to_numpy()
    error = np.abs(found - target)
    for level in (0.8, 0.9, 0.95):
        ends = model.table_of_rows(part, level=level)
        held = (target >= ends["lower"]) & (target <= ends["upper"])
        width = ((ends["upper"] - ends["lower"]) / ends["band_center"]).median()
        print(f"  intervals of {level}: hold {held.mean():.3f}, median width {100 * width:.1f} %")
    for title, mask in (("inside the domain", inside), ("outside", ~inside)):
        relative = 100 * np.median(error[mask] / target[mask])
        print(f"  {title}: n {mask.sum()}  MAE {error[mask].mean():.3f}, median {relative:.1f} %")


def speed(data: Data, folder: Path, model: BandCenterModel) -> None:
    """Predictions for the pool."""
    start, wall = time.process_time(), time.perf_counter()
    crystals, _ = read_pool([folder / POOL])
    read = time.process_time() - start
    table, failures = model.predict_table(crystals)
    print(
        f"pool: {len(table)} crystals, {len(failures)} failed; reading {read:.0f} s, all "
        f"{time.process_time() - start:.0f} s CPU, {time.perf_counter() - wall:.0f} s wall; "
        f"{table['inside_domain'].mean():.3f} inside the domain"
    )


def save(data: Data, folder: Path, into: Path) -> None:
    """Train on both sets and write the model of the package."""
    start = time.process_time()
    compounds = merge_training([read_training(folder / KYOTO), read_training(folder / DOS)])
    trained = train_band_center(compounds, attribution=ATTRIBUTION)
    print(f"trained on everything: {time.process_time() - start:.0f} s CPU")
    show("five folds by formula", trained.document.scores)
    if list(data.all.rows.ids) == [one.compound_id for one in compounds]:
        scored(data, "five folds, DFPT set", trained.model.out_of_fold_)
    save_band_center(trained.model, trained.document, trained.data, into)
    print(f"wrote {into}, {len(trained.data) / 1e6:.2f} MB")


def main() -> None:
    """Run the stages asked for."""
    stages = ("agreement", "published", "folds", "totals", "holdout", "speed")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("stages", nargs="*", default=[])
    parser.add_argument("--save", type=Path)
    parser.add_argument("--model", type=Path, help="a saved one, for the speed")
    arguments = parser.parse_args()
    data = Data(arguments.folder)
    for stage in arguments.stages or ([] if arguments.save else stages[:-1]):
        start = time.process_time()
        if stage == "speed":
            speed(data, arguments.folder, load_band_center(arguments.model)[0])
        else:
            globals()[stage](data)
        print(f"[{stage}: {time.process_time() - start:.0f} s CPU]", flush=True)
    if arguments.save:
        save(data, arguments.folder, arguments.save)


if __name__ == "__main__":
    main()
