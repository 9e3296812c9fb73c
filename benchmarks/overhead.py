"""What a trial costs besides its epochs: wall time minus epochs times the steady epoch, split into its parts.

Result, hardware, versions, number of trials: results/overhead.json (wanted: under 0.5 s a trial but for tracing).

One study of small trials (digits, the default space, no pruning), its worker's functions wrapped from outside. The
steady epoch is the median of a trial's epochs but the first. Parts, which with the epochs add up to the wall time from
one claim to the next:

    claim       counting, taking or creating a trial, first sign of life
    sample      the sampler, the trial's attributes
    start       fork to first message: process, device, data, split; but not the net
    tracing     building and compiling the net, and what the first epoch takes longer than a steady one
    report      each epoch's message to its reply: storing and asking the pruner
    notes       what the dashboard gets: notes. Its pictures are drawn in a child while the next trial begins, which
                takes longer to start and to trace for that where there are few cores
    finish      saving the kept weights, the child's end, telling the study
    unsteady    what the other epochs differ from the steady one, in sum

The fork server imports TensorFlow before the first trial; how long that takes is measured apart.

    python benchmarks/overhead.py [--trials 20] [--epochs 5]
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any
from unittest.mock import patch

from record import make_parser, print_table, write_result

import search.execution.endings
import search.execution.trial
from search.config.settings import RunOptions
from search.data.threads import cores
from search.engines.resources import make_slots
from search.execution.stop_requests import Stop
from search.process.child import Child
from search.process.fork_server import ForkServer
from search.study.opening import open_study
from search.workflows.searching import search as search_study
from storage.claims import Claim, Claims

PARTS = ("claim", "sample", "start", "tracing", "report", "notes", "finish", "unsteady")
TRAINING = "search.training.job:train"
TARGET = 0.5


@dataclass
class Times:
    """When what happened to one trial, on the host's common clock; ``sent`` and ``replied`` have an entry an epoch."""

    trial: int
    began: float
    claimed: float
    started: float = 0.0
    built: dict[str, float] = field(default_factory=dict)
    sent: list[float] = field(default_factory=list)
    replied: list[float] = field(default_factory=list)
    notes: float = 0.0
    ended: float = 0.0

    def parts(self) -> dict[str, float]:
        """Seconds of each part, of the whole, and of the steady epoch."""
        epochs = [end - go for go, end in zip([self.built["sent"], *self.replied], self.sent, strict=False)]
        steady = median(epochs[1:])
        build = self.built["model"] - self.built["build"]
        tracing = build + epochs[0] - steady
        overhead = self.ended - self.began - steady * len(epochs)
        return {
            "claim": self.claimed - self.began,
            "sample": self.started - self.claimed,
            "start": self.built["sent"] - self.started - build,
            "tracing": tracing,
            "report": sum(go - end for end, go in zip(self.sent, self.replied, strict=True)),
            "notes": self.notes,
            "finish": self.ended - self.replied[-1] - self.notes,
            "unsteady": sum(epochs[1:]) - steady * (len(epochs) - 1),
            "build": build,
            "steady": steady,
            "overhead": overhead,
            "but_for_tracing": overhead - tracing,
        }


class Timeline:
    """Wraps the worker's functions while the ``with`` block runs, and notes when they are called and return.

    Args:
        server: Starts the worker's children.
    """

    def __init__(self, server: ForkServer) -> None:
        self.trials: list[Times] = []
        self._server = server
        self._wrapped = ExitStack()

    def __enter__(self) -> "Timeline":
        for owner, name, wrap in (
            (Claims, "claim", self._claim),
            (self._server, "start", self._start),
            (Child, "receive", self._receive),
            (Child, "send", self._send),
            (search.execution.trial, "feed_trial", self._fed),
            (search.execution.endings, "feed_trial", self._fed),
            (search.execution.trial, "feed_best", self._fed),
        ):
            self._wrapped.enter_context(patch.object(owner, name, wrap(getattr(owner, name))))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._wrapped.close()

    def _claim(self, claim: Callable[..., Any]) -> Callable[..., Any]:
        def timed(claims: Claims, wanted: int) -> Claim | None:
            began = time.monotonic()
            if self.trials:
                self.trials[-1].ended = began
            taken: Claim | None = claim(claims, wanted)
            if taken is not None:
                self.trials.append(Times(taken.trial_id, began, time.monotonic()))
            return taken

        return timed

    def _start(self, start: Callable[..., Any]) -> Callable[..., Any]:
        def timed(job: str, payload: dict[str, Any], log: Path, *rest: Any, **named: Any) -> Child:
            if job != TRAINING:
                return start(job, payload, log, *rest, **named)
            self.trials[-1].started = time.monotonic()
            made: Child = start("timed_job:train", payload, log, *rest, **named)
            return made

        return timed

    def _fed(self, feed: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any) -> Any:
            began = time.monotonic()
            left = feed(*arguments)
            self.trials[-1].notes += time.monotonic() - began
            return left

        return timed

    def _receive(self, receive: Callable[..., Any]) -> Callable[..., Any]:
        def timed(child: Child, timeout: float | None = None) -> dict[str, Any] | None:
            message: dict[str, Any] | None = receive(child, timeout)
            if message is not None and message["kind"] == "built":
                self.trials[-1].built = message["times"]
            elif message is not None and message["kind"] == "epoch":
                self.trials[-1].sent.append(message["times"]["sent"])
            return message

        return timed

    def _send(self, send: Callable[..., Any]) -> Callable[..., Any]:
        def timed(child: Child, message: dict[str, Any]) -> None:
            if "go" in message:
                self.trials[-1].replied.append(time.monotonic())
            send(child, message)

        return timed


def main(arguments: Sequence[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5, help="of each trial, at least 3")
    asked = parser.parse_args(arguments)
    if asked.epochs < 3:
        parser.error("--epochs: expected at least 3, all but the first make the steady one")
    with TemporaryDirectory() as root, ForkServer() as server:
        imported = import_seconds(server, Path(root) / "log.txt")
        rows = measure(server, Path(root), asked.trials, asked.epochs)
    summary = summarize(rows)
    _show(summary, len(rows))
    figures = {
        "settings": {"data": "digits", "trials": asked.trials, "epochs": asked.epochs, "runs": 1},
        "trials_counted": len(rows),
        "server_import_seconds": imported,
        "seconds": summary,
        "met": {f"under {TARGET} s but for tracing": summary["but_for_tracing"]["mean"] < TARGET},
        "all": rows,
    }
    print(write_result("overhead", figures, asked.out))


def import_seconds(server: ForkServer, log: Path) -> float:
    """Seconds until a server that has just been started has imported all that it imports, and a child answers."""
    began = time.monotonic()
    with server.start("timed_job:answer", {}, log) as child:
        child.result()
    return time.monotonic() - began


def measure(server: ForkServer, root: Path, trials: int, epochs: int) -> list[dict[str, float]]:
    """The parts of each trial of a study; of those that trained whole at the first try.

    Raises:
        RuntimeError: There is none.
    """
    study = open_study(
        RunOptions.given(
            "overhead",
            data="digits",
            validation=0.1,
            trials=trials,
            epochs=epochs,
            pruner="none",
            root=root,
        )
    )
    with Timeline(server) as timeline:
        search_study(study, server, make_slots(None, None, None, cores()), Stop())
    whole = [times.parts() for times in timeline.trials if len(times.replied) == epochs]
    if not whole:
        raise RuntimeError(f"none of {len(timeline.trials)} trials trained its {epochs} epochs")
    return whole


def summarize(rows: Sequence[dict[str, float]]) -> dict[str, dict[str, float]]:
    """Mean, median and largest of each part."""
    return {
        name: {"mean": mean(values), "median": median(values), "largest": max(values)}
        for name in rows[0]
        for values in [[row[name] for row in rows]]
    }


def _show(summary: dict[str, dict[str, float]], trials: int) -> None:
    shown = (*PARTS, "overhead", "but_for_tracing", "steady")
    print_table(
        ("seconds a trial", "mean", "median", "largest"),
        [(name, *(f"{value:.3f}" for value in summary[name].values())) for name in shown],
    )
    met = summary["but_for_tracing"]["mean"] < TARGET
    print(f"{trials} trials; under {TARGET} s on average but for tracing: {'met' if met else 'NOT met'}")


if __name__ == "__main__":
    main()
