"""How long the processes of a study wait for each other and for the database: one record, the same for all of them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Waiting times in seconds. A study may set its own, and tests make them short.

    Attributes:
        grace: A worker that gives no sign of life for this long is taken for dead.
        outage: The longest absence of the database that costs nothing.
        pause: The longest wait between two tries of one call.
        poll: How long a worker with nothing to do waits before it asks for a trial again.
        connect: The longest that a connection to the database's host may take.
    """

    grace: float = 75.0
    outage: float = 600.0
    pause: float = 5.0
    poll: float = 2.0
    connect: float = 5.0

    @property
    def heartbeat(self) -> float:
        """Seconds between two signs of life: five of them fit into a grace, so that a few may be late."""
        return self.grace / 5

    @property
    def retry(self) -> float:
        """Seconds for which a call is tried again before the database is given up: a fifth more than an outage."""
        return self.outage * 1.2
