import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import winner
from scipy.stats import ttest_rel

import spaces
from search.config.settings import RunOptions
from search.data import split
from search.errors import InputError
from search.study.opening import open_study
from search.study.study import LoadedStudy

EPOCHS, IMAGES = 3, 200
WIDE = {"width": 32, "rate": 0.05, "dropout": 0.1}


def finish_next(study: LoadedStudy, value: float) -> None:
    """End the next waiting trial as a worker would, without training it."""
    space, spec = spaces.load(study.config.space), study.config.input_spec
    trial = study.optuna.ask()
    params = space.sample(trial, spec)
    cost = space.cost(params, spec)
    for name, fact in {
        "params": params, "parameters": cost.parameters, "flops": cost.flops, "backend": "tensorflow", "threads": 1,
        "history": {}, "epochs": EPOCHS, "kept_epoch": EPOCHS, "compute": 1.0,
    }.items():  # fmt: skip
        trial.set_user_attr(name, fact)
    study.optuna.tell(trial, value)


def make_study(place: Path, default: float, wide: float) -> LoadedStudy:
    """Digits on 200 images: the default configuration and a wider one, with what they scored."""
    opened = open_study(
        RunOptions.given(
            "s", data="digits", space="small_space", images=IMAGES, epochs=EPOCHS, sampler="random",
            pruner="none", root=place / "studies",
        )
    )  # fmt: skip
    finish_next(opened, default)
    opened.optuna.enqueue_trial(WIDE)
    finish_next(opened, wide)
    return opened


@pytest.fixture
def study(tmp_path: Path) -> LoadedStudy:
    return make_study(tmp_path, 0.8, 0.9)


def test_sides_are_trained_on_equal_flops(study: LoadedStudy) -> None:
    best, default = winner.sides_of(study, 30)
    assert (best.trial.number, default.trial.number) == (1, 0)
    assert best.epochs == 30  # The costlier net.
    assert best.flops(IMAGES) / default.flops(IMAGES) == pytest.approx(1, rel=0.02)


def test_pairs_are_scored_on_images_that_the_study_left_out(
    study: LoadedStudy, lend_server: Callable[..., Any], tmp_path: Path
) -> None:
    labels = study.dataset().train()[1]
    parts = split(labels, study.config.validation, IMAGES, study.config.seed)
    unseen = winner.unseen_by(study)
    assert unseen is not None
    assert not set(unseen) & {*parts.train, *parts.validation}
    assert len(unseen) == len(labels) - IMAGES - len(parts.validation)

    where = ["--study", "s", "--studies", str(study.paths.root), "--out", str(tmp_path)]
    with lend_server(winner):
        winner.main([*where, "--seeds", "2"])
    found = json.loads((tmp_path / "winner_s.json").read_text())
    assert found["settings"]["scored_on"] == f"{len(unseen)} images that the study left out"
    assert [pair["seed"] for pair in found["all"]] == [winner.FIRST_SEED, winner.FIRST_SEED + 1]
    runs = [pair[side] for pair in found["all"] for side in ("winner", "default")]
    assert {run["training_images"] for run in runs} == {IMAGES}
    # A net that has learnt anything of ten digits is right more often than one that guesses.
    assert all(0.2 < run["val_accuracy"] <= 1 for run in runs)
    assert found["winner"]["training_flops"] == 3 * found["winner"]["forward_flops"] * IMAGES * EPOCHS
    low, high = found["winner_minus_default"]["interval"]
    assert low <= found["winner"]["mean"] - found["default"]["mean"] <= high


def test_study_whose_winner_is_the_default_is_refused(tmp_path: Path) -> None:
    study = make_study(tmp_path, 0.9, 0.8)
    with pytest.raises(InputError, match="its winner is the default itself"):
        winner.sides_of(study, EPOCHS)


def test_interval_is_that_of_a_paired_t_test() -> None:
    ours, theirs = [0.81, 0.79, 0.85, 0.80], [0.80, 0.77, 0.86, 0.76]
    found = winner.difference(ours, theirs)
    expected = ttest_rel(ours, theirs).confidence_interval(0.95)
    assert found["interval"] == pytest.approx([expected.low, expected.high])
    assert found["mean"] == pytest.approx(np.mean(ours) - np.mean(theirs))
