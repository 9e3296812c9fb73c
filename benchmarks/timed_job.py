"""The training job, with the times of its parts added to its messages: what ``overhead.py``'s children run.

Times are of the clock that all processes of a host share (``time.monotonic`` on Linux). There is no command and no
result file: the times arrive in ``overhead.py``.
"""

import time
from typing import Any

from search.process.channel import Channel


def train(payload: dict[str, Any], channel: Channel) -> None:
    """``search.training.job:train``, timed from outside."""
    times = {"entered": time.monotonic()}
    from search.training import job

    build = job.Training._build

    def timed(self: job.Training) -> Any:
        times["build"] = time.monotonic()
        model = build(self)
        times["model"] = time.monotonic()
        return model

    job.Training._build = timed  # type: ignore[method-assign]
    job.train(payload, _Timed(channel, times))  # type: ignore[arg-type]


def answer(payload: dict[str, Any], channel: Channel) -> None:
    """Nothing: when this has answered, the server has imported all that it imports."""
    channel.send({"kind": "done"})


class _Timed:
    """A channel that says when each message was sent."""

    def __init__(self, channel: Channel, times: dict[str, float]) -> None:
        self._channel, self._times = channel, times

    @property
    def stopped(self) -> bool:
        return self._channel.stopped

    def pulse(self, **facts: Any) -> None:
        self._channel.pulse(**facts)

    def send(self, message: dict[str, Any]) -> None:
        self._channel.send({**message, "times": {**self._times, "sent": time.monotonic()}})

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        return self._channel.ask({**message, "times": {**self._times, "sent": time.monotonic()}})
