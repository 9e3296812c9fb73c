"""What a tracker is: it keeps a run for each trial, with its curves and its end; nothing else of ours depends on it.

It is called by one thread. Any of its methods may raise anything: ``search.tracking.listener`` sees to that.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol


def tracker_name(name: str) -> str:
    """A name with nothing in it that a tracker refuses, of which MLflow is the strictest."""
    return re.sub(r"[^\w\-./ :]", "_", name)


class Point(NamedTuple):
    """A point of a curve: its name, such as ``val_loss``, the step, from 1, and the value there."""

    curve: str
    step: int
    value: float


@dataclass(frozen=True)
class TrackedTrial:
    """A trial as a tracker knows it.

    Attributes:
        number: Its number.
        params: Its configuration, plain values.
        began: When it began, seconds since 1970.
    """

    number: int
    params: Mapping[str, Any]
    began: float


@dataclass(frozen=True)
class Ending:
    """How a trial ended.

    Attributes:
        state: ``finished``, ``pruned`` or ``failed``.
        why: The reason in words; empty where it finished.
    """

    state: str
    why: str = ""


class Tracker(Protocol):
    """A program that people follow trainings with."""

    word: str
    """What it was asked for by, without a password."""

    look: str
    """How a person looks at what it keeps."""

    def prepare(self) -> None:
        """Make what all trials share; called once, by the process that starts the workers, and may be left out."""

    def open(self, trial: TrackedTrial) -> Mapping[str, int]:
        """Begin the run of a trial, or go on with the one that it has already.

        Returns:
            The last step that is already there of each curve; what is left out is written anew.
        """

    def write(self, points: Sequence[Point]) -> None:
        """Add points to the open run."""

    def close(self, ending: Ending | None) -> None:
        """Close the open run; None where the trial waits for a worker that goes on with it."""
