"""When to stop: signals, the clock, the budget."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from search.execution.stop_requests import Stop, catching_signals

ROOT = Path(__file__).parents[3]


def test_nothing_is_asked_of_a_new_one() -> None:
    stop = Stop()
    assert not stop.requested
    assert not stop.now
    assert not stop.by_user


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]
)
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


def test_sigterm_that_comes_twice_together_is_one() -> None:
    """``timeout`` sends it to the process and to its group; the child needs its time to write a checkpoint."""
    stop = Stop()
    for _ in range(2):
        stop.on_signal(signal.SIGTERM)
    assert stop.by_user
    assert not stop.now


def test_second_sigterm_later_asks_for_a_stop_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.execution.stop_requests.SAME_SECONDS", -1.0)
    stop = Stop()
    for _ in range(2):
        stop.on_signal(signal.SIGTERM)
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


BUSY = """
import sqlite3, sys
from search.execution import stop_requests
from search.execution.stop_requests import Stop, catching_signals, ending_in_time, this_process_is_ours

stop_requests.EXIT_SECONDS = 1.0
this_process_is_ours()
stop = Stop()
with ending_in_time(stop), catching_signals(stop):
    print("ready", flush=True)
    sqlite3.connect(sys.argv[1], timeout=60).execute("BEGIN IMMEDIATE")
"""


@pytest.mark.slow
def test_process_ends_in_time_though_its_main_thread_waits_in_a_library(tmp_path: Path) -> None:
    """Python's handlers run between bytecodes alone: a busy database's wait of 60 s would outlast the 20."""
    stranger = sqlite3.connect(tmp_path / "busy.db")
    stranger.execute("BEGIN IMMEDIATE")
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(tmp_path / "busy.db")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 130
    stranger.close()


def test_terminals_end_is_no_reason_to_stop_under_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with catching_signals(stop := Stop()):
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert not stop.requested
