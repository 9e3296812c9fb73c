"""A fork server that ends or hangs: it is noticed, another takes its place, and no child of the old one suffers."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.errors import ServerGone, StudyStopped, TrialInterrupted
from search.process import fork_server
from search.process.child import Child
from search.process.fork_server import ForkServer
from storage import process_identity

# Seconds, in the place of ten, of two, and of a minute.
SHORT = {"ANSWER_SECONDS": 0.5, "HURRIED_SECONDS": 0.1, "BETWEEN_LAUNCHES": 0.0, "ENDING_SECONDS": 1.0}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A server without a framework, known to answer; all waits for it are short."""
    monkeypatch.setattr(fork_server, "PRELOAD", ("ending_soon",))
    for name, seconds in SHORT.items():
        monkeypatch.setattr(fork_server, name, seconds)
    with ForkServer("tensorflow") as one:
        one.share().close()
        yield one


@pytest.fixture
def start(server: ForkServer, tmp_path: Path) -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def start_job(job: str, *, patient: bool = False, **payload: Any) -> Child:
        started.append(server.start(f"child_jobs:{job}", payload, tmp_path / "log.txt", patient=patient))
        return started[-1]

    yield start_job
    for child in started:
        child.kill()


def pid_of(server: ForkServer) -> int:
    assert server.process is not None
    return server.process.pid


def harm(server: ForkServer, number: int) -> int:
    pid = pid_of(server)
    os.kill(pid, number)
    return pid


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_trial_hears_in_time_of_a_server_that_hangs_or_is_gone(server, start, number: int) -> None:
    harmed, began = harm(server, number), time.monotonic()
    with pytest.raises(ServerGone, match=r"did not answer and was killed|has ended") as gone:
        start("echo")
    assert time.monotonic() - began < 5
    assert gone.value.clean, "the trial did nothing to deserve it"
    assert not process_identity.process_exists(harmed), "a stopped one keeps its memory"


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_another_server_takes_its_place(server, start, number: int) -> None:
    harmed = harm(server, number)
    with pytest.raises(ServerGone):
        start("echo")
    assert server.revive()
    assert pid_of(server) != harmed
    assert start("echo", value=7).result(60)["value"] == 7


def test_server_in_a_folder_that_hides_modules_finds_pythons_own(
    server, start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "selectors.py").write_text("raise SystemExit('imported')\n")
    monkeypatch.chdir(tmp_path)
    harm(server, signal.SIGKILL)
    with pytest.raises(ServerGone):
        start("echo")
    assert server.revive()
    assert start("echo", value=7).result(60)["value"] == 7


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_who_holds_no_trial_hears_nothing_of_it(server, start, number: int) -> None:
    """An export, or a picture."""
    harm(server, number)
    assert start("echo", patient=True, value=7).result(60)["value"] == 7


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_child_of_a_server_that_is_gone_answers_to_its_end(server, start, number: int) -> None:
    with start("wait_for_stop") as child:
        assert child.receive(60) == {"kind": "ready"}
        harm(server, number)
        child.stop()
        assert child.result(60)["after"]
    assert child.wait() is None, "nobody can tell how it ended"
    assert not process_identity.process_exists(child.pid)
    assert start("echo", patient=True).result(60) == {"kind": "done"}


def test_child_whose_server_was_replaced_is_not_mistaken_for_one_of_the_new(server, start) -> None:
    child = start("sleep")
    assert child.receive(60) == {"kind": "ready"}
    harm(server, signal.SIGKILL)
    start("echo", patient=True)
    child.kill()
    assert child.wait() is None
    assert not process_identity.process_exists(child.pid)


def test_child_that_ended_with_its_server_was_interrupted(server, start) -> None:
    child = start("sleep")
    assert child.receive(60) == {"kind": "ready"}
    harm(server, signal.SIGKILL)
    os.kill(child.pid, signal.SIGKILL)
    with pytest.raises(TrialInterrupted, match="ended after the process that had started it"):
        child.result(60)


def test_servers_are_started_a_minute_apart(server, start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "BETWEEN_LAUNCHES", 1.5)
    launched = server._launched_at
    harm(server, signal.SIGKILL)
    with pytest.raises(ServerGone):
        start("echo")
    assert server.revive()
    assert server._launched_at - launched >= 1.5


def test_who_is_asked_to_stop_waits_for_no_server(server, start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "ANSWER_SECONDS", 60.0)
    monkeypatch.setattr(fork_server, "BETWEEN_LAUNCHES", 60.0)
    hurried = threading.Event()
    harm(server, signal.SIGSTOP)
    threading.Timer(0.3, hurried.set).start()
    began = time.monotonic()
    with server.hurried_by(hurried.is_set):
        with pytest.raises(ServerGone):
            start("echo", patient=True)
        assert not server.revive()
    assert time.monotonic() - began < 10


def test_pause_of_the_worker_is_not_taken_for_the_servers_silence(
    server, start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both were stopped, as a container is; the worker woke first."""
    harm(server, signal.SIGSTOP)
    wall, clock = [0.0], time.monotonic
    monkeypatch.setattr(fork_server.time, "monotonic", lambda: clock() + wall[0])

    def sleep_together() -> None:
        wall[0] += 3600.0
        os.kill(pid_of(server), signal.SIGCONT)

    threading.Timer(0.2, sleep_together).start()
    assert start("echo", value=7).result(60)["value"] == 7


def test_server_that_never_answers_is_given_up_in_the_end(server, start, monkeypatch) -> None:
    monkeypatch.setattr(fork_server, "PRELOAD", ("import_that_hangs",))
    monkeypatch.setattr(fork_server, "IMPORT_SECONDS", 0.2)
    harm(server, signal.SIGKILL)
    with pytest.raises(ServerGone):
        start("echo")
    for _ in range(fork_server.MOST_SILENT - 1):
        assert not server.revive()
    with pytest.raises(StudyStopped, match="does not answer"):
        server.revive()


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_shared_server_that_hangs_or_is_gone_is_for_its_owner_to_replace(
    server, tmp_path: Path, number: int
) -> None:
    with ForkServer("tensorflow", server.share()) as client:
        harm(server, number)
        for _ in range(2):
            with pytest.raises(ServerGone, match="is gone"):
                client.start("child_jobs:echo", {}, tmp_path / "log.txt")
        with pytest.raises(ServerGone):
            client.revive()
    with pytest.raises(ServerGone):
        server.share()
    job = ("child_jobs:echo", {"value": 7}, tmp_path / "log.txt")
    with ForkServer("tensorflow", server.share()) as client, client.start(*job) as child:
        assert child.result(60)["value"] == 7


def test_process_that_has_got_a_childs_id_is_not_killed(start, monkeypatch: pytest.MonkeyPatch) -> None:
    child = start("leave", status=0)
    child.wait()
    struck: list[int] = []
    monkeypatch.setattr(process_identity.os, "kill", lambda pid, number: struck.append(number))
    monkeypatch.setattr(process_identity, "_stat", lambda pid: ["S", *["0"] * 18, "4711"])
    process_identity.kill_process(child.pid, child._started)
    assert signal.SIGKILL not in struck
