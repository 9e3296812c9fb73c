import logging
from collections.abc import Callable, Iterator

import pytest

from search.cli.app import main, make_app
from search.cli.verbosity import print_result

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """Run a command that talks, warns and has a result."""
    before = list(logging.getLogger().handlers)

    def command(number: int = 3) -> None:
        """Count."""
        print("counting")
        print("warning: it may be", end="")
        print(" wrong")
        logging.getLogger("library").info("a library's words")
        print_result(f"it is {number}")

    def call(*arguments: str, chatty: bool = True) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(make_app(command, example="x", chatty=chatty), list(arguments))
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    yield call
    for handler in set(logging.getLogger().handlers) - set(before):
        logging.getLogger().removeHandler(handler)


def test_command_talks_unless_it_is_told_not_to(run: Run) -> None:
    assert run("--number", "4") == (0, "counting\nwarning: it may be wrong\nit is 4\n", "")


def test_quiet_command_prints_result_and_warnings_alone(run: Run) -> None:
    assert run("--quiet") == (0, "it is 3\n", "warning: it may be wrong\n")


def test_quiet_command_that_is_all_result_prints_it_all(run: Run) -> None:
    assert run("--quiet", chatty=False)[1] == "counting\nwarning: it may be wrong\nit is 3\n"


def test_verbose_command_prints_what_libraries_log(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # As in a process of its own.
    code, out, err = run("--verbose")
    assert (code, "counting" in out) == (0, True)
    assert "INFO library: a library's words" in err


def test_quiet_and_verbose_together_are_refused(run: Run) -> None:
    code, out, err = run("--quiet", "--verbose")
    assert (code, out) == (2, "")
    assert "--quiet and --verbose contradict each other" in err
