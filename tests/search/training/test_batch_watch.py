"""What is seen of a training batch by batch."""

from types import SimpleNamespace
from typing import Any

import pytest

from search.training.batch_watch import BatchWatch


def test_pace_is_that_of_the_steps_after_the_first_which_traces_the_net(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Feed(list[None]):
        batch_size = 8

    times, sent = iter([10.0, 12.0]), []
    monkeypatch.setattr("search.training.batch_watch.time", SimpleNamespace(monotonic=lambda: next(times)))
    channel: Any = SimpleNamespace(stopped=False, pulse=lambda **facts: sent.append(facts))
    feed: Any = Feed([None] * 16)
    taken: list[float] = []
    watch = BatchWatch(channel, feed, taken.append)
    watch.on_train_batch_end(3)
    watch.on_train_batch_end(7)
    assert sent == [{}, {"images_per_second": 4 * 8 / 2.0, "part": 0.5}]
    assert taken == [0.25, 0.5]
