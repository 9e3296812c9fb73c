"""Which files of weights an export starts from."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from optuna.trial import TrialState, create_trial

from search.config.settings import ExportOptions
from search.config.study_config import StudyConfig
from search.errors import InputError
from search.execution.planning import PLANNED_EPOCHS
from search.execution.worker import Worker
from search.exporting import weights
from search.exporting.weights import copy_weights, kept_weights, refit
from search.study.compute import compute_spent


def test_damaged_weights_are_none_and_a_refit_is_advised(tmp_path: Path) -> None:
    file = tmp_path / "3.keras"
    trial: Any = SimpleNamespace(number=3, user_attrs={"token": "t"})
    loaded: Any = SimpleNamespace(
        paths=SimpleNamespace(model=lambda number, token: file),
        artifacts=None,
        config=SimpleNamespace(study="s"),
    )
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("config.json", "{}")
    assert kept_weights(loaded, trial) == file
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(
        InputError, match=r"^trial 3 of study s: its weights are not kept here, or damaged .*--refit"
    ):
        kept_weights(loaded, trial)


@pytest.mark.parametrize(
    ("length", "attributes", "unit"),
    [(0, {}, "epoch"), (100, {}, "eighth"), (100, {PLANNED_EPOCHS: 1}, "epoch")],
)
def test_length_of_kept_weights_is_counted_as_their_trial_was(
    tmp_path: Path, length: int, attributes: dict[str, Any], unit: str
) -> None:
    kept = tmp_path / "3.keras"
    kept.touch()
    attributes = {"history": {"loss": [0.5]}, "kept_epoch": 1, "epoch_images": 64, **attributes}
    config = StudyConfig("s", "digits", "f", ("0", "1"), height=8, width=8, channels=1, length=length)
    loaded: Any = SimpleNamespace(config=config)
    trial: Any = SimpleNamespace(user_attrs=attributes)
    assert copy_weights(loaded, kept, trial, tmp_path / "model.keras").unit == unit


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "refit-8.npz"


@pytest.fixture
def request_of_refit(
    make_worker: Callable[..., Worker], checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Asks for a refit of a trial of 10 FLOPs an image."""
    loaded = make_worker().study
    loaded.optuna.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, user_attrs={"flops": 10}))
    plan = SimpleNamespace(checkpoint=str(checkpoint))
    monkeypatch.setattr(weights, "refit_plan", lambda *_: plan)
    return SimpleNamespace(
        loaded=loaded,
        trial=loaded.optuna.trials[0],
        options=ExportOptions.given("s"),
        say=lambda line: None,
    )


def test_compute_of_an_interrupted_refit_is_spent_and_counted_once_where_it_goes_on(
    request_of_refit: Any, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was counted at the end of the training alone, and of one that another followed never."""
    request, loaded = request_of_refit, request_of_refit.loaded

    def interrupted(*arguments: Any) -> None:
        arguments[-1](100.0)
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "run_training", interrupted)
    server: Any = None
    with pytest.raises(KeyboardInterrupt):
        refit(request, tmp_path / "model.keras", server)
    assert compute_spent(loaded) == 3 * 10 * 100

    checkpoint.touch()
    whole = SimpleNamespace(facts={"compute": 3.0 * 10 * 400})
    monkeypatch.setattr(weights, "run_training", lambda *_: whole)
    refit(request, tmp_path / "model.keras", server)
    assert compute_spent(loaded) == 3 * 10 * 400


def test_compute_of_two_refits_of_a_trial_within_a_second_is_counted_twice(
    request_of_refit: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their records were named by whole seconds, and the second took the place of the first."""
    whole = SimpleNamespace(facts={"compute": 3.0 * 10 * 400})
    monkeypatch.setattr(weights, "run_training", lambda *_: whole)
    server: Any = None
    for _ in range(2):
        refit(request_of_refit, tmp_path / "model.keras", server)
    assert compute_spent(request_of_refit.loaded) == 2 * 3 * 10 * 400


def test_compute_of_a_refit_that_begins_anew_after_memory_ran_out_is_all_spent(
    request_of_refit: Any, checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record of 300 images fell to 100 as the training began again with half batches."""
    request, loaded = request_of_refit, request_of_refit.loaded

    def out_of_memory(*arguments: Any) -> None:
        for images in (100.0, 200.0, 300.0, 100.0):
            arguments[-1](images)
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "run_training", out_of_memory)
    server: Any = None
    with pytest.raises(KeyboardInterrupt):
        refit(request, tmp_path / "model.keras", server)
    assert compute_spent(loaded) == 3 * 10 * (300 + 100)

    checkpoint.touch()  # Of the second attempt, which goes on.
    whole = SimpleNamespace(facts={"compute": 3.0 * 10 * 400})
    monkeypatch.setattr(weights, "run_training", lambda *_: whole)
    refit(request, tmp_path / "model.keras", server)
    assert compute_spent(loaded) == 3 * 10 * (300 + 400)
