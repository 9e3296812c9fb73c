"""A thread passes on what happens to a worker's trials to its trackers, so that none of them holds up a trial."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from search.config.tracker_word import TENSORBOARD, parse_tracker
from search.study.fold_results import FOLDS
from search.study.study import LoadedStudy
from search.tracking.base import Ending, Point, TrackedTrial, Tracker, tracker_name
from search.tracking.mlflow import MLflow
from search.tracking.tensorboard import TensorBoard

if TYPE_CHECKING:
    import optuna

logger = logging.getLogger(__name__)

# A worker that is done waits for what is still to be passed on, as long as something is; one that was stopped so long.
SILENT_SECONDS, STOPPED_SECONDS = 30.0, 3.0
# A tracker that failed is left alone for so long, but for a trial's end, since each try may take seconds.
PAUSE_SECONDS = 20.0
FLAG = "--log-to"
_warned: set[str] = set()


class _Event(NamedTuple):
    """What happens to a trial: it begins or goes on (``trial``), comes further (``points``), is left, or ends."""

    trial: TrackedTrial | None = None
    points: Sequence[Point] = ()
    left: bool = False
    ending: Ending | None = None


class Listener:
    """Hears of a worker's trials, one after another, and passes it on; without trackers it does nothing.

    What a tracker that failed for a while has missed of a trial it gets at the trial's end.

    Args:
        trackers: Who is told.
    """

    def __init__(self, trackers: Sequence[Tracker] = ()) -> None:
        self._lines = [_Line(tracker) for tracker in trackers]
        self._passed = 0
        self._queue: queue.Queue[_Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._work, name="trackers", daemon=True)
        if self._lines:
            self._thread.start()

    def begin(self, trial: "optuna.Trial", history: Mapping[str, Sequence[float]]) -> None:
        """A trial begins to train, or goes on, or has trained a fold; its history has one value an epoch."""
        if self._lines:
            self._queue.put(_Event(tracked(trial), [*points_of(history), *fold_points(trial)]))

    def epoch(self, step: int, values: Mapping[str, Any]) -> None:
        """The trial has trained an epoch, the ``step``-th, with these figures; what is no number is left out."""
        if self._lines:
            self._queue.put(_Event(points=_numbers(values, step)))

    def end(self, trial: "optuna.Trial", state: str, why: str, value: float | None) -> None:
        """The trial has ended, and all of it is recorded."""
        if not self._lines:
            return
        recorded = trial.user_attrs
        points = [*points_of(recorded.get("history") or {}), *fold_points(trial)]
        figures = {"value": value, **{name: recorded.get(name) for name in ("parameters", "flops")}}
        last = max((point.step for point in points), default=1)
        points += _numbers(figures, last)
        self._queue.put(_Event(tracked(trial), points, ending=Ending(state, why)))

    def leave(self) -> None:
        """The trial, if one is still open, waits for whoever goes on with it."""
        if self._lines:
            self._queue.put(_Event(left=True))

    def close(self, seconds: float, *, at_most: float = math.inf) -> None:
        """Wait until all is passed on.

        Args:
            seconds: How long no tracker may be done with anything before that is given up.
            at_most: How long to wait in all.
        """
        if not self._lines:
            return
        self._queue.put(None)
        over, before = time.monotonic() + at_most, -1
        while self._thread.is_alive() and before != self._passed and time.monotonic() < over:
            before = self._passed
            self._thread.join(min(seconds, at_most))
        if self._thread.is_alive():
            _warn(
                ", ".join(line.tracker.word for line in self._lines),
                "what happened last is not passed on in time",
            )

    def _work(self) -> None:
        while (event := self._queue.get()) is not None:
            for line in self._lines:
                line.pass_on(event)
                self._passed += 1


class _Line:
    """A tracker, and how far it is with the trial that it has open."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self._open: int | None = None
        self._written: dict[str, int] = {}
        self._failed = -PAUSE_SECONDS

    def pass_on(self, event: _Event) -> None:
        """Pass on one event; a tracker that fails has the trial no more, until its end."""
        if event.trial is None and self._open is None:
            return
        if event.ending is None and time.monotonic() - self._failed < PAUSE_SECONDS:
            return
        try:
            self._pass_on(event)
        except Exception as error:  # Whatever it is: it concerns the tracker alone.
            self._failed = time.monotonic()
            _warn(self.tracker.word, f"{type(error).__name__}: {error}")
            self._open = None

    def _pass_on(self, event: _Event) -> None:
        if event.trial is not None and event.trial.number != self._open:
            self._written = dict(self.tracker.open(event.trial))
            self._open = event.trial.number
        fresh = [point for point in event.points if point.step > self._written.get(point.curve, 0)]
        if fresh:
            self.tracker.write(fresh)
            self._written |= {point.curve: point.step for point in fresh}
        if event.left or event.ending is not None:
            self._open = None
            self.tracker.close(event.ending)


def tracked(trial: "optuna.Trial") -> TrackedTrial:
    """A trial as trackers know it."""
    began = trial.datetime_start
    params = trial.user_attrs.get("params") or trial.params
    return TrackedTrial(trial.number, params, time.time() if began is None else began.timestamp())


def points_of(history: Mapping[str, Sequence[float | None]]) -> list[Point]:
    """The points of curves that have a value an epoch."""
    steps = max(map(len, history.values()), default=0)
    return [
        point
        for step in range(1, steps + 1)
        for point in _numbers(
            {name: curve[step - 1] for name, curve in history.items() if len(curve) >= step}, step
        )
    ]


def fold_points(trial: "optuna.Trial") -> list[Point]:
    """The mean of the value over the folds so far, after each fold; nothing of a trial that has none."""
    if not trial.user_attrs.get(FOLDS):
        return []
    means = trial.storage.get_trial(trial._trial_id).intermediate_values
    return [point for step in sorted(means) for point in _numbers({"folds/value": means[step]}, step)]


def _numbers(values: Mapping[str, Any], step: int) -> list[Point]:
    """Points of what is a finite number, under names that every tracker takes."""
    return [
        Point(tracker_name(name), step, float(value))
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    ]


def make_trackers(words: Sequence[str], study: LoadedStudy) -> list[Tracker]:
    """The trackers that are asked for; nothing is written yet."""
    made: list[Tracker] = []
    for name, where in dict.fromkeys(parse_tracker(FLAG, word) for word in words):
        if name == TENSORBOARD:
            made.append(TensorBoard(Path(where) / study.config.study if where else study.paths.tensorboard))
        else:
            made.append(MLflow(where, study.config.study, study.paths.uid))
    return made


def prepare_trackers(words: Sequence[str], study: LoadedStudy) -> None:
    """Make what the trackers of all workers share, and say how to look at them; warn of one that does not answer."""
    for tracker in make_trackers(words, study):
        try:
            tracker.prepare()
        except Exception as error:
            _warn(tracker.word, f"{type(error).__name__}: {error}")
        else:
            logger.info(f"{FLAG} {tracker.word}: {tracker.look}")


@contextmanager
def listening(words: Sequence[str], study: LoadedStudy, hurried: Callable[[], bool]) -> Iterator[Listener]:
    """A listener within the block, at whose end it passes on what is left.

    Args:
        words: The trackers that are asked for.
        study: The open study.
        hurried: Whether there is little time for that.
    """
    listener = Listener(make_trackers(words, study))
    try:
        yield listener
    finally:
        listener.close(SILENT_SECONDS, at_most=STOPPED_SECONDS if hurried() else math.inf)


def _warn(word: str, why: str) -> None:
    """Warn of a tracker, once a process."""
    if word not in _warned:
        _warned.add(word)
        why = " ".join(why.split())[:200]
        with suppress(OSError):  # Where this is printed to may lie on the disk that is full.
            logger.warning(
                f"{FLAG} {word} fails ({why}); the search goes on, and some of it may be missing there"
            )
