"""Which trials end early, and when the pruner is asked."""

import dataclasses
from typing import Any

import optuna
import pytest

from search.config.study_config import StudyConfig
from search.execution.pruning import diverged, make_pruner, pruned_after_epoch, pruned_after_fold

CONFIG = StudyConfig("s", "digits", "f" * 32, ("a", "b"), 8, 8, 1, epochs=12)


class Plan:
    """What the verdicts need of a training's plan."""

    def __init__(self, epochs: int = 12, folds: int = 0, fold: int = 0, steps: int = 0) -> None:
        self.epochs, self.folds, self.fold, self.steps = epochs, folds, fold, steps
        self.unit = "eighth" if steps else "epoch"


def test_example_of_halving_goes_as_it_is_told() -> None:
    study = optuna.create_study(direction="maximize", pruner=make_pruner(CONFIG))
    goes_on = []
    for value in (0.52, 0.61, 0.48, 0.57, 0.60, 0.63):
        trial = study.ask()
        verdicts = []
        for epoch in (1, 2, 3):
            trial.report(value, epoch)
            verdicts.append(pruned_after_epoch(trial, epoch, Plan()))  # type: ignore[arg-type]
        assert verdicts[:2] == ["", ""], "the first rung lies after epoch 3"
        goes_on.append(verdicts[2] == "")
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert goes_on == [True, True, False, False, False, True]


@pytest.mark.parametrize(("folds", "first"), [(2, 1), (3, 2), (5, 3), (10, 5)])
def test_first_rung_of_folds_lies_after_half_of_them(folds: int, first: int) -> None:
    study = optuna.create_study(pruner=make_pruner(dataclasses.replace(CONFIG, folds=folds)))
    for value in (0.1, 0.2):
        trial = study.ask()
        for fold in range(1, first + 1):
            trial.report(value, fold)
            assert trial.should_prune() == (value == 0.2 and fold == first)


class Hopeless:
    """A trial that the pruner would end."""

    def should_prune(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("epoch", "plan", "why"),
    [
        (3, Plan(), "pruned after epoch 3"),
        (12, Plan(), ""),  # The last epoch is paid for.
        (3, Plan(folds=5), ""),  # Folds are judged as wholes.
        (2, Plan(8, steps=99), "pruned after 25 % of its compute"),
        (8, Plan(8, steps=99), ""),
    ],
)
def test_pruner_is_asked_after_every_epoch_but_the_last(epoch: int, plan: Any, why: str) -> None:
    assert pruned_after_epoch(Hopeless(), epoch, plan) == why  # type: ignore[arg-type]


@pytest.mark.parametrize(("fold", "why"), [(2, "pruned after fold 2 of 5"), (5, "")])
def test_pruner_is_asked_after_every_fold_but_the_last(fold: int, why: str) -> None:
    assert pruned_after_fold(Hopeless(), fold, 5) == why  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("loss", "val_loss", "plan", "why"),
    [
        (0.5, 0.6, Plan(), ""),
        (float("nan"), 0.6, Plan(), "diverged: the loss became NaN or infinite in epoch 4"),
        (0.5, float("inf"), Plan(), "diverged: the loss became NaN or infinite in epoch 4"),
        (
            float("nan"),
            0.6,
            Plan(folds=5, fold=1),
            "diverged: the loss became NaN or infinite in epoch 4 of fold 2",
        ),
    ],
)
def test_training_whose_loss_is_no_number_has_diverged(
    loss: float, val_loss: float, plan: Any, why: str
) -> None:
    assert diverged({"epoch": 4, "loss": loss, "val_loss": val_loss}, plan) == why
