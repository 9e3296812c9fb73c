"""The training job, with the times of its parts added to its messages: what ``overhead.py``'s children run.

Times are of the clock that all processes of a host share (``time.monotonic`` on Linux). There is no command and no
result file: the times arrive in ``overhead.py``.
"""

import time
from typing import Any

from timed_channel import TimedChannel

from search.process.channel import Channel


def train(payload: dict[str, Any], channel: Channel) -> None:
    """``search.training.job:train``, timed from outside."""
    times = {"entered": time.monotonic()}
    from search.training import job
    from search.training.training import Training

    build = Training._build

    def timed(self: Training) -> Any:
        times["build"] = time.monotonic()
        model = build(self)
        times["model"] = time.monotonic()
        return model

    Training._build = timed  # type: ignore[method-assign]
    timed_channel = TimedChannel(channel, lambda message: {"times": {**times, "sent": time.monotonic()}})
    job.train(payload, timed_channel)  # type: ignore[arg-type]


def answer(payload: dict[str, Any], channel: Channel) -> None:
    """Nothing: when this has answered, the server has imported all that it imports."""
    channel.send({"kind": "done"})
