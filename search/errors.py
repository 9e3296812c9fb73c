"""What can go wrong, sorted by what then happens: the class of an exception decides its fate.

``InputError`` is the user's to mend (one line, exit code 2). ``StudyStopped`` ends a search (one line, exit code 1).
The rest end one trial, each in the way that the docstring says; the worker goes on.
"""

import errno
import os


class InputError(Exception):
    """Something given from outside is wrong: what was given, what was expected, how to mend it, in one line."""


def flag_error(error: ValueError) -> InputError:
    """An error about a parameter as an error about the flag that a command's user knows it by.

    The packages ``storage`` and ``spaces`` know no commands: their messages begin with a parameter's name, as in
    ``space 'x': unknown``.
    """
    return InputError(f"--{error}")


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


class TrialPruned(Exception):
    """The trial ends PRUNED and counts: the pruner's verdict, or a loss that became NaN or infinite."""


class TrialFailed(Exception):
    """The trial ends FAIL with this reason and does not count.

    Args:
        reason: A few words, the same for every failure of one kind: repeated reasons stop the study.
        last_lines: The end of the child's log, for a person to read.
    """

    def __init__(self, reason: str, last_lines: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.last_lines = last_lines


class TrialCrashed(TrialFailed):
    """The child crashed by itself or hung: the same trial once more, then FAIL."""


class TrialOutOfMemory(TrialFailed):
    """Host or device memory ran out: once more with half the batch and accumulated gradients, then FAIL."""


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


def is_disk_full(error: BaseException) -> bool:
    """Whether ``error``, of whatever library, says that a disk is full or a quota used up."""
    numbers = (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, OSError) and error.errno in numbers:
        return True
    return any(os.strerror(number) in str(error) for number in numbers)
