"""What is seen of a training batch by batch: its pace, its signs of life, and whether it has to end."""

import math
import time
from collections.abc import Callable
from typing import Any

import keras

from search.process.channel import Channel
from search.training.batches import TrainingFeed


class BatchWatch(keras.callbacks.Callback):
    """Tells the pace, and ends an epoch early when the worker asks, or when the loss is no number any more.

    Args:
        channel: To the worker.
        feed: The batches of the epoch.
        take: Called after each batch, with the part of the epoch that is done.
    """

    def __init__(self, channel: Channel, feed: TrainingFeed, take: Callable[[float], None]) -> None:
        super().__init__()
        self._channel, self._feed, self._take = channel, feed, take
        self._first: tuple[int, float] | None = None
        self.rate = 0.0  # Images a second since the first call, in which the net may be traced; 0 before a second one.

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Tell of a batch whose metrics are ``logs``."""
        self._take_time(batch)
        part = (batch + 1) / len(self._feed)
        self._channel.pulse(**({"images_per_second": self.rate, "part": part} if self.rate else {}))
        self._take(part)
        if self._channel.stopped or not math.isfinite((logs or {}).get("loss", 0.0)):
            self.model.stop_training = True

    def _take_time(self, batch: int) -> None:
        now = time.monotonic()
        first, began = self._first = self._first or (batch, now)
        self.rate = (batch - first) * self._feed.batch_size / max(now - began, 1e-9)
