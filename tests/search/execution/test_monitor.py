"""When a silent child counts as hung."""

import time

import pytest

from search.execution.monitor import POLL_SECONDS, SLOWER, HangDetector


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def listen(silence: HangDetector, clock: list[float], seconds: float) -> bool:
    """Poll as a follower does; whether the child counted as hung at any time."""
    hung = False
    for _ in range(int(seconds / POLL_SECONDS)):
        clock[0] += POLL_SECONDS
        hung = hung or silence.hung()
    return hung


def test_child_that_has_not_begun_may_build_for_ten_times_the_least(clock: list[float]) -> None:
    silence = HangDetector(60.0)
    silence.heard("built")
    assert not listen(silence, clock, 599)
    assert listen(silence, clock, 2)


def test_child_is_given_the_least_however_fast_it_was(clock: list[float]) -> None:
    silence = HangDetector(60.0)
    silence.heard("batch")
    assert silence.limit == 60.0
    assert not listen(silence, clock, 59)
    assert listen(silence, clock, 2)


def test_slow_child_is_judged_by_its_own_pace(clock: list[float]) -> None:
    silence = HangDetector(60.0)
    listen(silence, clock, 20)
    silence.heard("batch")
    assert silence.limit == pytest.approx(20 * SLOWER, rel=0.05)
    assert not listen(silence, clock, 190)


def test_word_from_the_child_starts_the_count_anew(clock: list[float]) -> None:
    silence = HangDetector(60.0)
    for _ in range(5):
        silence.heard("batch")
        assert not listen(silence, clock, 50)


def test_pause_of_the_listener_is_not_the_childs(clock: list[float]) -> None:
    """Both may have been stopped together, and go on together."""
    silence = HangDetector(60.0)
    silence.heard("batch")
    clock[0] += 3600
    assert not silence.hung()
    assert not listen(silence, clock, 50)
