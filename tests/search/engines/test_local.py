"""Workers in processes of their own: exactly N trials, dead ones started again, and none left when all is over."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from optuna.trial import TrialState

from search.engines.local import MOST_EARLY_DEATHS, LocalWorkers, rename_log
from search.engines.local_worker import AT_ONCE, NO_ROOM, SERVER_GONE, STOP
from search.engines.resources import VISIBLE, ResourceSlot, make_slots
from search.errors import DiskFull, InputError, StudyStopped
from search.execution.stop_requests import Stop
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from storage.claims import INTERRUPTIONS, WITHOUT_PROGRESS
from storage.liveness import HEARTBEAT
from storage.process_identity import process_exists

ON_SQLITE = pytest.mark.parametrize("new_database", ["sqlite"], indirect=True)
ON_POSTGRES = pytest.mark.parametrize("new_database", ["postgres"], indirect=True)
# Longer than any test: such a trial ends by being stopped.
ENDLESS = 10_000


class Running:
    """Local workers at work, in a thread."""

    def __init__(self, workers: LocalWorkers, stop: Stop) -> None:
        self.workers, self.stop = workers, stop
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self, seconds: float = 90.0) -> None:
        """Wait for their end, and raise what it was."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "they did not end"
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self.workers.run(self.stop)
        except Exception as error:
            self._failure = error


@pytest.fixture
def run(fast_server: ForkServer) -> Iterator[Callable[..., Running]]:
    """Start local workers on a study; what still runs at the end is stopped."""
    started: list[Running] = []

    def start(study: LoadedStudy, slots: int | Sequence[ResourceSlot] = 1) -> Running:
        places = make_slots(slots, None, None, slots) if isinstance(slots, int) else slots
        workers = LocalWorkers(study, fast_server, places, checkpoint_seconds=0.0)
        started.append(Running(workers, Stop()))
        return started[-1]

    yield start
    for one in started:
        one.stop.on_signal(signal.SIGTERM)
        with contextlib.suppress(StudyStopped, InputError):
            one.end()


def children_of(pid: int) -> dict[int, bytes]:
    """The command lines of all processes under one."""
    parents, lines = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            number = int(place.name)
            parents[number] = int((place / "stat").read_text().rpartition(") ")[2].split()[1])
            lines[number] = (place / "cmdline").read_bytes()
    under = {pid}
    while more := {child for child, parent in parents.items() if parent in under} - under:
        under |= more
    return {child: lines[child] for child in under - {pid} if child in lines}


def workers_now() -> list[int]:
    return [pid for pid, line in children_of(os.getpid()).items() if b"search.engines.local_worker" in line]


@pytest.mark.slow
def test_workers_finish_exactly_n_distinct_trials(open_digits, run) -> None:
    study = open_digits(trials=5)
    running = run(study, 2)
    running.end()
    trials = study.optuna.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 5
    assert len({tuple(trial.params.values()) for trial in trials}) == 5
    assert running.workers.statuses == [0, 0]


@pytest.mark.slow
@ON_SQLITE
def test_each_worker_gives_its_children_the_gpu_and_the_threads_of_its_slot(
    open_digits, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_SPACE_FAULT", "gpu")
    study = open_digits(trials=4)
    run(study, [ResourceSlot(1, {VISIBLE: "7"}), ResourceSlot(2, {VISIBLE: "9"})]).end()
    seen: dict[str, set[tuple[str, int]]] = {}
    for trial in study.optuna.trials:
        lines = study.paths.log(trial.number).read_text().splitlines()
        (line,) = {line for line in lines if line.startswith("GPU ")}
        seen.setdefault(trial.user_attrs["worker"], set()).add((line, trial.user_attrs["threads"]))
    places = [pair for pairs in seen.values() for pair in pairs]
    assert set(places) <= {("GPU 7", 1), ("GPU 9", 2)}
    assert len(set(places)) == len(places) == len(seen)  # One place a worker, and no other's.


@pytest.mark.slow
def test_killed_worker_is_started_again_and_its_trial_goes_on_under_its_number(
    open_digits, run, until, far
) -> None:
    study = open_digits(trials=1, epochs=60)
    running = run(study)
    (trial,) = until(lambda: far(study))
    killed = trial.system_attrs[HEARTBEAT]
    os.kill(killed["pid"], signal.SIGKILL)
    running.end()
    (trial,) = study.optuna.trials
    assert (trial.number, trial.state) == (0, TrialState.COMPLETE)
    assert trial.system_attrs[INTERRUPTIONS] == 1
    assert trial.user_attrs["worker"] != killed["worker"]
    assert trial.user_attrs["history"]["val_accuracy"] == list(trial.intermediate_values.values())
    assert len(trial.intermediate_values) == 60
    assert running.workers.statuses == [-signal.SIGKILL, 0]


@pytest.mark.slow
@ON_POSTGRES
def test_worker_that_dies_while_the_database_is_away_is_started_again(
    open_digits, run, until, far, postgres
) -> None:
    study = open_digits(trials=1, epochs=ENDLESS)
    running = run(study)
    until(lambda: far(study))
    (killed,) = workers_now()
    postgres.stop()
    try:
        os.kill(killed, signal.SIGKILL)
        assert until(lambda: running.workers.statuses, 5) == [-signal.SIGKILL]
        assert until(workers_now, 5) != [killed]
    finally:
        postgres.start()


@pytest.mark.slow
@ON_SQLITE
def test_child_of_a_killed_worker_ends_with_it(open_digits, run, until, far) -> None:
    study = open_digits(trials=1, epochs=ENDLESS)
    run(study)
    (trial,) = until(lambda: [trial for trial in far(study) if "child" in trial.system_attrs[HEARTBEAT]])
    life = trial.system_attrs[HEARTBEAT]
    os.kill(life["pid"], signal.SIGKILL)
    assert until(lambda: not process_exists(life["child"]), 5)


@pytest.mark.slow
@ON_POSTGRES
def test_deadline_of_local_workers_is_that_of_each_worker(open_digits, run, until, far) -> None:
    study = open_digits(trials=2, epochs=ENDLESS)
    running = run(study, 2)
    until(lambda: far(study, 2))
    running.stop.deadline = time.monotonic()
    running.end(20)
    assert running.stop.reason == "the time is up (--timeout)"
    assert [trial.state for trial in study.optuna.trials] == [TrialState.WAITING] * 2
    assert workers_now() == []


@ON_SQLITE
def test_worker_that_always_dies_at_once_stops_the_study_with_its_last_line(
    open_digits, run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nread order\necho starting\necho no luck here\nexit 7\n")
    program.chmod(0o755)
    study = open_digits(trials=1)
    monkeypatch.setattr(sys, "executable", str(program))
    running = run(study)
    with pytest.raises(StudyStopped) as stopped:
        running.end()
    message = str(stopped.value)
    assert message.startswith("a worker ended 5 times in a row, last with status 7: no luck here; see ")
    assert Path(message.rpartition("see ")[2]).read_text() == "starting\nno luck here\n"
    assert running.workers.statuses == [7] * MOST_EARLY_DEATHS


@pytest.mark.slow
@ON_POSTGRES
def test_reason_why_a_worker_stops_the_study_reaches_the_search(
    open_digits, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALL_SPACE_FAULT", "large")
    study = open_digits(trials=3)
    with pytest.raises(
        StudyStopped, match=r"^1\d\d configurations in a row were refused before training; .*max-cost"
    ):
        run(study, 2).end()
    assert workers_now() == []
    assert TrialState.RUNNING not in [trial.state for trial in study.optuna.trials]


@pytest.mark.slow
@ON_POSTGRES
def test_disk_that_is_full_ends_all_workers_whose_logs_lie_there_too(open_digits, run, small_disk) -> None:
    study = open_digits(trials=3)
    with small_disk(study.paths.folder) as disk:
        with contextlib.suppress(OSError), (disk / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(bytes(1024))
        running = run(study, 2)
        with pytest.raises(DiskFull, match="No space left on device"):
            running.end()
    assert workers_now() == []
    assert {trial.state for trial in study.optuna.trials} <= {TrialState.WAITING}


FULL = """
import sys
from search.engines import local_worker
from search.errors import DiskFull

def obey(order, stop):
    try:
        print("no pictures", flush=True)
    except OSError:
        pass
    raise DiskFull("no space")

local_worker._work_as = obey
sys.exit(local_worker.main())
"""


def test_worker_ends_with_its_own_status_though_nothing_it_says_can_be_printed() -> None:
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with (
        open("/dev/full", "wb") as full,  # noqa: PTH123
        subprocess.Popen(
            [sys.executable, "-c", FULL], stdin=subprocess.PIPE, stdout=full, stderr=full, env=buffered
        ) as worker,
    ):
        assert worker.stdin is not None
        worker.stdin.write(b"{}\n")
        worker.stdin.flush()
        assert worker.wait(60) == NO_ROOM


@pytest.mark.slow
@ON_SQLITE
def test_wrong_input_of_a_worker_reaches_the_search(open_digits, run) -> None:
    study = open_digits(trials=1)
    lost = study.storage.get_study_id_from_name("s")
    running = run(study)
    study.storage.delete_study(lost)
    with pytest.raises(InputError, match=r"^--study s: no such study in "):
        running.end()


@pytest.mark.slow
@ON_POSTGRES
def test_password_stands_in_no_command_line_and_no_file(
    open_digits, run, until, far, postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    url = postgres.database().replace("postgres@", "postgres:sesame@")
    monkeypatch.setenv("SEARCH_STORAGE", url)
    study = open_digits(storage=None, trials=1, epochs=ENDLESS)
    assert "sesame" in study.url
    running = run(study)
    (trial,) = until(lambda: far(study))
    os.kill(trial.system_attrs[HEARTBEAT]["pid"], signal.SIGKILL)
    until(lambda: far(study) and study.optuna.trials[0].system_attrs.get(INTERRUPTIONS))
    lines = children_of(os.getpid())
    running.stop.on_signal(signal.SIGTERM)
    running.end()
    assert any(b"search.engines.local_worker" in line for line in lines.values())
    assert not [line for line in lines.values() if b"sesame" in line]
    study.storage.close()  # SQLite's own two files go with the last connection, be it between two lines here.
    gc.collect()
    files = [path for path in study.paths.root.rglob("*") if path.is_file()]
    assert list((study.paths.folder / "logs").iterdir())
    assert not [path for path in files if b"sesame" in path.read_bytes()]
    assert "sesame" not in "".join(capfd.readouterr())


@pytest.fixture
def own_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ForkServer]:
    """A fork server that may be harmed, whose children train in NumPy; another may follow it at once."""
    monkeypatch.setenv("SEARCH_TEST_TRAINING", "numpy")
    monkeypatch.setattr("search.process.fork_server.BETWEEN_LAUNCHES", 0.0)
    with ForkServer("tensorflow") as server:
        yield server


@pytest.mark.slow
@ON_SQLITE
def test_fork_server_that_is_gone_costs_no_trial_and_no_epoch(
    open_digits, own_server: ForkServer, until, far
) -> None:
    study = open_digits(trials=4, epochs=30)
    workers = LocalWorkers(study, own_server, make_slots(2, None, None, 2), checkpoint_seconds=0.0)
    running = Running(workers, Stop())
    until(lambda: far(study, 2))
    assert own_server.process is not None
    harmed = own_server.process.pid
    own_server.process.kill()
    running.end()
    trials = study.optuna.trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert all(len(trial.intermediate_values) == 30 for trial in trials)
    assert all(trial.system_attrs.get(WITHOUT_PROGRESS, {"times": 0})["times"] == 0 for trial in trials)
    assert set(workers.statuses) == {SERVER_GONE, 0}
    assert own_server.process.pid != harmed
    assert not process_exists(harmed)


@pytest.mark.slow
@ON_SQLITE
def test_log_of_a_worker_has_the_name_that_the_study_knows_it_by(open_digits, run) -> None:
    """Two slots alike had one name, worker-0."""
    study = open_digits(trials=4)
    earlier = study.paths.worker_log("earlier")
    earlier.parent.mkdir(parents=True)
    run(study, 2).end()
    names = {trial.user_attrs["worker"] for trial in study.optuna.trials}
    assert names <= {path.stem for path in earlier.parent.glob("*.log")}
    assert not list(earlier.parent.glob("starting-*"))


def test_log_of_an_earlier_worker_of_that_name_stays(tmp_path: Path) -> None:
    """Process ids come again, in a container soon."""
    named, log = tmp_path / "host-57.log", tmp_path / "starting-0a1b2c3d.log"
    named.write_text("earlier")
    log.write_text("new")
    assert rename_log(log, named).read_text() == "new"
    assert named.read_text() == "earlier"


TOLD = """
import sys, time
from search.engines import local_worker

def obey(spec, stop):
    print("ready", flush=True)
    while not stop.requested:
        time.sleep(0.01)
    time.sleep(0.5)
    sys.stderr.write(f"{stop.by_user} {stop.now}")

local_worker._work_as = obey
sys.exit(local_worker.main())
"""


@pytest.mark.parametrize(("words", "at_once"), [(STOP, False), (STOP + AT_ONCE, True)])
def test_worker_told_to_stop_after_a_signal_to_all_takes_it_for_one_request(
    words: bytes, at_once: bool
) -> None:
    """A scheduler's SIGTERM reaches the worker and its starter, which passes it on."""
    with subprocess.Popen(
        [sys.executable, "-c", TOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as worker:
        assert worker.stdin is not None
        assert worker.stderr is not None
        worker.stdin.write(b"{}\n" + words + STOP)
        worker.stdin.flush()
        assert worker.wait(60) == 130
        assert worker.stderr.read().decode() == f"True {at_once}"
