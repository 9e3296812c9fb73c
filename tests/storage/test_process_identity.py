"""What one process can know of another on its machine."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from storage import process_identity

ROOT = Path(__file__).parents[2]
PLACE = [
    sys.executable,
    "-c",
    "from storage import process_identity; print(process_identity.pid_namespace())",
]


class Unreadable:
    """A path of a system that has no such file."""

    def __init__(self, name: str) -> None:
        self.name = name

    def read_text(self) -> str:
        raise FileNotFoundError(self.name)

    def readlink(self) -> str:
        raise FileNotFoundError(self.name)


def place_of(*before: str) -> str:
    return subprocess.run(
        [*before, *PLACE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.strip()


def test_this_process_exists() -> None:
    assert process_identity.process_exists(os.getpid())


def test_process_that_has_ended_does_not_exist() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert not process_identity.process_exists(process.pid)


def test_process_that_started_at_another_time_is_another() -> None:
    started = process_identity.start_time(os.getpid())
    assert started is not None
    assert process_identity.process_exists(os.getpid(), started)
    assert not process_identity.process_exists(os.getpid(), started - 1)


def test_only_the_process_that_is_meant_is_killed() -> None:
    process = subprocess.Popen(["sleep", "60"])
    started = process_identity.start_time(process.pid)
    assert started is not None
    process_identity.kill_process(process.pid, started - 1)  # Of the one that had its id before.
    alive = process.poll() is None
    process_identity.kill_process(process.pid, started)
    process.wait(10)
    assert alive


def test_start_of_a_process_that_is_gone_is_not_known() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert process_identity.start_time(process.pid) is None


def test_zombie_does_not_exist(wait_until: Callable[..., None]) -> None:
    process = subprocess.Popen(["sleep", "60"])
    assert process_identity.process_exists(process.pid)
    process.kill()  # Not waited for.
    wait_until(lambda: not process_identity.process_exists(process.pid))
    process.wait()


def test_process_with_brackets_in_its_name_exists(tmp_path: Path) -> None:
    """/proc/PID/stat holds the name in brackets, before the state."""
    program = tmp_path / "a) Z (b"
    program.symlink_to(str(shutil.which("sleep")))
    process = subprocess.Popen([str(program), "60"])
    assert process_identity.process_exists(process.pid)
    process.kill()
    process.wait()


def test_process_of_another_user_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert process_identity.process_exists(1)


def test_other_process_here_is_at_the_same_place() -> None:
    assert place_of() == process_identity.pid_namespace()


def test_process_of_another_container_is_at_another_place_of_the_same_machine() -> None:
    unshare = ["unshare", "--pid", "--fork"]
    if shutil.which("unshare") is None or subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("process-id namespaces cannot be made here")
    there = place_of(*unshare)
    assert there != process_identity.pid_namespace()
    assert there.split()[0] == process_identity.machine()


def test_machine_stays_the_same_when_its_name_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_identity.machine()
    monkeypatch.setattr("socket.gethostname", lambda: "renamed")
    assert process_identity.machine.__wrapped__() == before
    assert process_identity.hostname() == "renamed"


def test_machine_and_place_are_the_host_name_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process_identity, "Path", Unreadable)
    monkeypatch.setattr(process_identity, "machine", process_identity.machine.__wrapped__)
    assert process_identity.machine() == process_identity.hostname()
    assert process_identity.pid_namespace.__wrapped__() == process_identity.hostname()
