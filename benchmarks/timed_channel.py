"""A child's channel that adds facts to what it sends, such as when: for ``timed_job.py`` and ``gpu_jobs.py``."""

from collections.abc import Callable, Mapping
from typing import Any

from search.process.channel import Channel


class TimedChannel:
    """A channel each of whose messages says more.

    Args:
        channel: The child's own.
        facts: Gives what to add to a message, at the moment in which it is sent.
    """

    def __init__(self, channel: Channel, facts: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
        self._channel, self._facts = channel, facts

    @property
    def stopped(self) -> bool:
        """See ``Channel``."""
        return self._channel.stopped

    def pulse(self, **facts: Any) -> None:
        """See ``Channel``; nothing is added."""
        self._channel.pulse(**facts)

    def send(self, message: dict[str, Any]) -> None:
        """See ``Channel``."""
        self._channel.send({**message, **self._facts(message)})

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """See ``Channel``."""
        return self._channel.ask({**message, **self._facts(message)})
