"""Which workers are alive: the sign of life that each of them writes into its trial, and how the others judge it."""

import os
import time
from collections.abc import Callable
from typing import Any

from storage import process_identity

# The system attribute of a trial that holds its owner's last sign of life.
HEARTBEAT = "life"


def sign_of_life(token: str, worker: str, now: float, **facts: Any) -> dict[str, Any]:
    """A sign of life of this process.

    Args:
        token: The token of the claim that it stands for.
        worker: This worker's name.
        now: The time by the clock that all workers share, in seconds since the epoch.
        **facts: Further plain values to show to people, such as the epoch.
    """
    return {
        "token": token,
        "worker": worker,
        "host": process_identity.hostname(),
        "place": process_identity.pid_namespace(),
        "pid": os.getpid(),
        "started": process_identity.start_time(os.getpid()),
        "time": now,
        **facts,
    }


def is_worker_dead(life: dict[str, Any] | None, now: float, patience: float) -> bool:
    """Whether the worker that gave a sign of life is dead: its process is gone from this host, or it is silent.

    Args:
        life: The last sign of life in a RUNNING trial; None where there is none.
        now: The time by the clock of the signs of life, in seconds since the epoch.
        patience: The longest silence of a worker that lives, in seconds.
    """
    if life is None:
        return True  # A trial is created with its first sign of life or under the lock: its creator died.
    if life["place"] == process_identity.pid_namespace() and not process_identity.process_exists(
        life["pid"], life.get("started")
    ):
        return True
    return bool(now - life["time"] > patience)


def is_of_this_process(life: dict[str, Any]) -> bool:
    """Whether this very process gave the sign of life."""
    return bool(life["place"] == process_identity.pid_namespace() and life["pid"] == os.getpid())


class Watch:
    """For how long this process has been watching the others through the database, without a gap.

    After an outage, or after a pause of this very process, everyone else's signs of life may be late, too. A gap of
    more than half a grace between two contacts therefore starts the watch over, and as long as the watch is shorter
    than a grace nobody is called dead for a silence of one grace.

    Args:
        monotonic: This process's own clock.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._contact = self._contact_wall = float("-inf")
        self._since = float("inf")

    def record_contact(self, grace: float) -> None:
        """Record that the database was there just now and took writes."""
        now, wall = self._monotonic(), time.time()
        # Either clock may miss a gap: one stops while the machine sleeps, the other can be set.
        if max(now - self._contact, wall - self._contact_wall) > grace / 2:
            self._since = now
        self._contact, self._contact_wall = now, wall

    def is_longer_than(self, seconds: float) -> bool:
        """Whether the watch has lasted for more than ``seconds``."""
        return self._monotonic() - self._since > seconds
