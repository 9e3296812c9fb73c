"""A study whose images are being made ready is told from none, by all commands that look for it."""

import importlib
import json
from pathlib import Path

import pytest

from search import status
from search.errors import InputError, StudyPreparing
from search.study import opening, preparing
from search.study.finding import load_study
from search.study.preparing import being_prepared, preparation_words


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SEARCH_STORAGE", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_study_that_is_being_prepared_is_no_missing_one(here: Path) -> None:
    root = Path("studies")
    with being_prepared("s", None, root):
        with pytest.raises(
            StudyPreparing, match=r"^study s is being prepared, for 0 s so far \(process \d+\)"
        ):
            load_study("s", None, root)
        for study, storage, where in (
            ("t", None, root),
            ("s", None, Path("others")),
            ("s", "sqlite:///a.db", root),
        ):
            assert not preparation_words(study, storage, where)
    with pytest.raises(InputError, match="no such study"):
        load_study("s", None, root)
    assert list(here.iterdir()) == [here / "cache"]
    assert list((here / "cache").iterdir()) == []


def test_what_a_killed_process_left_counts_for_nothing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with being_prepared("s", None, Path("studies")):
        (file,) = preparing._folder().iterdir()
        about = json.loads(file.read_text())
        for changed in ({"started": -1}, {"place": ["elsewhere", "1"]}):
            file.write_text(json.dumps({**about, **changed}))
            assert not preparation_words("s", None, Path("studies"))
        file.write_text("torn")
        assert not preparation_words("s", None, Path("studies"))


def test_place_that_cannot_be_written_is_no_reason_to_stop(here: Path) -> None:
    (here / "cache").write_text("a file")
    with being_prepared("s", None, Path("studies")):
        assert not preparation_words("s", None, Path("studies"))


def test_status_says_so_and_that_is_no_error(run_app, here: Path) -> None:
    with being_prepared("s", None, Path("studies")):
        code, printed, error = run_app(status.app, "--study", "s")
        assert (code, error) == (0, "")
        assert " ".join(printed.split()).startswith("study s is being prepared")
        code, printed, error = run_app(status.app, "--study", "s", "--json")
        assert (code, printed) == (2, "")
        assert error.startswith("study s is being prepared")


@pytest.mark.parametrize("name", ["stop", "report", "export", "dashboard", "delete", "worker"])
def test_commands_that_look_for_it_say_so_in_one_line(run_app, here: Path, name: str) -> None:
    app = importlib.import_module(f"search.{name}").app
    with being_prepared("s", None, Path("studies")):
        code, _, error = run_app(app, "--study", "s")
    assert (code, error.count("\n")) == (2, 1)
    assert error.startswith("study s is being prepared")


def test_who_watches_waits_for_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "WATCH_SECONDS", 0.0)
    answers = iter([StudyPreparing("s is being prepared"), StudyPreparing("still"), None])

    def watched() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    assert status.waiting_for(watched) is None  # type: ignore[arg-type, func-returns-value]
    assert capsys.readouterr().out == "s is being prepared\n"


def test_new_study_is_said_to_be_prepared_until_it_is_there(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.config.settings import RunOptions

    seen = []

    def create(options: RunOptions, *_: object) -> None:
        seen.append(preparation_words(options.study, options.storage, options.root))
        raise InputError("enough")

    monkeypatch.setattr(opening, "_create", create)
    with pytest.raises(InputError, match="enough"):
        opening.open_study(RunOptions.given(study="s", data="digits"))
    assert seen[0].startswith("study s is being prepared")
    assert not preparation_words("s", None, Path("studies"))
