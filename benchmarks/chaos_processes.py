"""The processes of a run of ``chaos.py``, and the place where they work.

The study is worked on by a command in a process of its own, with workers, a fork server and children below it. All of
them carry a mark in their environment, by which they are found.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from search.study.study import LoadedStudy
from storage.process_identity import process_exists
from storage.timeouts import Timeouts

ROOT = Path(__file__).parents[1]
IN_CHILD = ROOT / "tests" / "search" / "in_child"
MARK, FORKER = "CHAOS_MARK", "search.process.fork_server_main"
sys.path.append(str(IN_CHILD))  # The space of the NumPy runs, which this process samples from, too.
# How a command ends where the disk is full, and one that begins while the database is away.
NO_ROOM, CANNOT_BE_OPENED = "no room is left on the disk", "cannot be opened"
# A stop may take 18 s (``stop_requests.EXIT_SECONDS``), and is then no longer waited for.
ENDING_SECONDS = 30.0


@dataclass(frozen=True)
class Place:
    """Where one run lies.

    Attributes:
        folder: All of it.
        disk: The part that lies on a small disk of its own, or in the folder where none can be mounted.
        small: Whether it is a small disk, which can be filled.
    """

    folder: Path
    small: bool

    @property
    def disk(self) -> Path:
        """The folder of the studies' folder and of SQLite's file."""
        return self.folder / "disk"

    @property
    def temporary(self) -> Path:
        """The folder for temporary files."""
        return self.folder / "temporary"


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Place]:
    """A place for a run under ``folder``, with a disk of so many MB where this user may mount one."""
    place = Place(folder, False)
    for part in (place.disk, place.temporary):
        part.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(place.disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        yield place
        return
    try:
        yield dataclasses.replace(place, small=True)
    finally:
        subprocess.run(["umount", "-l", str(place.disk)], check=True)


def marked(mark: str) -> dict[str, list[int]]:
    """The living processes that carry ``mark``, by what they are: command, worker, fork server, child, other."""
    found: dict[str, list[int]] = defaultdict(list)
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{MARK}={mark}".encode() not in (folder / "environ").read_bytes():
                continue
            pid, line = int(folder.name), (folder / "cmdline").read_bytes().decode()
            leads = os.getsid(pid) == pid
            role = (
                ("fork server" if leads else "child") if FORKER in line
                else "worker" if "search.engines.local_worker" in line
                else "command" if "chaos_command" in line
                else "other"
            )  # fmt: skip
            if process_exists(pid):
                found[role].append(pid)
    return found


class Command:
    """The command that works on the study, started anew whenever it is to.

    Attributes:
        starts: How often it was started.
        hit_by: The kinds of faults that were injected since its last start.
        unexpected: The endings that no fault explains, each with the last line that it printed.
    """

    def __init__(self, study: LoadedStudy, place: Place, environment: dict[str, str], workers: int) -> None:
        self._arguments = [
            "--study", study.config.study, "--storage", study.url, "--studies", str(study.paths.root),
            "--workers", str(workers),
        ]  # fmt: skip
        self.environment, self._place = environment, place
        self.starts, self.unexpected, self.hit_by = 0, list[str](), set[str]()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        """The file of what it printed since its last start."""
        return self._place.folder / f"command-{self.starts:03d}.log"

    def start(self) -> None:
        """Start it, whether the last one has ended or not."""
        self.starts += 1
        self.hit_by.clear()
        with self.log.open("wb") as printed:
            self.process = subprocess.Popen(
                [sys.executable, str(ROOT / "benchmarks" / "chaos_command.py"), *self._arguments],
                cwd=self._place.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )

    def status(self) -> int | None:
        """Its exit status; None as long as it runs."""
        return None if self.process is None else self.process.poll()

    def last_line(self) -> str:
        """The last line that it printed."""
        return (self.log.read_text(errors="replace").strip().splitlines() or ["nothing"])[-1]

    def is_explained(self, status: int) -> bool:
        """Whether a fault since its start explains that it has ended with ``status``, and it says so."""
        if self.hit_by & {"database restart", "database outage"} and status == 2:
            return CANNOT_BE_OPENED in self.last_line()
        return "full disk" in self.hit_by and status == 1 and NO_ROOM in self.last_line()

    def end(self, expected: set[int]) -> None:
        """Wait for an end that a fault has asked for, and note one of another kind, or none."""
        assert self.process is not None
        try:
            status = self.process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self.unexpected.append(f"no end within {ENDING_SECONDS:.0f} s of a signal")
            self.process.kill()
            self.process.wait()
            return
        if status not in expected and not self.is_explained(status):
            self.unexpected.append(f"status {status} after a signal: {self.last_line()}")


def environment_of(
    place: Place, training: str, epoch_seconds: float, timeouts: Timeouts, mark: str
) -> dict[str, str]:
    """The environment of all processes of a run."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(IN_CHILD)]),
        "SEARCH_TEST_TRAINING": "numpy" if training == "numpy" else "",
        "SEARCH_TEST_EPOCH_SECONDS": str(epoch_seconds),
        "TMPDIR": str(place.temporary),
        "CHAOS_TIMEOUTS": json.dumps(dataclasses.asdict(timeouts)),
        MARK: mark,
    }
