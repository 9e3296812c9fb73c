"""The process that minds a worker on Ray, without Ray: it starts it again, and ends it when the seat is gone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from search.engines.ray_engine import DRIVER, TASK, RayEngine
from search.engines.ray_task import LAST_WORD
from search.errors import InputError
from storage.process_identity import process_exists
from tests.search.engines.clusters import parent

WORKERS = {
    "ends": "echo one line; exit 3",
    "dies once": 'echo $$; [ -e died ] || { touch died; kill -9 $$; }; echo "back at work"',
    "dies": "kill -9 $$",
    "stays": 'trap "echo given back; exit 0" TERM; echo $$; while :; do sleep 0.05; done',
}

# It prints as Ray does of a node that is lost: from Python and past it, while it is asked and at its end.
RAY = """
import atexit, os
from types import SimpleNamespace

def init(**options):
    print("a node is lost")
    atexit.register(os.write, 1, b"a node is lost")

def nodes():
    return []

def get_runtime_context():
    return SimpleNamespace(gcs_address="there:1")

def no_names(**options):
    raise OSError("no names")

util = SimpleNamespace(list_named_actors=no_names)
"""

Seat = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def seat(tmp_path: Path) -> Iterator[Seat]:
    """Starts the task as a seat does; the task's end is that of its output."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(worker: str, turn: str = "first", wanted: bool = True) -> "subprocess.Popen[bytes]":
        if wanted:
            (tmp_path / "record").touch()
        command = ["/bin/bash", "-c", WORKERS[worker]]
        places = [str(tmp_path / "log"), str(tmp_path / "record")]
        begun.append(
            subprocess.Popen(
                [sys.executable, "-P", str(TASK), *places, turn, *command],
                cwd=tmp_path,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
            )
        )
        return begun[-1]

    yield start
    for one in begun:
        assert one.stdin is not None
        one.stdin.close()
        said(one)
        one.wait()
        assert one.stdout is not None
        one.stdout.close()


def said(task: "subprocess.Popen[bytes]") -> bytes:
    """What the task has said to its seat, once it has ended."""
    assert task.stdout is not None
    return task.stdout.read()


def test_worker_that_says_why_it_ends_is_not_started_again_and_has_the_last_word(
    seat: Seat, tmp_path: Path
) -> None:
    assert said(seat("ends")) == LAST_WORD
    assert (tmp_path / "log").read_text() == "one line\n"


def test_worker_that_is_killed_is_started_again(seat: Seat, tmp_path: Path) -> None:
    said(seat("dies once"))
    first, note, second, last = (tmp_path / "log").read_text().splitlines()
    assert note.endswith("the worker has died with status -9 and is started again")
    assert first != second
    assert last == "back at work"


def test_worker_that_dies_whenever_it_begins_is_given_up(seat: Seat, tmp_path: Path) -> None:
    said(seat("dies"))
    assert (
        (tmp_path / "log").read_text().endswith("the worker has died 5 times in a row, last with status -9\n")
    )


def test_worker_is_asked_to_end_when_the_seat_is_gone(seat: Seat, tmp_path: Path, until) -> None:
    task = seat("stays")
    log = tmp_path / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    pid = int(log.read_text())
    task.wait()  # The process that Ray would kill is none that minds the worker.
    assert process_exists(pid)
    assert task.stdin is not None
    task.stdin.close()
    assert said(task) == LAST_WORD
    assert log.read_text() == f"{pid}\ngiven back\n"
    assert not process_exists(pid)


def test_task_that_is_killed_has_no_last_word_and_its_worker_is_asked_to_end(
    seat: Seat, tmp_path: Path, until
) -> None:
    task = seat("stays")
    log = tmp_path / "log"
    until(lambda: log.exists() and log.read_text().endswith("\n"))
    pid = int(log.read_text())
    os.kill(parent(pid), signal.SIGKILL)
    assert said(task) == b""
    until(lambda: not process_exists(pid))
    assert log.read_text() == f"{pid}\ngiven back\n"


def test_task_that_cannot_write_its_log_has_a_last_word(seat: Seat, tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    assert said(seat("stays")) == LAST_WORD


@pytest.mark.parametrize(
    ("do", "status", "answer"), [("nodes", 0, {"address": "there:1", "hosts": []}), ("state", 1, "no names")]
)
def test_answer_of_the_driver_is_apart_from_what_ray_prints(
    do: str, status: int, answer: object, tmp_path: Path
) -> None:
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/__init__.py").write_text(RAY)
    (tmp_path / "ray/exceptions.py").write_text("ActorUnavailableError = RayActorError = OSError")
    done = subprocess.run(
        [sys.executable, "-P", str(DRIVER)],
        input=json.dumps({"do": do, "address": "", "names": []}),
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == status
    assert (json.loads(done.stdout) if status == 0 else done.stdout.strip()) == answer
    assert done.stderr.count("a node is lost") == 2


DIES = "atexit.register(lambda: (os.write(2, b'one\\nthe raylet died\\n'), os._exit(134)))"


@pytest.mark.parametrize(
    ("begins", "why"),
    [("raise TimeoutError()", "TimeoutError"), (DIES, "the raylet died")],
    ids=["error without words", "death after the answer"],
)
def test_reason_why_ray_does_not_answer_has_words(
    begins: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason had been empty, and of a driver that died after its answer the JSON of that."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray/__init__.py").write_text(RAY.replace('print("a node is lost")', begins))
    (tmp_path / "ray/exceptions.py").write_text("ActorUnavailableError = RayActorError = OSError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("search.engines.ray_engine.find_spec", lambda name: True)
    with pytest.raises(InputError, match=f"^--engine ray: {why}$"):
        RayEngine({}).check("sqlite:///s.db", 1, None, None)


def test_worker_is_not_started_again_where_the_record_is_gone(seat: Seat, tmp_path: Path) -> None:
    said(seat("ends", turn="again", wanted=False))
    assert (tmp_path / "log").read_text().endswith("the workers are not wanted any more\n")


def test_ray_gets_nothing_that_would_import_us_or_a_framework() -> None:
    for program, known in ((DRIVER, {"ray"}), (TASK, set())):
        lines = [line.split() for line in program.read_text().splitlines()]
        modules = {line[1].partition(".")[0] for line in lines if line and line[0] in ("import", "from")}
        assert modules - known <= sys.stdlib_module_names
