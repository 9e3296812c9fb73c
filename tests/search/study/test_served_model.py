"""A user's model as a space, with a child that says what a real one would."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest

from search.errors import DiskFull, InputError, SpaceFailed, TrialCrashed, TrialInterrupted
from search.study.first_trials import check_trial
from search.study.proposal import propose
from search.study.served_model import ServedModel, check_served, proposal_of
from spaces.contract import InputSpec
from spaces.user_model import UserModel
from storage.claims import ClaimLost

SPEC = InputSpec(8, 8, 1, 10)
MODEL = UserModel("my_model.py:build", "my_model", "build", "abc")
UNITS = {
    "kind": "suggest",
    "name": "units",
    "how": "int",
    "arguments": {"low": 8, "high": 64, "step": 1, "log": False},
}
DEEP = {"kind": "suggest", "name": "deep", "how": "categorical", "arguments": {"choices": [True, False]}}
BACKWARDS = {**UNITS, "arguments": {"low": 64, "high": 8, "step": 1, "log": False}}
DONE = {
    "kind": "done",
    "parameters": 650,
    "flops": 1280,
    "compiled": True,
    "scaled": True,
    "uncounted": [],
    "monitoring": "",
}
ERROR = {
    "kind": "error", "type": "ValueError", "message": "too deep", "place": "my_model.py, line 3, in build",
    "traceback": "", "oom": False, "full": False,
}  # fmt: skip


class Script:
    """A server and its only child, which sends these messages one after another."""

    backend = "torch"

    def __init__(self, *messages: dict[str, Any]) -> None:
        self.messages, self.answers = list(messages), []
        self.killed = False

    def start(
        self, job: str, payload: Any, log: Path, threads: int, environment: Any, *, patient: bool
    ) -> "Script":
        assert job == "search.training.user_model:describe"
        assert environment == {"CUDA_VISIBLE_DEVICES": ""}
        self.payload = payload
        return self

    def receive(self, timeout: float) -> dict[str, Any] | None:
        if not self.messages:
            raise EOFError
        return self.messages.pop(0)

    def send(self, message: dict[str, Any]) -> None:
        self.answers.append(message)

    def ending(self) -> Exception:
        return TrialInterrupted("killed by SIGKILL")

    def kill(self) -> None:
        self.killed = True

    def last_lines(self) -> str:
        return ""

    def __enter__(self) -> "Script":
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def serve(tmp_path: Path) -> Callable[..., tuple[ServedModel, Script]]:
    def made(*messages: dict[str, Any], **more: Any) -> tuple[ServedModel, Script]:
        script = Script(*messages)
        return ServedModel(MODEL, script, tmp_path / "log.txt", **more), script  # type: ignore[arg-type]

    return made


def test_values_that_the_child_asks_for_are_the_trials(serve) -> None:
    space, script = serve(DEEP, UNITS, DONE)
    trial = optuna.trial.FixedTrial({"deep": True, "units": 12})
    found = propose(space, trial, SPEC)
    assert script.answers == [{"value": True}, {"value": 12}]
    assert (found.params, tuple(found.cost)) == ({"deep": True, "units": 12}, (650, 1280))
    assert found.recipe == MODEL.recipe(found.params, SPEC)
    assert script.payload == {"model": MODEL.name, "code": "abc", "size": (8, 8, 1), "classes": 10}


def test_values_that_a_trial_has_already_are_answered_from_its_store(serve) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    trial = study.ask()
    first, _ = serve(DEEP, UNITS, DONE)
    params = first.sample(trial, SPEC)
    again = optuna.trial.Trial(study, trial._trial_id)
    second, _ = serve(DEEP, UNITS, DONE)
    assert second.sample(again, SPEC) == params == study.trials[0].params


def test_function_that_raises_fails_the_trial_with_its_line(serve) -> None:
    space, _ = serve(UNITS, ERROR)
    with pytest.raises(SpaceFailed, match=r"ValueError: too deep \(my_model.py, line 3, in build\)"):
        propose(space, optuna.trial.FixedTrial({"units": 12}), SPEC)


def test_model_that_is_unfit_is_told_without_the_name_of_a_class(serve) -> None:
    space, _ = serve({**ERROR, "type": "ModelUnfit", "message": "its model is none", "place": ""})
    with pytest.raises(SpaceFailed, match=r"^its model is none$"):
        propose(space, optuna.trial.FixedTrial({}), SPEC)


def test_question_that_optuna_refuses_is_answered_with_its_words(serve) -> None:
    space, script = serve(BACKWARDS, ERROR)
    with pytest.raises(SpaceFailed):
        propose(space, optuna.create_study().ask(), SPEC)
    assert "low <= high" in script.answers[0]["error"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"units": 12}, None),
        ({"units": 128}, "--try a.toml: units = 128 is outside what this space samples"),
        ({}, "--try a.toml: units is missing"),
        ({"units": 12, "width": 3}, "--try a.toml: width is not sampled by this space; expected units"),
    ],
)
def test_configuration_to_try_is_checked_by_the_child(
    serve, values: dict[str, int], message: str | None
) -> None:
    space, _ = serve(UNITS, DONE if values.get("units") == 12 else ERROR)
    if message is None:
        assert check_trial(space, values, SPEC, "--try a.toml") == values
        return
    with pytest.raises(InputError, match=message):
        check_trial(space, values, SPEC, "--try a.toml")


def test_lost_claim_ends_the_child_and_is_no_failure(serve) -> None:
    def check() -> None:
        raise ClaimLost("another has it")

    space, _ = serve(UNITS, check=check)
    with pytest.raises(ClaimLost):
        propose(space, optuna.trial.FixedTrial({}), SPEC)


@pytest.mark.parametrize(
    ("message", "kind"),
    [({**ERROR, "full": True}, DiskFull), (None, TrialInterrupted)],
    ids=["disk", "killed"],
)
def test_child_that_ends_for_another_reason_is_not_the_functions_fault(
    serve, message: Any, kind: type
) -> None:
    space, _ = serve(*filter(None, [message]))
    with pytest.raises(kind):
        propose(space, optuna.trial.FixedTrial({}), SPEC)


def test_child_that_does_not_answer_is_killed(serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.study.served_model.PATIENCE_SECONDS", 0.0)
    space, script = serve(UNITS)
    with pytest.raises(TrialCrashed, match=r"my_model\.py:build was not built in 0 s"):
        space.sample(optuna.trial.FixedTrial({}), SPEC)
    assert script.killed


def test_new_study_needs_one_configuration_that_does(serve) -> None:
    space, _ = serve(UNITS, ERROR, UNITS, DONE)
    check_served(space, SPEC)
    assert space.words() == "is trained as it is compiled; gets pixels from 0 to 1, for it scales none itself"
    none, _ = serve(ERROR, ERROR, ERROR)
    with pytest.raises(InputError, match=r"--model my_model.py:build: ValueError: too deep .*mend it"):
        check_served(none, SPEC)


def test_model_that_monitors_validation_images_is_refused_where_none_are_left(serve) -> None:
    monitoring = {**DONE, "monitoring": "EarlyStopping monitors val_loss"}
    check_served(serve(UNITS, monitoring)[0], SPEC)
    with pytest.raises(
        InputError, match="its callback EarlyStopping monitors val_loss, and --refit ends with"
    ):
        check_served(serve(UNITS, monitoring)[0], SPEC, on_all="--refit")


def test_trial_that_goes_on_needs_no_child() -> None:
    assert proposal_of(MODEL, {"worker": "one"}, SPEC) is None
    found = proposal_of(MODEL, {"params": {"units": 12}, "parameters": 650, "flops": 1280}, SPEC)
    assert found is not None
    assert (found.params, tuple(found.cost)) == ({"units": 12}, (650, 1280))
