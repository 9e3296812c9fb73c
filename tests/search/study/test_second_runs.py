"""A second command on a study: what it changes is said on both sides, and what it cannot change is refused."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from search.config.settings import RunOptions
from search.errors import InputError
from search.execution.stop_requests import Stop
from search.execution.worker import Worker
from search.progress.terminal import LineScreen
from search.study.opening import open_study
from search.study.snapshot import Snapshot
from search.study.study import LoadedStudy
from search.workflows.run import search_and_export
from search.workflows.sentences import how_to_go_on, warn_of_other_target
from storage.claims import Claims


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_fewer_trials_are_said_with_who_works_on_more(
    open_digits: Callable[..., LoadedStudy], caplog: pytest.LogCaptureFixture
) -> None:
    study = open_digits(trials=9)
    assert Claims(study.storage, study.study_id, "here-1").claim(9) is not None
    open_digits(trials=12)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert open_digits(trials=3).wanted == 3
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith(
        "--trials 3: study s was to have 12 trials; from now on it shall have 3; it ends the work of "
    )
    assert "here-1 (trial 0, seen " in said
    assert "to undo it: python -m search.run --study s --trials 12 " in said


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_run_whose_target_another_command_changes_says_so(
    open_digits: Callable[..., LoadedStudy], caplog: pytest.LogCaptureFixture
) -> None:
    study = open_digits(trials=9)
    warn_of_other_target(study, 9, Stop())
    assert "another command" not in caplog.text
    study.want(3)
    warn_of_other_target(study, 9, Stop())
    assert (
        "was to have 9 trials when this command began to work on it, and is to have 3 now: another"
        in caplog.text
    )


def test_lines_of_a_run_say_that_its_target_has_changed(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.console import Console

    screen = LineScreen(Console(), None)
    for wanted in (9, 9, 3, 3):
        screen.show(Snapshot("s", wanted=wanted))
    printed = capsys.readouterr().out
    assert printed.count("from now on the study shall have 3 trials, not 9 (--trials)") == 1
    assert printed.count("from now on") == 1


@pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
def test_preset_that_brings_other_settings_is_refused_for_a_study_that_exists(
    open_digits: Callable[..., LoadedStudy],
) -> None:
    open_digits(trials=9)
    with pytest.raises(
        InputError, match=r"^--preset digits_cnn: brings epochs 12, and study s was made with 1; "
    ):
        open_digits(preset="digits_cnn", epochs=None)
    with pytest.raises(
        InputError, match=r"^--preset cifar_cnn: brings images 10000, and study s was made with 200; "
    ):
        open_digits(preset="cifar_cnn", images=None)


def test_study_goes_on_with_the_preset_and_the_flags_that_it_was_made_with(digits, tmp_path: Path) -> None:
    places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
    asked = {"preset": "digits_cnn", "space": "small_space", "epochs": 3, **places}
    assert open_study(RunOptions.given("s", **asked)).wanted == 20
    assert open_study(RunOptions.given("s", **asked)).config.epochs == 3
    with pytest.raises(
        InputError, match=r"^--preset digits_cnn: brings space cnn, and study s was made with small_"
    ):
        open_study(RunOptions.given("s", preset="digits_cnn", epochs=3, **places))


def test_printed_command_can_be_pasted_into_a_shell(digits, tmp_path: Path) -> None:
    root = tmp_path / "my studies; rm -rf x"
    places = {"root": root, "cache": digits.folder.parent}
    options = RunOptions.given("s", data="digits", space="small_space", **places)
    study = open_study(options)
    words = how_to_go_on(Stop(reason="the time is up"), study, options)
    command = words.partition("go on with: ")[2]
    assert shlex.split(command) == ["python", "-m", "search.run", "--study", "s", "--studies", str(root)]
    assert shlex.split(study.command("export", "--out", "a b"))[5:7] == ["--out", "a b"]


def test_command_that_goes_on_says_again_what_the_study_does_not_store(digits, tmp_path: Path) -> None:
    """Pasted, it had no budget any more, and exported although that was refused."""
    said = {"budget": 2e12, "export": False, "gpus": "0,1", "trackers": ["tensorboard:a", "tensorboard:b"]}
    places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
    options = RunOptions.given("s", data="digits", space="small_space", epochs=2, **said, **places)
    words = how_to_go_on(Stop(reason="the time is up"), open_study(options), options)
    command = shlex.split(words.partition("go on with: ")[2])[5:]
    assert command[-2:] == ["--studies", str(tmp_path / "studies")]
    again = " ".join(command[:-2])
    expected = (
        "--budget 2000000000000FLOP --no-export --gpus 0,1 --log-to tensorboard:a --log-to tensorboard:b"
    )
    assert sorted(again.split(" --")) == sorted(expected.split(" --"))


def test_command_that_goes_on_has_no_budget_that_is_spent(digits, tmp_path: Path) -> None:
    """With the same budget it did nothing, and said the same again."""
    places = {"root": tmp_path / "studies", "cache": digits.folder.parent}
    options = RunOptions.given(
        "s", data="digits", space="small_space", epochs=2, budget=2e12, prefer="small", **places
    )
    stop = Stop(budget=1.0, spent=lambda: 2.0)
    stop.check_budget()
    words = how_to_go_on(stop, open_study(options), options)
    assert (
        "go on with a larger --budget, or without one: python -m search.run --study s --prefer small --s"
        in words
    )
    assert words.count("--budget") == 2


def test_timeout_counts_the_preparation(
    make_worker: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch, fast_server
) -> None:
    worker, clock, stops = make_worker(), [1000.0], []

    def prepare(options: RunOptions, backend: str, **_: object) -> LoadedStudy:
        clock[0] += 50
        return worker.study

    monkeypatch.setattr("search.workflows.run.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("search.workflows.run.open_study", prepare)
    monkeypatch.setattr("search.workflows.searching.feed_study", lambda *_: None)
    monkeypatch.setattr(
        "search.workflows.run.search", lambda study, server, slots, stop, **_: stops.append(stop)
    )
    search_and_export(RunOptions.given("small", timeout=30.0, export=False, data="digits"))
    assert stops[0].deadline == 1030.0
    assert stops[0].requested
