"""A study of whose trials none is complete: what is said of it, and that nothing sends its user in a circle."""

from collections.abc import Callable

import optuna
import pytest
from optuna.trial import TrialState

from search.cli.app import main
from search.config.settings import ExportOptions
from search.errors import InputError
from search.exporting.choice import OF_A_TRAINING, candidates, choose_trial, parse_without
from search.run import app
from search.study.outcome import why_none_complete
from search.study.study import LoadedStudy
from search.workflows.export import make_export
from search.workflows.results import StudyResult

pytestmark = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)


@pytest.fixture
def study(open_digits: Callable[..., LoadedStudy]) -> LoadedStudy:
    return open_digits(trials=4)


def add(study: LoadedStudy, state: TrialState, value: float, *, ours: bool = True, reason: str = "") -> None:
    attributes = {**(dict.fromkeys(OF_A_TRAINING, 1) if ours else {}), "reason": reason}
    study.optuna.add_trial(
        optuna.trial.create_trial(
            state=state,
            value=value if state == TrialState.COMPLETE else None,
            intermediate_values={1: value},
            user_attrs=attributes,
        )
    )


def test_study_without_an_ended_trial_says_nothing_of_it(study: LoadedStudy) -> None:
    assert why_none_complete(study) == ""
    with pytest.raises(
        InputError, match=r"^study s: no trial has finished yet, .*; run python -m search.run "
    ):
        choose_trial(study, None)


def test_study_with_a_complete_trial_says_nothing_of_it(study: LoadedStudy) -> None:
    add(study, TrialState.PRUNED, 0.1)
    add(study, TrialState.COMPLETE, 0.2)
    assert why_none_complete(study) == ""


def test_study_whose_trials_were_all_pruned_names_the_best_of_them(study: LoadedStudy) -> None:
    for value in (0.1, 0.3, 0.2):
        add(study, TrialState.PRUNED, value, reason="pruned after epoch 1")
    words = why_none_complete(study)
    assert words.startswith(
        "study s: none of its 3 ended trials is complete (3 pruned), so that there is nothing to "
    )
    assert "a new study with --pruner none" in words
    assert "search.export --study s --trial 2 --refit " in words  # The one that is queued has number 0.
    assert "learning rate" not in words


def test_study_whose_trials_all_diverged_asks_for_a_lower_learning_rate(study: LoadedStudy) -> None:
    add(study, TrialState.PRUNED, 0.1, reason="diverged: the loss became NaN or infinite in epoch 1")
    add(study, TrialState.FAIL, 0.1, reason="crashed")
    words = why_none_complete(study)
    assert "(1 diverged, 1 failed)" in words
    assert "lower learning rate" in words
    assert "--refit" not in words
    assert "why trials failed is in " in words


def test_export_of_a_study_without_a_complete_trial_says_what_to_do(study: LoadedStudy) -> None:
    add(study, TrialState.PRUNED, 0.1, reason="pruned after epoch 1")
    with pytest.raises(InputError, match="none of its 1 ended trials is complete"):
        make_export(ExportOptions.given("s", storage=study.url, root=study.paths.root))


@pytest.mark.parametrize(
    ("stopped", "none_complete", "said"),
    [
        ("", "study s: none of its trials is complete", "error: study s: none of its trials is complete\n"),
        ("the time is up", "", "error: the time is up\n"),
    ],
)
def test_run_that_came_to_nothing_exits_with_1_and_says_so(
    study: LoadedStudy, monkeypatch: pytest.MonkeyPatch, capsys, stopped: str, none_complete: str, said: str
) -> None:
    result = StudyResult(study, stopped, False, None, none_complete)
    monkeypatch.setattr("search.workflows.run.search_and_export", lambda options: result)
    with pytest.raises(SystemExit) as end:
        main(app, ["--study", "s"])
    assert (end.value.code, capsys.readouterr().err) == (1, said)


def test_run_that_a_limit_has_ended_with_a_complete_trial_exits_with_0(
    study: LoadedStudy, run_app: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    add(study, TrialState.COMPLETE, 0.5)
    result = StudyResult(study, "the time is up (--timeout): 1 of 4 trials finished", False, None)
    monkeypatch.setattr("search.workflows.run.search_and_export", lambda options: result)
    code, said, complained = run_app(app, "--study", "s")
    assert (code, complained) == (0, "")
    assert result.stopped in said


def test_trial_that_search_run_did_not_train_is_not_chosen(study: LoadedStudy) -> None:
    add(study, TrialState.COMPLETE, 0.9, ours=False)
    with pytest.raises(
        InputError, match=r"^study s: search\.run did not train any of its complete trials \(1; "
    ):
        choose_trial(study, None)
    with pytest.raises(InputError, match=r"^--trial 1: search\.run did not train it "):
        choose_trial(study, 1)
    add(study, TrialState.COMPLETE, 0.5)
    assert choose_trial(study, None).number == 2
    assert [trial.number for trial in candidates(study)] == [2]


def test_trials_that_turned_out_wrong_are_left_out_of_the_choice(study: LoadedStudy) -> None:
    for value in (0.9, 0.5, 0.7):
        add(study, TrialState.COMPLETE, value)
    assert choose_trial(study, None).number == 1
    assert choose_trial(study, None, parse_without(study, ["1"])).number == 3
    assert [one.number for one in candidates(study, parse_without(study, ["1", " 3"]))] == [2]
    with pytest.raises(InputError, match=r"^--without 1,2,3: leaves no complete trial of study s to export$"):
        choose_trial(study, None, (1, 2, 3))


@pytest.mark.parametrize("without", ["9", "-1", "", "best", "1.5"])
def test_what_is_no_trial_cannot_be_left_out(study: LoadedStudy, without: str) -> None:
    with pytest.raises(InputError, match=r"^--without .*: study s has no such trial; expected 0 to 0$"):
        parse_without(study, [without])


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"without": ()}, "^--without: names no trial"),
        ({"without": [0], "trial": 0}, "^--trial 0 .* --without"),
    ],
)
def test_choice_that_contradicts_itself_is_refused(study: LoadedStudy, more: dict, said: str) -> None:
    with pytest.raises(InputError, match=said):
        make_export(ExportOptions.given("s", storage=study.url, root=study.paths.root, **more))
