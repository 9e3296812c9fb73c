import pytest

from search.cli.options import record_of
from search.config import tracker_word
from search.config.settings import WorkerOptions
from search.config.tracker_word import MLFLOW_ADDRESS, parse_tracker
from search.errors import InputError


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    monkeypatch.setattr(tracker_word, "find_spec", lambda name: object())
    monkeypatch.delenv(MLFLOW_ADDRESS, raising=False)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("tensorboard", ("tensorboard", "")),
        ("tensorboard:runs/a", ("tensorboard", "runs/a")),
        ("mlflow:http://127.0.0.1:5000", ("mlflow", "http://127.0.0.1:5000")),
        ("mlflow:sqlite:///m.db", ("mlflow", "sqlite:///m.db")),
        ("mlflow:databricks", ("mlflow", "databricks")),
    ],
)
def test_tracker_is_a_name_and_a_place(word, expected):
    assert parse_tracker("--log-to", word) == expected


def test_mlflow_alone_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv(MLFLOW_ADDRESS, "https://me:secret@host")
    assert parse_tracker("--log-to", "mlflow") == ("mlflow", "https://me:secret@host")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("wandb", "--log-to wandb: expected tensorboard, tensorboard:FOLDER, mlflow:URI"),
        ("tensorboard:", "--log-to tensorboard:: expected tensorboard, tensorboard:FOLDER"),
        ("mlflow", "--log-to mlflow: expected a URI, such as mlflow:http://127.0.0.1:5000"),
        ("mlflow:runs", "--log-to mlflow:runs: expected a URI"),
        ("mlflow:https://me:secret@host", "--log-to mlflow:https://host: every user of this host can read"),
    ],
)
def test_word_that_names_no_place_is_refused(word, message):
    with pytest.raises(InputError) as refused:
        parse_tracker("--log-to", word)
    assert str(refused.value).startswith(message)
    assert "secret" not in str(refused.value)


def test_tracker_that_is_not_installed_is_refused_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(tracker_word, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"run python -m pip install 'keras-image-search\[mlflow\]'"):
        record_of(WorkerOptions, {"study": "s", "trackers": ["mlflow:http://h"]})


def test_trackers_are_asked_for_by_their_flags_name_in_python(monkeypatch):
    from search.config.arguments import arguments_of

    asked = arguments_of("join", WorkerOptions, lambda options: options.trackers)
    assert asked("s", log_to="tensorboard") == ("tensorboard",)
    assert asked("s", log_to=["tensorboard", "mlflow:http://h"]) == ["tensorboard", "mlflow:http://h"]


def test_folder_of_tensorboard_begins_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.config.tracker_word.find_spec", lambda name: object())
    monkeypatch.setenv("HOME", "/home/me")
    assert parse_tracker("--log-to", "tensorboard:~/tb").where == "/home/me/tb"
