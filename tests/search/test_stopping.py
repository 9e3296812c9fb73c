"""When to stop: signals, the clock, the budget."""

import os
import signal
import threading
import time

import pytest

from search.stopping import Stop, catching_signals


def test_nothing_is_asked_of_a_new_one() -> None:
    stop = Stop()
    assert not stop.requested
    assert not stop.now
    assert not stop.by_user


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_asks_for_a_stop_in_good_order(number: signal.Signals) -> None:
    stop = Stop()
    with catching_signals(stop):
        os.kill(os.getpid(), number)
    assert stop.requested
    assert not stop.now
    assert stop.by_user
    assert stop.reason == f"stopped by {number.name}"


def test_second_signal_asks_for_a_stop_at_once() -> None:
    stop = Stop()
    with catching_signals(stop):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
    assert stop.now


def test_ctrl_c_after_the_time_is_up_is_the_first() -> None:
    stop = Stop(deadline=time.monotonic() - 1)
    assert stop.requested
    stop.on_signal(signal.SIGINT)
    assert not stop.now
    assert stop.by_user


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyError), catching_signals(Stop()):
        raise KeyError
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_signals_are_left_alone_outside_the_main_thread() -> None:
    before = signal.getsignal(signal.SIGINT)
    inside = []

    def body() -> None:
        with catching_signals(Stop()):
            inside.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert inside == [before]


def test_deadline_asks_once_it_has_passed() -> None:
    stop = Stop(deadline=time.monotonic() + 0.05)
    assert not stop.requested
    time.sleep(0.1)
    assert stop.requested
    assert "--timeout" in stop.reason
    assert not stop.by_user


def test_budget_asks_once_it_is_spent() -> None:
    spent = [9.9, 10.0]
    stop = Stop(budget=10.0, spent=lambda: spent.pop(0))
    stop.check_budget()
    assert not stop.requested
    stop.check_budget()
    assert stop.requested
    assert "--budget" in stop.reason
    assert not stop.by_user


def test_budget_of_none_is_never_spent() -> None:
    stop = Stop(spent=lambda: float("inf"))
    stop.check_budget()
    assert not stop.requested
