"""What a trial costs besides its epochs: wall time minus epochs times the steady epoch, split into its parts.

Result, hardware, versions, number of runs: results/overhead.json (wanted: under 0.5 s a trial but for tracing).

One study of small trials (digits, the default space, no pruning) through ``run_study``, its functions wrapped from
outside. The steady epoch is the median of a trial's epochs but the first. Parts, which with the epochs add up to
the wall time from one claim to the next:

    claim       counting, taking or creating a trial, first sign of life
    sample      the sampler, the trial's attributes
    start       fork to first message: process, device, data, split; but not the net
    tracing     building and compiling the net, and what the first epoch takes longer than a steady one
    report      each epoch's message to its reply: storing and asking the pruner
    pictures    what the dashboard gets: curves and confusion matrix, drawn in a child, and the note
    finish      saving the kept weights, the child's end, telling the study
    unsteady    what the other epochs differ from the steady one, in sum

The fork server's one import of TensorFlow, during the first trial, is counted apart.

    python benchmarks/overhead.py [--trials 20] [--epochs 5]
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

from record import print_table, write_result

import search.life
import search.trial
from search.child import Child, ForkServer
from storage.claims import Claim, Claims

PARTS = ("claim", "sample", "start", "tracing", "report", "pictures", "finish", "unsteady")
TRAINING = "search.training.job:train"
TARGET = 0.5


@dataclass
class Times:
    """When what happened to one trial, on the host's common clock; ``sent`` and ``replied`` are an epoch's."""

    trial: int
    began: float
    claimed: float
    started: float = 0.0
    server: float = 0.0
    built: dict[str, float] = field(default_factory=dict)
    sent: list[float] = field(default_factory=list)
    replied: list[float] = field(default_factory=list)
    pictures: float = 0.0
    ended: float = 0.0

    def parts(self) -> dict[str, float]:
        """Seconds of each part, of the whole, and of the steady epoch."""
        epochs = [end - go for go, end in zip([self.built["sent"], *self.replied], self.sent, strict=False)]
        steady = median(epochs[1:])
        build = self.built["model"] - self.built["build"]
        return {
            "claim": self.claimed - self.began,
            "sample": self.started - self.claimed - self.server,
            "start": self.built["sent"] - self.started - build,
            "tracing": build + epochs[0] - steady,
            "report": sum(go - end for end, go in zip(self.sent, self.replied, strict=True)),
            "pictures": self.pictures,
            "finish": self.ended - self.replied[-1] - self.pictures,
            "unsteady": sum(epochs[1:]) - steady * (len(epochs) - 1),
            "build": build,
            "steady": steady,
            "overhead": self.ended - self.began - self.server - steady * len(epochs),
        }


class Timeline:
    """Wraps the worker's functions and notes when they are called and return."""

    def __init__(self) -> None:
        self.trials: list[Times] = []

    def install(self) -> None:
        """Wrap them, for the rest of this process."""
        Claims.claim = self._claim(Claims.claim)  # type: ignore[method-assign]
        ForkServer.start = self._start(ForkServer.start)  # type: ignore[method-assign]
        Child.receive = self._receive(Child.receive)  # type: ignore[method-assign]
        Child.send = self._send(Child.send)  # type: ignore[method-assign]
        for name in ("feed_trial", "feed_best"):
            setattr(search.trial, name, self._fed(getattr(search.trial, name)))

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
        def timed(server: ForkServer, job: str, payload: dict[str, Any], log: Path, *rest: Any) -> Child:
            if job != TRAINING:
                return start(server, job, payload, log, *rest)
            times, now = self.trials[-1], time.monotonic()
            if len(self.trials) == 1:
                with start(server, "timed_job:answer", {}, log) as child:
                    child.result()
                times.server = time.monotonic() - now
            times.started = time.monotonic()
            made: Child = start(server, "timed_job:train", payload, log, *rest)
            return made

        return timed

    def _fed(self, feed: Callable[..., None]) -> Callable[..., None]:
        def timed(*arguments: Any) -> None:
            began = time.monotonic()
            feed(*arguments)
            self.trials[-1].pictures += time.monotonic() - began

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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=5, help="of each trial, at least 3")
    asked = parser.parse_args()
    if asked.epochs < 3:
        parser.error("--epochs: expected at least 3, all but the first make the steady one")
    timeline = Timeline()
    timeline.install()
    with tempfile.TemporaryDirectory() as root:
        search.life.run_study(
            "overhead",
            data="digits",
            trials=asked.trials,
            epochs=asked.epochs,
            pruner="none",
            root=Path(root),
            export=False,
        )
    whole = [times for times in timeline.trials if len(times.replied) == asked.epochs]
    _report(asked, [times.parts() for times in whole], timeline)


def _report(asked: argparse.Namespace, rows: list[dict[str, float]], timeline: Timeline) -> None:
    for row in rows:
        row["but_for_tracing"] = row["overhead"] - row["tracing"]
    summary = {
        name: {"mean": mean(values), "median": median(values), "largest": max(values)}
        for name in rows[0]
        for values in [[row[name] for row in rows]]
    }
    shown = (*PARTS, "overhead", "but_for_tracing", "steady")
    print_table(
        ("seconds a trial", "mean", "median", "largest"),
        [(name, *(f"{value:.3f}" for value in summary[name].values())) for name in shown],
    )
    met = summary["but_for_tracing"]["mean"] < TARGET
    print(f"{len(rows)} trials; under {TARGET} s on average but for tracing: {'met' if met else 'NOT met'}")
    figures = {
        "settings": {"data": "digits", "trials": asked.trials, "epochs": asked.epochs, "runs": 1},
        "trials_counted": len(rows),
        "server_import_seconds": timeline.trials[0].server,
        "seconds": summary,
        "met": {f"under {TARGET} s but for tracing": met},
        "all": rows,
    }
    print(write_result("overhead", figures))


if __name__ == "__main__":
    main()
