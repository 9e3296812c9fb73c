"""Children of the fork server: answers, every way to end, and what they do when nobody listens any more."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from search.errors import ServerGone, StudyStopped, TrialCrashed, TrialInterrupted, TrialOutOfMemory
from search.process.child import Child
from search.process.fork_server import ForkServer
from storage.process_identity import process_exists

OWNER = """
import sys
from pathlib import Path
from search.process import fork_server

fork_server.PRELOAD = ("ending_soon",)
server = fork_server.ForkServer("tensorflow")
child = server.start("child_jobs:sleep", {}, Path(sys.argv[1]))
assert child.receive(60)["kind"] == "ready"
print(server.process.pid, child.pid, flush=True)
child.receive(None)
"""

LENDER = """
import signal, socket, sys
from search.process import fork_server

fork_server.PRELOAD = ()
server = fork_server.ForkServer("tensorflow")
line = server.share()
socket.send_fds(socket.socket(fileno=int(sys.argv[1])), [str(server.process.pid).encode()], [line.fileno()])
line.close()
signal.pause()
"""


@pytest.fixture
def start(fast_server: ForkServer, tmp_path: Path):
    """Start a job of child_jobs.py; what still runs at the end is killed."""
    started: list[Child] = []

    def start_job(job: str, payload: dict | None = None) -> Child:
        log = tmp_path / "logs" / "child.log"
        started.append(fast_server.start(f"child_jobs:{job}", payload or {}, log))
        return started[-1]

    yield start_job
    for child in started:
        child.kill()


@pytest.fixture
def client(fast_server: ForkServer):
    """Another process's line to the server that the tests share."""
    with ForkServer("tensorflow", fast_server.share()) as other:
        yield other


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch):
    """A server of the test's own, which may die, and has no framework."""
    monkeypatch.setattr("search.process.fork_server.PRELOAD", ("ending_soon",))
    with ForkServer("tensorflow") as server:
        yield server


def start_owner(place: Path) -> tuple[subprocess.Popen[str], int, int]:
    """A process with a fork server and a child of its own, and the ids of these two."""
    path = os.pathsep.join(filter(None, sys.path))
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(place / "log.txt")],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout is not None
    server, child = map(int, owner.stdout.readline().split())
    return owner, server, child


def gone_within(pid: int, seconds: float) -> bool:
    """Whether process ``pid`` ends in time; a zombie that nobody has waited for counts as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z"):
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_result_is_what_the_job_answers(start) -> None:
    with start("echo", {"value": [1, 2.5, "three"]}) as child:
        assert child.result(60) == {"kind": "done", "value": [1, 2.5, "three"]}
    assert child.wait() in (0, 3)  # 3: its line was closed before it had ended.


def test_reply_reaches_the_job_that_asked(start) -> None:
    with start("converse") as child:
        assert child.receive(60) == {"kind": "question"}
        child.send({"go": True})
        assert child.result(60)["heard"] == {"go": True}


def test_error_in_job_is_a_crash_with_its_reason_and_traceback(start) -> None:
    with pytest.raises(TrialCrashed) as crash, start("fail") as child:
        child.result(60)
    assert crash.value.reason == "RuntimeError: it broke (child_jobs.py, line 19, in fail)"
    assert 'raise RuntimeError("it broke' in crash.value.last_lines


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt"])
def test_job_that_ends_itself_in_python_is_a_crash_with_its_line(start, kind: str) -> None:
    with pytest.raises(TrialCrashed) as crash, start("end_itself", {"kind": kind}) as child:
        child.result(60)
    assert crash.value.raised
    assert crash.value.reason == f"{kind}: bye (child_jobs.py, line 23, in end_itself)"


def test_memory_error_is_out_of_memory(start) -> None:
    with (
        pytest.raises(TrialOutOfMemory, match=r"^MemoryError: no room \(child_jobs.py, line "),
        start("run_out_of_memory") as child,
    ):
        child.result(60)


def test_job_that_does_not_exist_is_a_crash(start) -> None:
    with pytest.raises(TrialCrashed, match="no_such_job"), start("no_such_job") as child:
        child.result(60)


def test_child_killed_from_outside_is_interrupted(start) -> None:
    with start("sleep") as child:
        assert child.receive(60) == {"kind": "ready"}
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(TrialInterrupted, match="SIGKILL") as interrupted:
            child.result(60)
    assert not interrupted.value.clean


def test_exit_by_itself_is_a_crash(start) -> None:
    with pytest.raises(TrialCrashed, match="exit status 3"), start("leave", {"status": 3}) as child:
        child.result(60)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT"])
def test_fatal_signal_of_its_own_is_a_crash(start, name: str) -> None:
    with pytest.raises(TrialCrashed, match=f"signal {name}"), start("die", {"signal": name}) as child:
        child.result(60)


def test_sigkill_with_a_risen_oom_counter_is_out_of_memory(start, tmp_path: Path, monkeypatch) -> None:
    counter = tmp_path / "memory.events"
    counter.write_text("low 0\noom 1\noom_kill 4\n")
    monkeypatch.setattr("search.process.child.OOM_COUNTERS", (counter,))
    with start("sleep") as child:
        assert child.receive(60) == {"kind": "ready"}
        counter.write_text("low 0\noom 2\noom_kill 5\n")
        os.kill(child.pid, signal.SIGKILL)
        with pytest.raises(TrialOutOfMemory, match="killed by the system"):
            child.result(60)


def test_receive_gives_none_when_nothing_came_in_time(start) -> None:
    with start("sleep", {"seconds": 0.5}) as child:
        assert child.receive(60) == {"kind": "ready"}
        assert child.receive(0.01) is None
        assert child.receive(60) == {"kind": "done"}


def test_receive_raises_after_the_last_message(start) -> None:
    with start("echo") as child:
        assert child.receive(60) == {"kind": "done"}
        with pytest.raises(EOFError):
            child.receive(60)


def test_result_kills_a_silent_child(start) -> None:
    with start("sleep") as child:
        assert child.receive(60) == {"kind": "ready"}
        with pytest.raises(TrialCrashed, match="no answer in 0 s"):
            child.result(0.2)
        assert gone_within(child.pid, 2)


def test_leaving_with_an_exception_kills_the_child(start) -> None:
    with pytest.raises(KeyError), start("sleep") as child:
        raise KeyError
    assert gone_within(child.pid, 2)


def test_stop_reaches_the_job_between_its_steps(start) -> None:
    with start("wait_for_stop") as child:
        assert child.receive(60) == {"kind": "ready"}
        child.stop()
        assert child.result(60) == {"kind": "done", "before": False, "after": True}


def test_message_to_an_ended_child_is_dropped(start) -> None:
    with start("echo") as child:
        child.result(60)
        child.wait()
        child.stop()
        assert child.wait() == 0


@pytest.mark.parametrize("threads", [1, 3])
def test_threads_are_set_in_the_child(fork_server: ForkServer, tmp_path: Path, threads: int) -> None:
    with fork_server.start("child_jobs:count_threads", {}, tmp_path / "log.txt", threads) as child:
        assert child.result(60)["threads"] == threads


def test_log_gets_all_that_the_child_prints(start) -> None:
    with start("speak") as child:
        child.result(60)
    assert set(child.last_lines().splitlines()) == {"said in the child", "and to its errors", "past Python"}


def test_log_has_what_a_child_printed_before_its_line_was_closed(start) -> None:
    """It ends there and then: what Python had only buffered was lost."""
    with start("speak_and_linger") as child:
        child.result(60)
    assert "said in the child" in child.last_lines()


def test_log_is_appended_to(start) -> None:
    for _ in range(2):
        with start("speak") as child:
            child.result(60)
    assert child.log.read_text().count("said in the child") == 2


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_signal_to_every_process_of_a_job_leaves_child_and_server_to_their_worker(
    start, fast_server: ForkServer, name: str
) -> None:
    """As Slurm sends it: the worker is to have the child write a checkpoint first."""
    with start("wait_for_stop") as child:
        assert child.receive(60) == {"kind": "ready"}
        assert os.getpgid(child.pid) != os.getpgid(0)
        for pid in (child.pid, fast_server.process.pid):
            os.kill(pid, getattr(signal, name))
        child.stop()
        assert child.result(60) == {"kind": "done", "before": False, "after": True}


def test_children_started_by_several_threads_are_kept_apart(start) -> None:
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        with start("echo", {"value": number}) as child:
            answers[number] = child.result(60)["value"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(6)}


def test_environment_is_set_in_the_one_child_that_it_was_given_to(fast_server, tmp_path: Path) -> None:
    names = {"names": ["CUDA_VISIBLE_DEVICES", "SEARCH_TEST_WORD"]}
    before = os.environ.get("CUDA_VISIBLE_DEVICES")
    seen = []
    for environment in ({"CUDA_VISIBLE_DEVICES": "1", "SEARCH_TEST_WORD": "a b"}, {}):
        job = ("child_jobs:tell_environment", names, tmp_path / "log.txt", 0, environment)
        with fast_server.start(*job) as child:
            seen.append(child.result(60)["values"])
    assert seen == [["1", "a b"], [before, None]]


@pytest.mark.parametrize("killed", [False, True])
def test_temporary_files_of_a_child_end_with_it(start, killed: bool) -> None:
    """TensorFlow leaves some that it deletes only at the exit of a process that is not a fork."""
    child = start("leave_temporary_file")
    left = Path(child.result(60)["path"])
    there = left.exists()
    if killed:
        child.kill()
    else:
        child.stop()
        child.wait()
    assert there
    assert not left.parent.exists()


def test_temporary_files_of_a_server_end_with_it(own_server: ForkServer, tmp_path: Path) -> None:
    child = own_server.start("child_jobs:leave_temporary_file", {}, tmp_path / "log.txt")
    folder = Path(child.result(60)["path"]).parent.parent
    there = folder.exists()
    own_server.close()
    assert there
    assert not folder.exists()


def test_client_of_a_shared_server_has_children_of_its_own(client: ForkServer, tmp_path: Path) -> None:
    with client.start("child_jobs:echo", {"value": 1}, tmp_path / "log.txt") as child:
        assert child.result(60)["value"] == 1
    assert child.wait() in (0, 3)
    assert client.process is None


def test_client_is_not_held_up_by_the_child_that_another_waits_for(
    start, client: ForkServer, tmp_path: Path
) -> None:
    with start("sleep") as slow:
        assert slow.receive(60) == {"kind": "ready"}
        waiting = threading.Thread(target=slow.wait)  # For a child that will not end.
        waiting.start()
        with client.start("child_jobs:leave", {"status": 4}, tmp_path / "log.txt") as child:
            assert child.wait() == 4
        assert waiting.is_alive()
        os.kill(slow.pid, signal.SIGKILL)
        waiting.join(5)
        assert not waiting.is_alive()
        assert slow.wait() == -signal.SIGKILL


def test_clients_get_the_exit_codes_of_their_own_children(fast_server: ForkServer, tmp_path: Path) -> None:
    statuses: dict[int, int] = {}

    def run(number: int) -> None:
        with ForkServer("tensorflow", fast_server.share()) as client:
            for status in (number, number + 10):
                child = client.start("child_jobs:leave", {"status": status}, tmp_path / "log.txt")
                statuses[status] = child.wait()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert statuses == {number: number for number in (4, 5, 6, 7, 14, 15, 16, 17)}


def test_child_of_a_client_that_is_gone_ends(fast_server: ForkServer, tmp_path: Path) -> None:
    client = ForkServer("tensorflow", fast_server.share())
    child = client.start("child_jobs:sleep", {}, tmp_path / "log.txt")
    assert child.receive(60) == {"kind": "ready"}
    child._connection.close()
    client.close()
    assert gone_within(child.pid, 5)


@pytest.mark.slow
def test_stopped_child_of_a_client_that_is_gone_is_killed(
    own_server: ForkServer, tmp_path: Path, until
) -> None:
    client = ForkServer("tensorflow", own_server.share())
    child = client.start("child_jobs:sleep", {}, tmp_path / "log.txt")
    assert child.receive(60) == {"kind": "ready"}
    os.kill(child.pid, signal.SIGSTOP)  # It cannot notice its closed end.
    until(lambda: Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].startswith("T"))
    child._connection.close()
    client.close()
    assert gone_within(child.pid, 5)


def test_client_hears_at_once_of_the_servers_death_while_others_children_live(
    own_server: ForkServer, tmp_path: Path
) -> None:
    children = []
    try:
        with ForkServer("tensorflow", own_server.share()) as client:
            for server in (own_server, client, own_server):
                children.append(server.start("child_jobs:sleep", {}, tmp_path / "log.txt"))
                assert children[-1].receive(60) == {"kind": "ready"}
            own_server.process.kill()
            before = time.monotonic()
            with pytest.raises(ServerGone, match="the process that starts trials is gone"):
                client.start("child_jobs:echo", {}, tmp_path / "log.txt")
            with pytest.raises(ServerGone, match="the process that starts trials has ended"):
                own_server.share()
            assert time.monotonic() - before < 2
            assert all(child.receive(0) is None for child in children), "they live as long as their workers"
    finally:
        for child in children:
            os.kill(child.pid, signal.SIGKILL)


@pytest.mark.slow
def test_server_outlives_its_owner_and_ends_after_its_last_client(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    owner = subprocess.Popen(
        [sys.executable, "-c", LENDER, str(theirs.fileno())],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        pass_fds=[theirs.fileno()],
    )
    theirs.close()
    with ours:
        said, lines, _, _ = socket.recv_fds(ours, 64, 1)
    owner.kill()
    owner.wait()
    with ForkServer("tensorflow", socket.socket(fileno=lines[0])) as client:
        with client.start("child_jobs:echo", {"value": 2}, tmp_path / "log.txt") as child:
            assert child.result(60)["value"] == 2
        assert process_exists(int(said))
    assert gone_within(int(said), 5)


@pytest.mark.slow
def test_children_and_server_of_a_killed_owner_end_by_themselves(tmp_path: Path) -> None:
    owner, server, child = start_owner(tmp_path)
    owner.kill()
    owner.communicate()
    assert gone_within(child, 5)
    assert gone_within(server, 5)


@pytest.mark.slow
def test_temporary_files_of_a_killed_owners_server_end_with_the_server(tmp_path: Path) -> None:
    owner, server, _ = start_owner(tmp_path)
    words = Path(f"/proc/{server}/cmdline").read_text().split("\0")
    folder = Path(words[words.index("search.process.fork_server_main") + 2])
    there = folder.exists()
    owner.kill()
    owner.wait()
    assert gone_within(server, 5)
    assert there
    assert not folder.exists()


def test_server_that_cannot_import_says_its_last_line(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("search.process.fork_server.PRELOAD", ("no_such_backend",))
    with (
        ForkServer("tensorflow") as server,
        pytest.raises(StudyStopped, match="No module named 'no_such_backend'"),
    ):
        server.start("child_jobs:echo", {}, tmp_path / "log.txt")


@pytest.mark.slow
def test_child_that_hangs_is_ended_when_the_last_owner_is_gone(tmp_path: Path) -> None:
    """It cannot notice its closed line, and would keep a GPU."""
    owner, server, child = start_owner(tmp_path)
    os.kill(child, signal.SIGSTOP)
    owner.kill()
    owner.communicate()
    assert gone_within(child, 5)
    assert gone_within(server, 5)
