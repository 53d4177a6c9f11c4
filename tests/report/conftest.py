"""Documents of made-up compounds that look enough like real ones for a page."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pymatgen.core import Lattice, Structure

from sse_flows.descriptors.document import DESCRIPTORS, DescriptorSet
from sse_flows.models.document import (
    ClassificationScores,
    ClassifierDocument,
    Correlations,
    EliminationRound,
    RegressionScores,
    RegressorDocument,
    SizeResult,
    TrainedModels,
    TrainingRow,
)
from sse_flows.models.explanation import (
    ClassifierTerm,
    CompoundExplanation,
    Contribution,
    Expectation,
    ModelExplanation,
    RegressorTerm,
)
from sse_flows.phonons.document import BandStructure, LatticeDynamics, SoftModes
from sse_flows.report import CompoundReport, Failure, ReportData
from sse_flows.screening.document import FilteredOut, Filters, ScreeningResult, ScreeningRow
from sse_flows.structures.compound import Compound

OUTSIDE, INSIDE = "outside the folds", "inside the folds"


def crystal(n_atoms: int = 3) -> Structure:
    """A cell of Li and O; two Li an O."""
    species = ["Li" if i % 3 else "O" for i in range(n_atoms)]
    coords = [[i / n_atoms, (i * 7 % n_atoms) / n_atoms, 0.5 * (i % 2)] for i in range(n_atoms)]
    return Structure(Lattice.cubic(3.0 * n_atoms ** (1 / 3)), species, coords)


def bands(n_atoms: int, rng: np.random.Generator, lowest: float = 0.0) -> BandStructure:
    """Two segments of smooth bands, 150 points in all."""
    distances, energies, start = [], [], 0.0
    for n in (90, 60):
        t = np.linspace(0, 1, n)
        level = np.sort(rng.uniform(5, 80, 3 * n_atoms))
        wave = level[None] + 4 * np.sin(np.pi * t[:, None] * rng.integers(1, 3, 3 * n_atoms))
        wave[:, 0] = lowest * np.sin(np.pi * t) if lowest < 0 else 20 * np.sin(np.pi * t)
        distances.append((start + 0.4 * t).tolist())
        energies.append(wave.tolist())
        start += 0.4
    return BandStructure(
        distances=distances, energies=energies, labels=[["Γ", "X_1"], ["U", "GAMMA"]]
    )


def dynamics(compound_id: str = "Li2O", n_atoms: int = 3, soft: bool = False) -> LatticeDynamics:
    """Lattice dynamics with bands, a DOS of Gaussians and perhaps a soft mode."""
    rng = np.random.default_rng(sum(map(ord, compound_id)))
    grid = np.arange(-12.0, 95.0, 0.25)
    centres = rng.uniform(5, 80, (n_atoms, 8))
    dos = np.exp(-0.5 * ((grid[None, None] - centres[..., None]) / 1.5) ** 2).sum(1)
    dos *= 3 / (dos.sum(1, keepdims=True) * 0.25)
    cell = crystal(n_atoms)
    return LatticeDynamics(
        compound_id=compound_id,
        formula=cell.composition.reduced_formula,
        primitive=cell,
        unitcell=cell,
        supercell_matrix=((2, 0, 0), (0, 2, 0), (0, 0, 2)),
        primitive_matrix=((1, 0, 0), (0, 1, 0), (0, 0, 1)),
        mesh=[8, 8, 8],
        energies=grid.tolist(),
        projected_dos=dos.tolist(),
        band_center={"Li": 42.8, "O": 35.1, "total": 40.2},
        soft_modes=SoftModes(
            count=4 if soft else 0,
            threshold=-0.5,
            lowest_energy=-9.0 if soft else 0.2,
            lowest_qpoint=[0.5, 0.0, 0.0],
            species_weights={"Li": 0.8, "O": 0.2},
            leading_species="Li",
        ),
        entropy=61.5,
        band_structure=bands(n_atoms, rng, -9.0 if soft else 0.0),
        method="SevenNet-0 (sevenn 0.13.0)",
        provenance={"phonon job": "4f6c-11"},
    )


def descriptors(compound_id: str, formula: str = "Li2O") -> DescriptorSet:
    """All descriptors but the band gap."""
    values: dict[str, float | None] = {n: 0.5 + i for i, n in enumerate(DESCRIPTORS)}
    values["band_gap"] = None
    return DescriptorSet(
        compound_id=compound_id,
        formula=formula,
        mobile_ion="Li",
        values=values,
        missing={"band_gap": "a force field gives none"},
        conductivity=2.5e-5,
        method="SevenNet-0",
        provenance={"roles": "mobile Li; anions O"},
    )


def entry(compound_id: str, *, n_atoms: int = 3, soft: bool = False) -> CompoundReport:
    """A compound that came through."""
    compound = Compound(
        compound_id=compound_id,
        formula="Li2O",
        mobile_ion="Li",
        structure=crystal(n_atoms),
        source="Materials Project mp-1960",
        conductivity=2.5e-5,
        conductivity_source="10.1000/a(b)<c>",
    )
    return CompoundReport(
        compound=compound,
        dynamics=dynamics(compound_id, n_atoms, soft),
        descriptors=descriptors(compound_id),
        keys={"phonons": "ab12cd"},
    )


def classification(selection: str = OUTSIDE, accuracy: float = 0.9) -> ClassificationScores:
    """Scores of ten compounds."""
    return ClassificationScores(
        n_rows=10,
        accuracy=accuracy,
        f1=0.8,
        log_loss=0.4,
        confusion=[[6, 1], [0, 3]],
        selection=selection,
    )


def trained() -> TrainedModels:
    """A classifier and a regressor with ten training rows."""
    names = ["phonon_band_center_mobile", "formula_units"]
    regression = RegressionScores(n_rows=10, rmse=1.75, mae=1.2, r2=0.61, selection=OUTSIDE)
    sizes = [
        SizeResult(
            n_features=k,
            features=names[:k],
            accuracy=0.7 + 0.1 * k,
            f1=0.6,
            log_loss=0.5,
            n_tied=1,
            n_subsets=30,
            train_accuracy=0.95,
            chosen=k == 2,
        )
        for k in (1, 2)
    ]
    return TrainedModels(
        threshold=1e-4,
        max_features=2,
        penalty=1.0,
        n_estimators=100,
        random_state=0,
        classifier=ClassifierDocument(
            features=names,
            coefficients={names[0]: -1.25, names[1]: 0.5},
            intercept=0.1,
            raw_coefficients={names[0]: -0.12, names[1]: 0.4},
            raw_intercept=3.0,
            sizes=sizes,
            scores=classification(),
            nested_scores=classification(INSIDE, 0.7),
            baseline=classification(accuracy=0.7),
            majority_share=0.7,
        ),
        regressor=RegressorDocument(
            features=list(DESCRIPTORS),
            importances=dict.fromkeys(DESCRIPTORS, 1 / 30),
            scores=regression,
            baseline=regression,
        ),
        training=[
            TrainingRow(
                compound_id=f"t{i}",
                formula="Li3N",
                log10_measured=-11.0 + i,
                superionic=i > 7,
                log10_predicted=-9.0 + 0.7 * i,
                probability=i / 10,
                predicted_superionic=i > 5,
            )
            for i in range(10)
        ],
        dropped={"disorder_cation": "constant"},
        ignored={},
        notes=["The plain score is optimistic."],
        data_hash="0",
        software={},
        estimators="",
        estimators_hash="",
    )


def screened(ids: list[str]) -> ScreeningResult:
    """A ranking of the compounds, the second outside the domain, and one filtered out."""
    rows = [
        ScreeningRow(
            rank=i + 1,
            compound_id=compound_id,
            formula="Li2O",
            probability=max(0.0, 0.9 - 0.1 * i),
            superionic=i < 4,
            log10_conductivity=-3.0 - i / 2,
            probability_kim2024=None if i else 0.4,
            imputed=["band_gap"] if i == 1 else [],
            outside_domain=["regressor"] if i == 1 else [],
            domain_distance={"regressor": 1.5 if i == 1 else 0.5},
            soft_modes=i == 2,
            in_training=i == 3,
            flags=["soft modes: not stable at 0 K"] if i == 2 else [],
        )
        for i, compound_id in enumerate(ids)
    ]
    left_out = [FilteredOut(compound_id="x", formula="LiCoO2", reasons=["band gap 0.6 eV < 1 eV"])]
    return ScreeningResult(
        filters=Filters(),
        ranked_by="probability",
        rows=rows,
        filtered_out=left_out,
        models_hash=None,
    )


def report(n: int = 4, *, n_atoms: int = 3, **more: object) -> ReportData:
    """A whole report of `n` compounds, the second with a soft mode, and one failure."""
    entries = [entry(f"id-{i}", n_atoms=n_atoms, soft=i == 1) for i in range(n)]
    fields = {
        "name": "Demonstration",
        "mobile_ion": "Li",
        "code": "SevenNet-0",
        "created": "2026-01-31T12:00:00+00:00",
        "settings": {"phonons": {"displacement": 0.01}},
        "versions": {"phonopy": "3.5.1"},
        "store": "MemoryStore",
        "compounds": entries,
        "failures": [Failure(compound_id="bad", stage="relax", reason="overlap", mend="Check it.")],
        "models": trained(),
        "screening": screened([e.compound.compound_id for e in entries]),
        "reference_rows": [descriptors("ref-1", "Li3N")],
    }
    return ReportData(**(fields | more))


@pytest.fixture(scope="session")
def make_report() -> Callable[..., ReportData]:
    """Function that makes a report of so many compounds."""
    return report


@pytest.fixture(scope="session")
def make_dynamics() -> Callable[..., LatticeDynamics]:
    """Function that makes lattice dynamics."""
    return dynamics


@pytest.fixture(scope="session")
def make_entry() -> Callable[..., CompoundReport]:
    """Function that makes one compound with its documents."""
    return entry


def explained() -> TrainedModels:
    """Models with all that a training document may hold, by elimination and nested."""
    models = trained()
    names = ["phonon_band_center_mobile", "formula_units", "band_gap"]
    rounds = [(3, "", 2.0), (2, "band_gap", 1.8), (1, "formula_units", 2.1)]
    regressor = {
        "kind": "elimination",
        "features": names[:2],
        "importances": {names[0]: 0.7, names[1]: 0.3},
        "permutation_importances": {names[0]: 0.4, names[1]: -0.1},
        "path": [
            EliminationRound(
                n_features=n, dropped=gone, features=names[:n], rmse=rmse, r2=0.3, chosen=n == 2
            )
            for n, gone, rmse in rounds
        ],
        "nested_scores": models.regressor.scores.model_copy(update={"rmse": 2.75}),
        "nested_features": {names[0]: 7, names[2]: 2},
    }
    signs = [(names[0], -1, -1, True), (names[1], 1, -1, False), (names[2], 1, 0, None)]
    explanation = ModelExplanation(
        classifier=[
            ClassifierTerm(
                descriptor=name,
                unit="",
                coefficient=0.5 * sign,
                raw_coefficient=0.1 * sign,
                sign=sign,
                expected_sign=expected,
                agrees=agrees,
            )
            for name, sign, expected, agrees in signs
        ],
        regressor=[
            RegressorTerm(
                descriptor=names[0],
                unit="meV",
                importance=0.7,
                permutation_importance=0.4,
                mean_contribution=0.9,
                direction=-0.8,
                sign=-1,
                expected_sign=-1,
                agrees=True,
            )
        ],
        expectations={
            name: Expectation(sign=expected, reason=f"Physics of {name}.", source="A paper")
            for name, _, expected, _ in signs
        },
    )
    correlations = Correlations(
        descriptors=[*names, "disorder_cation"],
        matrix=[
            [1.0, -0.95, None, None],
            [-0.95, 1.0, 0.25, None],
            [None, 0.25, 1.0, None],
            [None, None, None, None],
        ],
        log10_conductivity=[-0.42, 0.17, None, None],
    )
    return models.model_copy(
        update={
            "regressor": models.regressor.model_copy(update=regressor),
            "explanation": explanation,
            "correlations": correlations,
        }
    )


def explanation_of(compound_id: str, formula: str = "Li2O") -> CompoundExplanation:
    """Contributions that sum to both predictions; the band gap was imputed."""
    gap = Contribution(descriptor="band_gap", value=None, contribution=-0.5)
    centre = Contribution(descriptor="phonon_band_center_mobile", value=40.0, contribution=1.5)
    return CompoundExplanation(
        compound_id=compound_id,
        formula=formula,
        probability=0.7310585786300049,
        log_odds=1.0,
        log_odds_base=0.0,
        log_odds_contributions=[centre, gap],
        log10_conductivity=-4.25,
        log10_conductivity_base=-6.0,
        log10_conductivity_contributions=[centre, gap],
        log10_conductivity_rest=0.75,
    )


@pytest.fixture
def models() -> TrainedModels:
    """Models with every part."""
    return explained()


@pytest.fixture
def bare_models() -> TrainedModels:
    """Models of an older document: no explanation, no correlations, no elimination."""
    return trained()


@pytest.fixture
def make_explanation() -> Callable[..., CompoundExplanation]:
    """Function that makes the explanation of one compound."""
    return explanation_of
