"""What can go wrong, sorted by what then happens: the class of an exception decides its fate.

``InputError`` is the user's to mend (one line, exit code 2). ``StudyStopped`` ends a search (one line, exit code 1).
The rest end one trial, each in the way that the docstring says; the worker goes on.
"""

import errno
import os
import re
import sysconfig
import traceback
from collections.abc import Mapping
from pathlib import Path

# What colours a terminal; and the lines in which Keras names a layer before it says what went wrong there.
STYLE = re.compile(r"\x1b\[[\d;]*m")
KERAS_FRAME = re.compile(r"^Exception encountered when calling (.+)\.\n\s*")


class InputError(Exception):
    """Something given from outside is wrong: what was given, what was expected, how to mend it, in one line."""


class StudyPreparing(InputError):
    """The study that is asked for is still being made, by another process; nobody has made a mistake."""


def flag_error(error: ValueError) -> InputError:
    """An error about a parameter as an error about the flag that a command's user knows it by.

    The packages ``storage`` and ``spaces`` know no commands: their messages begin with a parameter's name, as in
    ``space 'x': unknown``.
    """
    return InputError(f"--{error}")


class SpaceFailed(Exception):
    """A space raised something, or returned what its contract does not allow.

    Args:
        words: What and where, in one line.
        kind: The name of the class of what was raised.
    """

    def __init__(self, words: str, kind: str = "ValueError") -> None:
        super().__init__(words)
        self.kind = kind


class StudyStopped(Exception):
    """The search cannot usefully go on (failures of one kind, a database that is gone); the message says why."""


class DiskFull(StudyStopped):
    """No room is left for what must be written: the trial goes back to WAITING, and the search ends.

    Args:
        words: What the system said.
    """

    def __init__(self, words: object) -> None:
        super().__init__(
            f"no room is left on the disk ({words}): nothing that was finished is lost; free some, then run the same "
            "command again"
        )


class SpaceChanged(StudyStopped):
    """The code of a space is not what the search began with: the trial goes back to WAITING, and the search ends.

    Args:
        words: What ``spaces`` said.
    """

    def __init__(self, words: object) -> None:
        super().__init__(
            f"{words}; nothing that was finished is lost: bring the code back as it was and run the same command "
            "again, or search the new code under another --study name"
        )


# Why a configuration is refused, by the bound that it violates.
REFUSALS = {
    "cost": "over the study's max-cost",
    "parameters": "over the study's max-parameters",
    "passes": "too large to see its images twice, and in eight steps or more, within a trial's compute",
}


class TrialPruned(Exception):
    """The trial ends PRUNED and counts: the pruner's verdict, or a loss that became NaN or infinite."""


class TrialRefused(Exception):
    """The configuration is never trained: the trial ends PRUNED with its constraints, and does not count.

    Args:
        violations: By how much each bound of the study is violated, by name; all above 0.
    """

    def __init__(self, violations: Mapping[str, float]) -> None:
        super().__init__(", ".join(REFUSALS[name] for name in violations))
        self.violations = violations


class TrialFailed(Exception):
    """The trial ends FAIL with this reason and does not count.

    Args:
        reason: A few words, the same but for numbers for every failure of one kind: repeated ones stop the study.
        last_lines: The end of the child's log, for a person to read.
        raised: Whether it is an exception of the space's or the training's code, which will be raised again.
    """

    def __init__(self, reason: str, last_lines: str = "", *, raised: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.last_lines = last_lines
        self.raised = raised


class TrialCrashed(TrialFailed):
    """The child crashed by itself or hung: the same trial once more, then FAIL."""


class TrialOutOfMemory(TrialFailed):
    """Host or device memory ran out: once more with half the batch and accumulated gradients.

    Then once on a worker with more memory, if one lives; then FAIL.

    Args:
        reason: See ``TrialFailed``.
        last_lines: See ``TrialFailed``.
        of_host: Whether it is surely the host's memory that ran out, even where there is a GPU.
    """

    def __init__(self, reason: str, last_lines: str = "", *, of_host: bool = False) -> None:
        super().__init__(reason, last_lines)
        self.of_host = of_host


class TrialInterrupted(Exception):
    """Stopped or killed from outside: the trial goes back to WAITING under its number, with its last checkpoint.

    Args:
        reason: A few words.
        clean: Whether this is surely no doing of the trial's, so that it does not count towards the most interruptions
            that a trial may have.
    """

    def __init__(self, reason: str, *, clean: bool = False) -> None:
        super().__init__(reason)
        self.clean = clean


class ServerGone(TrialInterrupted):
    """The process that starts children has ended, or does not answer: no doing of the trial's.

    Args:
        reason: A few words.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason, clean=True)


def first_line(error: BaseException) -> str:
    """The first line of what a library says, or the name of its exception's class where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def failure_words(error: BaseException) -> str:
    """An exception in one line: its class, its first line, and where in the user's own code it was raised."""
    return join_words(type(error).__name__, str(error), place_of(error))


def join_words(kind: str, message: str, place: str) -> str:
    """What ``failure_words`` gives, of its parts."""
    first = KERAS_FRAME.sub(r"\1: ", STYLE.sub("", message).strip()).splitlines()[:1]
    return ": ".join([kind, *first])[:300] + (f" ({place})" if place else "")


def place_of(error: BaseException) -> str:
    """The line of the user's own code that an exception came through last, such as ``my_space.py, line 12, in build``.

    It is empty where it came through none: what is installed, and this program's own packages, are not the user's.
    """
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    return (
        f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}, in {frames[-1].name}" if frames else ""
    )


def _is_users(file: str) -> bool:
    ours = [str(Path(__file__).parents[1] / name) for name in ("search", "spaces", "storage")]
    installed = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    return not file.startswith("<") and not any(
        Path(file).is_relative_to(place) for place in [*ours, *installed]
    )


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error``, of whatever library, says that a disk is full or a quota used up."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno in numbers:
        return True
    return any(os.strerror(number) in str(error) for number in numbers)
