"""What a trial leaves for the dashboard, by trials with real children that train in NumPy and draw next to nothing."""

import optuna_dashboard
import pytest
from optuna.trial import FrozenTrial, Trial, TrialState

from search.execution.trial import run_trial
from search.execution.worker import Worker
from search.execution.worker_loop import work
from search.web.attachments import artifacts_of
from search.web.notes import read_note
from search.web.trial_page import Undrawn, trial_note

GOOD = {"width": 16, "rate": 0.05, "dropout": 0.1}
HOPELESS = {"width": 4, "rate": 1e-7, "dropout": 0.5}


def note_of(worker: Worker, number: int) -> str:
    trial = worker.study.optuna.trials[number]
    return read_note(worker.study.storage, worker.study.study_id, trial._trial_id)


def pictures_of(worker: Worker, number: int) -> set[str]:
    study = worker.study
    return set(artifacts_of(study, Trial(study.optuna, study.optuna.trials[number]._trial_id)))


@pytest.fixture
def run(make_worker):
    def ran(wanted: int = 1, queue: tuple[dict[str, float], ...] = (GOOD,), **settings: object) -> Worker:
        worker: Worker = make_worker(**settings)
        for params in queue:
            worker.study.optuna.enqueue_trial(params)
        work(worker, lambda: wanted)
        return worker

    return ran


def test_finished_trial_leaves_note_curves_and_matrix(run) -> None:
    worker = run(epochs=2)
    note, trial = note_of(worker, 0), worker.study.optuna.trials[0]
    assert f"**Trial 0: finished**, validation accuracy **{trial.value:.4f}**" in note
    assert "It ran all its 2 epochs; the weights of epoch 2 are kept." in note
    assert "| width | 16 |" in note
    assert f"{trial.user_attrs['parameters']:,} trainable parameters" in note
    assert "Worker worker-1, on cpu" in note
    assert pictures_of(worker, 0) == {"curves.png", "validation_confusion_matrix.png"}
    assert note.count(f"](/artifacts/{worker.study.study_id}/{trial._trial_id}/") == 2


def test_pruned_trial_says_why_and_leaves_its_curves(run) -> None:
    worker = run(2, (GOOD, HOPELESS), pruner="halving", epochs=8)
    reason = worker.study.optuna.trials[1].user_attrs["reason"]
    assert "**Trial 1: pruned**" in note_of(worker, 1)
    assert f"P{reason[1:]}." in note_of(worker, 1)
    assert pictures_of(worker, 1) == {"curves.png"}


def test_failed_trial_leaves_its_reason_and_last_lines(make_worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_SPACE_FAULT", "raise")
    worker: Worker = make_worker()
    for _ in range(2):  # The first crash is tried once more.
        claim = worker.claims.claim(1)
        assert claim is not None
        run_trial(worker, claim)
    trial: FrozenTrial = worker.study.optuna.trials[0]
    assert trial.state == TrialState.FAIL
    note = note_of(worker, 0)
    assert "**Trial 0: failed**" in note
    assert trial.user_attrs["last_lines"].splitlines()[-1].strip() in note
    assert pictures_of(worker, 0) == set()


def test_trial_in_folds_leaves_the_matrix_of_all_folds(run) -> None:
    worker = run(epochs=1, folds=2, images=None)
    assert "It trained on all 2 folds, 2 epochs in all; its value is their mean." in note_of(worker, 0)
    assert pictures_of(worker, 0) == {"curves.png", "validation_confusion_matrix.png"}


def test_trial_below_the_best_leaves_no_matrix(run) -> None:
    worker = run(4, (GOOD, GOOD, GOOD, HOPELESS), epochs=2)
    assert pictures_of(worker, 3) == {"curves.png"}


def test_store_that_fails_costs_the_pictures_alone(run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("search.web.trial_page.upload", full)
    worker = run(epochs=1)
    assert worker.study.optuna.trials[0].state == TrialState.COMPLETE
    assert "**Trial 0: finished**" in note_of(worker, 0)
    assert "](/artifacts/" not in note_of(worker, 0)


def test_pictures_are_drawn_once_the_end_of_the_trial_is_recorded(
    run, monkeypatch: pytest.MonkeyPatch
) -> None:
    states: list[TrialState] = []

    def look(server: object, undrawn: Undrawn) -> None:
        states.append(undrawn.study.optuna.trials[undrawn.number].state)

    monkeypatch.setattr("search.execution.worker.draw_trial", look)
    run(2, (GOOD, HOPELESS), pruner="halving", epochs=8)
    assert states == [TrialState.COMPLETE, TrialState.PRUNED]


def test_worker_ends_with_all_pictures_drawn(run) -> None:
    study = run(3, epochs=1).study
    trials = [Trial(study.optuna, trial._trial_id) for trial in study.optuna.trials]
    names = [name for trial in trials for name in artifacts_of(study, trial).values()]
    assert len(names) == 6
    assert all(study.pictures.open_reader(name).read() for name in names)


def test_values_that_are_shown_have_no_more_than_six_digits(run) -> None:
    trial = run(epochs=2).study.optuna.trials[0]
    shown = [trial.value, *trial.intermediate_values.values(), *trial.user_attrs["history"]["loss"]]
    assert all(value == float(f"{value:.6g}") for value in shown)


def test_note_shows_words_from_outside_as_they_are(make_worker) -> None:
    worker: Worker = make_worker()
    trial = worker.study.optuna.ask()
    trial.set_user_attr("params", {"act|ivation": "<b>re_lu</b>"})
    note = trial_note(trial, "failed", "Because *of* this.", None, "accuracy", {})
    assert "| act\\|ivation | \\<b\\>re\\_lu\\</b\\> |" in note
    assert "Because \\*of\\* this." in note


def test_note_is_one_that_the_dashboard_reads(run) -> None:
    worker = run(epochs=1)
    trial = Trial(worker.study.optuna, worker.study.optuna.trials[0]._trial_id)
    assert optuna_dashboard.get_note(trial) == note_of(worker, 0)
