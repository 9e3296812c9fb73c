import errno
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from search.cli.app import main, make_app
from search.cli.parsing import parse_compute, parse_cost, parse_duration
from search.errors import InputError, StudyStopped
from storage.errors import DatabaseGone


def exit_of(function: Callable[..., None], *argv: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(make_app(function, example="python -m search.run --study s"), list(argv))
    return int(end.value.code or 0)


def raising(error: BaseException) -> Callable[[], None]:
    def command() -> None:
        """Fail."""
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (InputError("--data x: no such folder"), 2, "error: --data x: no such folder\n"),
        (InputError("two\n  lines"), 2, "error: two lines\n"),
        (StudyStopped("ten failures in a row"), 1, "error: ten failures in a row\n"),
        (typer.BadParameter("not this"), 2, "error: Invalid value: not this; --help says what is expected\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "/photos/a.keras"),
            1,
            "error: no room is left on the disk ([Errno 28] No space left on device: '/photos/a.keras'): nothing that "
            "was finished is lost; free some, then run the same command again\n",
        ),
        (
            FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']"),
            1,
            "error: No usable temporary directory found in ['/tmp']: they are full or cannot be written; free some, or "
            "set TMPDIR to another\n",
        ),
        (
            DatabaseGone("the database did not answer for 720 s (connection refused)"),
            1,
            "error: --storage: the database did not answer for 720 s (connection refused); nothing that was "
            "finished is lost: run the same command again\n",
        ),
    ],
)
def test_main_says_one_line_for(
    error: Exception, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_of(raising(error)) == code
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", said)


def test_main_on_ctrl_c_exits_130() -> None:
    assert exit_of(raising(KeyboardInterrupt())) == 130


def test_main_on_sigterm_ends_in_good_order_as_on_ctrl_c(tmp_path: Path) -> None:
    def command() -> None:
        """Be ended by a scheduler."""
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            (tmp_path / "cleaned").touch()

    assert exit_of(command) == 130
    assert (tmp_path / "cleaned").exists()


def test_main_whose_output_is_closed_exits_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    def command() -> None:
        """Print."""
        print("to nobody")

    monkeypatch.setattr(sys, "stdout", None)
    assert exit_of(command) == 0


@pytest.mark.parametrize("fault", [ZeroDivisionError("by zero"), EOFError("child ended")])
def test_main_says_one_line_for_a_fault_and_keeps_its_traceback(
    fault: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    # click turns an EOFError from anywhere into its own Abort, as it does Ctrl-C.
    assert exit_of(raising(fault)) == 1
    said = capsys.readouterr().err.lstrip()  # click ends the line in which it thinks Ctrl-C was typed.
    assert said.startswith(f"error: {type(fault).__name__}: {fault}: a fault of this program")
    assert said.count("\n") == 1
    (kept,) = re.findall(r"traceback is in (\S+),", said)
    assert "in command" in Path(kept).read_text()
    Path(kept).unlink()


def test_fault_whose_traceback_can_nowhere_be_kept_is_one_line_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("search.cli.app.tempfile.NamedTemporaryFile", full)
    assert exit_of(raising(ZeroDivisionError("by zero"))) == 1
    assert capsys.readouterr().err == (
        "error: ZeroDivisionError: by zero: a fault of this program, not of yours; --verbose shows it\n"
    )


def test_verbose_main_shows_the_traceback_of_a_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(raising(ZeroDivisionError("by zero")), "--verbose") == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_main_passes_an_exit_code_on() -> None:
    assert exit_of(raising(typer.Exit(3))) == 3


def test_main_on_success_exits_0() -> None:
    def command(name: str = "x") -> None:
        """Succeed."""

    assert exit_of(command) == 0


def test_main_on_an_unknown_flag_says_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(raising(AssertionError()), "--what") == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_help_ends_with_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_of(raising(AssertionError()), "--help") == 0
    assert capsys.readouterr().out.endswith("Example:\n    python -m search.run --study s\n")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1.5 h", 5400), ("1D", 86400)],
)
def test_duration_is_read(text: str, seconds: float) -> None:
    assert parse_duration("--timeout", text) == seconds


@pytest.mark.parametrize(
    "text", ["", "0", "-5", "-2h", "2 weeks", "nan", "inf", "h", "1h30m", "1e9h", "0.0s"]
)
def test_duration_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--timeout .*30m or 2h$"):
        parse_duration("--timeout", text)


@pytest.mark.parametrize(
    ("text", "flops"),
    [("1PFLOP", 1e15), ("200TFLOP", 2e14), ("200 tflops", 2e14), ("1e15", 1e15), ("5GFLOP", 5e9)],
)
def test_compute_is_read(text: str, flops: float) -> None:
    assert parse_compute("--budget", text) == flops


@pytest.mark.parametrize(
    "text", ["", "0", "0PFLOP", "-1PFLOP", "1PB", "PFLOP", "1XFLOP", "1e300", "5", "nan"]
)
def test_compute_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--budget .*1PFLOP or 200TFLOP$"):
        parse_compute("--budget", text)


@pytest.mark.parametrize(
    ("text", "flops"), [("170MFLOP", 170_000_000), ("0.2GFLOP", 200_000_000), ("170000000", 170_000_000)]
)
def test_cost_is_read(text: str, flops: int) -> None:
    assert parse_cost("--max-cost", text) == flops


@pytest.mark.parametrize("text", ["", "0", "-170MFLOP", "170MB", "12", "1EFLOP"])
def test_cost_of_nonsense_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^--max-cost "):
        parse_cost("--max-cost", text)


def test_main_in_a_process_of_its_own_shows_no_traceback(tmp_path: Path) -> None:
    script = tmp_path / "command.py"
    script.write_text(
        "from search.cli.app import main, make_app\nfrom search.errors import InputError\n"
        "def f() -> None:\n    '''Fail.'''\n    raise InputError('no')\nmain(make_app(f, example='x'))\n"
    )
    root = Path(__file__).parents[3]
    process = subprocess.run(
        [sys.executable, str(script)],
        env={"PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (process.returncode, process.stdout, process.stderr) == (2, "", "error: no\n")
