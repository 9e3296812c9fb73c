"""How many requests an address may make: a bucket of tokens each.

A bucket holds ``most`` tokens and gains ``per_second`` until it is full; a request takes one, and is refused where
there is none. So who asks in bursts of up to ``most`` is never held up, and nobody asks for more than ``per_second``
for long: with 60 and 10, the first 60 pictures of a folder go at once, and ten a second after that.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

# Buckets that are remembered; one that was not used for longest is full by then.
MOST_ADDRESSES = 1000


class Rate:
    """Limits the requests of each address; may be asked from several threads.

    Args:
        most: Tokens in a full bucket.
        per_second: Tokens that a bucket gains.
        clock: Seconds from any moment.
    """

    def __init__(self, most: float, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_second, self._clock = most, per_second, clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_for(self, address: str) -> float:
        """Take a token of an address; where there is none, return after how many seconds there will be one."""
        with self._lock:
            now = self._clock()
            tokens, filled = self._buckets.pop(address, (self._most, now))
            tokens = min(self._most, tokens + (now - filled) * self._per_second)
            allowed = tokens >= 1
            self._buckets[address] = (tokens - 1 if allowed else tokens, now)
            while len(self._buckets) > MOST_ADDRESSES:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (1 - tokens) / self._per_second
