"""How long everybody waits for everybody else: one record, the same for all workers of a study."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds, all settable, short in tests.

    Attributes:
        grace: A worker that gives no sign of life for so long is taken for dead.
        outage: A database that is away for no longer than this costs nothing; calls are tried again for a little
            longer.
        pause: Longest wait between two tries of a call.
        look: How often a worker with nothing to do looks again.
        connect: To reach the database's host.
    """

    grace: float = 75.0
    outage: float = 600.0
    pause: float = 5.0
    look: float = 2.0
    connect: float = 5.0

    @property
    def beat(self) -> float:
        """Between two signs of life: five in a grace, so that a few may be late."""
        return self.grace / 5

    @property
    def retry(self) -> float:
        """How long a call is tried again before the database is given up."""
        return self.outage * 1.2
