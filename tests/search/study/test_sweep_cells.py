"""Which cells a sweep has, and what of them is owed."""

import dataclasses
from collections.abc import Callable
from types import ModuleType
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

import spaces
from search.config.study_config import StudyConfig
from search.errors import InputError
from search.study.seeds import seed_number
from search.study.study import WANTED
from search.study.sweep_cells import FIXED, REPEAT, SWEEP, Sweep, _as, cells_wanted, next_retry
from spaces.contract import Cost, InputSpec, Params
from spaces.notebook_nets import notebook_nets


@pytest.fixture
def config() -> StudyConfig:
    classes = tuple("abcdefghij")
    return StudyConfig("s", "cifar10", "0", classes, height=32, width=32, channels=3, space="cnn_wide")


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


@pytest.fixture
def queue(config: StudyConfig, study: optuna.Study) -> Callable[..., list[tuple[Any, ...]]]:
    """Queue a sweep around the notebook's one-layer net; the values, and the repeat, of each trial."""

    def run(**said: Any) -> list[tuple[Any, ...]]:
        said = {"base": "one layer", "values": notebook_nets()["one layer"][1], **said}
        stored = study.user_attrs.get(SWEEP)
        Sweep(**said).queueing(spaces.load("cnn_wide"), config, stored)(study)
        names = study.user_attrs[SWEEP]["vary"]
        return [
            (*(trial.system_attrs[FIXED][name] for name in names), trial.user_attrs[REPEAT])
            for trial in study.trials
        ]

    return run


def end(study: optuna.Study, state: TrialState) -> None:
    trial = study.ask()
    study.tell(trial, 0.5 if state == TrialState.COMPLETE else None, state=state)


def test_cells_are_all_combinations_each_repeat_after_the_last(queue, study: optuna.Study) -> None:
    vary = {"filters": (16, 32), "dense_width": (64, 128)}
    first = [(16, 64, 0), (16, 128, 0), (32, 64, 0), (32, 128, 0)]
    assert queue(vary=vary, repeat=2) == [*first, *((*values, 1) for *values, _ in first)]
    assert study.user_attrs[WANTED] == cells_wanted(study.trials) == 8
    others = {"filters", "dense_width"}
    for trial in study.trials:
        fixed = trial.system_attrs[FIXED]
        assert {k: v for k, v in fixed.items() if k not in others} == {
            k: v for k, v in notebook_nets()["one layer"][1].items() if k not in others
        }


def test_cells_queued_again_are_those_that_are_new(queue, study: optuna.Study) -> None:
    assert queue(vary={"filters": (16,)}) == [(16, 0)]
    assert queue(vary={"filters": (16, 32.0)}) == [(16, 0), (32, 0)]
    assert queue(vary={"filters": (32,)}, repeat=2) == [(16, 0), (32, 0), (32, 1)]
    assert queue() == [(16, 0), (32, 0), (32, 1), (16, 1)]  # What is not said is the study's own.
    before = [(16, 128, 0), (32, 128, 0), (32, 128, 1), (16, 128, 1)]
    assert queue(vary={"dense_width": (128, 256)}, repeat=1) == [*before, (32, 256, 0)]
    assert study.user_attrs[SWEEP]["vary"] == {"filters": [16, 32], "dense_width": [128, 256]}


def test_sweep_asked_for_nothing_goes_on_with_its_own_cells_and_crosses_no_lists(
    queue, study: optuna.Study
) -> None:
    """Two lists, each given to a command of its own, were crossed by the command that only goes on."""
    queue(vary={"filters": (16,)})
    both = queue(vary={"dense_width": (64,)})
    assert both == [(16, 128, 0), (32, 64, 0)]
    assert queue() == both
    assert study.user_attrs[SWEEP]["vary"] == {"filters": [16, 32], "dense_width": [128, 64]}


def test_cell_over_the_spaces_own_bounds_is_left_out_too(queue, capsys: pytest.CaptureFixture[str]) -> None:
    assert queue(vary={"filters": (512, 1024), "dense_width": (128, 256)}) == [
        (512, 128, 0),
        (512, 256, 0),
        (1024, 128, 0),
    ]
    assert "left out: filters=1024, dense_width=256: 59,0" in capsys.readouterr().out


@pytest.mark.parametrize("listed", [16, "16", [], [16, 16], ["16", "16.0"]])
def test_values_that_are_no_list_of_different_ones_are_refused(queue, listed: Any) -> None:
    with pytest.raises(InputError, match=r"^--vary \{'filters': .*expected"):
        queue(vary={"filters": listed})


@pytest.mark.parametrize("value", ["1e400", float("nan"), float("inf"), 10**330])
def test_number_that_no_parameter_has_is_refused(queue, value: Any) -> None:
    for name in ("filters", "block_dropout"):
        with pytest.raises(InputError, match=rf"^--vary {name}=.* is outside what this space samples"):
            queue(vary={name: [value]})


def test_values_are_read_as_their_parameter_takes_them() -> None:
    values = [_as(word, like) for word in ("16", "1e-3", "true", "a") for like in (8, 0.5, False, "b")]
    assert list(map(repr, values)) == list(
        map(repr, [16, 16.0, 16, "16", 0.001, 0.001, 0.001, "1e-3", *[True] * 3, "true", *["a"] * 4])
    )


def test_texts_that_look_like_numbers_and_truth_are_varied(config: StudyConfig, study: optuna.Study) -> None:
    """``name=1`` was refused while 1 is listed, and ``name=true,1,x`` was said to be twice the same."""
    sweep = Sweep({"name": ("true", "1", "x")}, values={"name": "x"})
    sweep.queueing(Texts(), config)(study)
    assert [trial.system_attrs[FIXED]["name"] for trial in study.trials] == ["true", "1", "x"]


class Texts(ModuleType):
    """A space of one parameter, whose choices are texts."""

    def __init__(self) -> None:
        super().__init__("texts")

    @staticmethod
    def sample(trial: optuna.trial.BaseTrial, spec: InputSpec) -> Params:
        return {"name": trial.suggest_categorical("name", ["true", "1", "x"])}

    @staticmethod
    def cost(params: Params, spec: InputSpec) -> Cost:
        return Cost(1, 1)


def test_bound_of_a_cell_that_is_too_large_is_said_exactly(queue, config: StudyConfig) -> None:
    tight = dataclasses.replace(config, max_cost=1000)
    sweep = Sweep({"filters": (16,)}, None, "one layer", notebook_nets()["one layer"][1])
    with pytest.raises(InputError, match=r"over --max-cost 0\.001MFLOP$"):
        sweep.queueing(spaces.load("cnn_wide"), tight, None)


def test_failed_cell_is_owed_once_more_then_given_up_then_queued_by_the_command(
    queue, study: optuna.Study
) -> None:
    queue(vary={"filters": (16, 32)})
    end(study, TrialState.FAIL)
    end(study, TrialState.COMPLETE)
    made = next_retry(study.trials)
    assert cells_wanted(study.trials) == 2
    assert made is not None
    assert (made["system_attrs"][FIXED]["filters"], made["user_attrs"][REPEAT]) == (16, 0)
    study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, **made))
    assert next_retry(study.trials) is None  # It waits.
    end(study, TrialState.FAIL)
    assert next_retry(study.trials) is None
    assert cells_wanted(study.trials) == 1
    assert queue(vary={"filters": (16, 32)}) == [(16, 0), (32, 0), (16, 0), (16, 0)]
    assert cells_wanted(study.trials) == study.user_attrs[WANTED] == 2


def test_cell_that_is_tried_again_keeps_the_seed_of_its_first_try(queue, study: optuna.Study) -> None:
    queue(vary={"filters": (16, 32)})
    end(study, TrialState.FAIL)
    end(study, TrialState.FAIL)
    for _ in range(2):
        made = next_retry(study.trials)
        assert made is not None
        study.add_trial(optuna.trial.create_trial(state=TrialState.WAITING, **made))
        end(study, TrialState.FAIL)
    queue(vary={"filters": (16, 32)}, repeat=2)
    # Numbers 0 and 1, both again in the same run, both again by the command; then the second repeat of each.
    assert [seed_number(trial) for trial in study.trials] == [0, 1, 0, 1, 0, 1, 6, 7]


def test_diverged_cell_is_not_tried_again(queue, study: optuna.Study) -> None:
    queue(vary={"filters": (16,)})
    trial = study.ask()
    trial.report(0.1, 1)
    study.tell(trial, state=TrialState.PRUNED)
    assert (next_retry(study.trials), cells_wanted(study.trials)) == (None, 1)
    assert queue(vary={"filters": (16,)}) == [(16, 0)]
