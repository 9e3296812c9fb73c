"""What every command has in common: plain help with an example, one-line errors, human values, exit codes.

A command module is a function first; around it stands ``app = make_app(function, example=...)`` and, at the
end, ``main(app)``. Exit codes: 0 done, as far as the limits that were asked for allow; 1 it failed, came to nothing or
the program has a fault; 2 wrong input; 130 interrupted.
"""

import contextlib
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import typer

from search.cli.verbosity import VERBOSE, with_verbosity
from search.config.interpreter import as_typed_here
from search.errors import DiskFull, InputError, StudyPreparing, StudyStopped, is_disk_full
from search.execution.stop_requests import this_process_is_ours
from storage.errors import DatabaseGone, DatabaseRemoved

# BadParameter -> UsageError -> this one: the base of all that typer says about a wrong command line. Reached
# through a public name because some releases of typer carry their own click and others use the installed one.
_CommandLineError: type[Exception] = typer.BadParameter.__mro__[2]

NO_TEMPORARY = "No usable temporary directory"  # tempfile.


def make_app(function: Callable[..., None], *, example: str, chatty: bool = False) -> typer.Typer:
    """A typer app of the one command ``function``, with ``--quiet`` and ``--verbose``.

    Args:
        function: Its docstring is the help.
        example: The last lines of the help.
        chatty: Whether it prints more than its result, which it then prints by ``search.cli.verbosity.print_result``.
    """
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    # "\b" keeps click from re-flowing the example's lines into one paragraph.
    app.command(epilog=f"\b\nExample:\n{_indented(example)}")(with_verbosity(function, chatty))
    return app


def make_group(help: str, *, example: str, **apps: typer.Typer) -> typer.Typer:
    """A typer app whose subcommands are the commands of ``apps``, each by its name."""
    group = typer.Typer(
        help=help,
        epilog=f"\b\nExample:\n{_indented(example)}",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )
    add_commands(group, apps)
    return group


def add_commands(program: typer.Typer, apps: Mapping[str, typer.Typer]) -> None:
    """Make apps the subcommands of another, each by its name; those of several commands become groups."""
    for name, app in apps.items():
        if len(app.registered_commands) > 1:
            program.add_typer(app, name=name)
            continue
        (command,) = app.registered_commands
        command.name = name
        program.registered_commands.append(command)


def main(app: typer.Typer, argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``app`` on ``argv`` (default: the process's own) and exit; no traceback for a user's mistake.

    Raises:
        SystemExit: Always: 0, 1 after ``StudyStopped`` or a fault, 2 for wrong input, 130 when interrupted.
    """
    this_process_is_ours()
    if os.environ.get("NO_COLOR"):
        # Else rich drops the colours alone, and still prints bold and moves the cursor.
        os.environ["TERM"] = "dumb"
    # A scheduler ends a command by SIGTERM: in good order, as Ctrl-C does. A search has its own way.
    signal.signal(signal.SIGTERM, _end_as_ctrl_c_does)
    code = _run(app, argv)
    try:
        if sys.stdout is not None:  # It was closed from the beginning (>&-).
            sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough (| head); Python would complain when it flushes once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


def _end_as_ctrl_c_does(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # Some send two, of which the second would end the cleaning up.
    raise KeyboardInterrupt


def _run(app: typer.Typer, argv: Sequence[str] | None) -> int:
    try:
        code = app(args=None if argv is None else list(argv), standalone_mode=False)
    except StudyPreparing as wait:
        print(as_typed_here(str(wait)), file=sys.stderr)  # No error.
        return 2
    except InputError as error:
        _say_error(str(error))
        return 2
    except _CommandLineError as error:
        message = error.format_message() if hasattr(error, "format_message") else str(error)
        _say_error(f"{message.rstrip('.')}; --help says what is expected")
        return 2
    except StudyStopped as stopped:
        _say_error(str(stopped))
        return 1
    except DatabaseRemoved as removed:
        _say_error(f"--storage: {removed}")
        return 1
    except DatabaseGone as gone:
        _say_error(f"--storage: {gone}; nothing that was finished is lost: run the same command again")
        return 1
    except KeyboardInterrupt:
        return 130
    except typer.Abort as abort:
        # typer turns Ctrl-C into Abort, and an EOFError from anywhere too, which would hide a real fault.
        if not isinstance(abort.__cause__, EOFError):
            return 130
        _say_fault(abort.__cause__)
        return 1
    except BrokenPipeError:
        return 1
    except Exception as fault:
        if refused := _refused_by_database(fault):
            _say_error(refused)
            return 2
        if is_disk_full(fault):
            _say_error(str(DiskFull(fault)))
        elif isinstance(fault, FileNotFoundError) and NO_TEMPORARY in str(fault):
            _say_error(
                f"{fault.strerror}: they are full or cannot be written; free some, or set TMPDIR to another"
            )
        else:
            _say_fault(fault)
        return 1
    return code if isinstance(code, int) else 0


def _refused_by_database(fault: Exception) -> str:
    """Why the database refuses what a command asks of it, in words; empty for any other fault."""
    # Its import takes a second; where nobody has imported it, nobody has asked a database.
    retry = sys.modules.get("storage.retry")
    if retry is None or not retry.is_refusal(fault):
        return ""
    return (
        f"--storage: the database refuses it ({retry.reason(fault)}); nothing finished is lost: ask its owner"
    )


def _indented(example: str) -> str:
    return "\n".join(f"  {line}" for line in example.strip().splitlines())


def _say_fault(fault: BaseException) -> None:
    """A fault of the program in one line; its traceback is kept for whoever is to mend it."""
    text = "".join(traceback.format_exception(fault))
    if VERBOSE.is_set():
        print(text, end="", file=sys.stderr)
        return
    kept = ""
    with contextlib.suppress(OSError):
        with tempfile.NamedTemporaryFile("w", prefix="search-", suffix=".txt", delete=False) as file:
            file.write(text)
        kept = f"its traceback is in {file.name}, and "
    _say_error(
        f"{type(fault).__name__}: {fault}: a fault of this program, not of yours; {kept}--verbose shows it"
    )


def _say_error(message: str) -> None:
    line = " ".join(part.strip() for part in message.splitlines() if part.strip())
    print(f"error: {as_typed_here(line)}", file=sys.stderr)
