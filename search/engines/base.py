"""What an engine is: it starts N workers that outlive the command, says how they are, and stops them; nothing else.

A worker is ``python -m search.worker``, which needs no engine: it reads everything from its study, gives its trial back
when a signal asks it to end, and may be started again at any time.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from search.config.option import flag_of
from search.config.settings import ManifestOptions, RunOptions
from search.errors import InputError
from search.study.snapshot import StartedWorker
from storage.url import parse, redacted

# The states of a worker that an engine started.
WAITING, RUNNING, ENDED, ELSEWHERE, UNKNOWN = "waiting", "running", "ended", "elsewhere", "unknown"
# How a line of a worker's own log begins: with the date and the level.
LOGGED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S* (?:DEBUG|INFO|WARNING|ERROR|CRITICAL) ")
# What an engine needs to find its workers again: plain JSON.
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Order:
    """What an engine is asked to start.

    Attributes:
        study: Name of the study.
        workers: How many workers; None for as many as is usual.
        command: The command of a worker, without what the engine adds.
        environment: Variables that it needs beside those of this process; among them the database's URL, which may hold
            a password and so stands in no command line.
        logs: The folder of logs; it exists.
        record: The file that will say what was started; a worker that it is gone for is not to be started again.
        walltime: Seconds after which a worker gives its place back; None for no limit of ours.
        gpus: Which GPUs the workers have, as the option of that name; None where they need none.
        per_gpu: How many workers share a GPU; None for one each.
    """

    study: str
    workers: int | None
    command: Sequence[str]
    environment: Mapping[str, str]
    logs: Path
    record: Path
    walltime: float | None = None
    gpus: str | None = None
    per_gpu: int | None = None


class Engine(Protocol):
    """A way to start workers."""

    look_seconds: float
    """How long to wait between two questions for their state."""

    def check(self, url: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> None:
        """Refuse what could not work, before anything is written.

        Args:
            url: Of the study's database.
            workers: How many; None for as many as is usual.
            gpus: See ``Order``.
            per_gpu: See ``Order``.

        Raises:
            InputError: It could not.
        """

    def start(self, order: Order) -> Facts:
        """Start the workers, which then need this process no more.

        Returns:
            What the other functions find them by.

        Raises:
            InputError: It cannot be done so; nothing was started.
        """

    def words(self, facts: Facts) -> str:
        """What was started, in a few words, such as ``Slurm job 12``."""

    def state(self, facts: Facts) -> list[StartedWorker]:
        """How each of the workers is; it does not raise where the engine cannot be asked, but says so."""

    def stop(self, facts: Facts) -> None:
        """Ask the workers to give their trials back and to end, and those that wait not to begin; it does not wait.

        Raises:
            InputError: It cannot be done from this host.
        """


def worker_flags(options: RunOptions | ManifestOptions, names: Sequence[str]) -> list[str]:
    """What a worker is given of its starter's options: those of these names that were asked for, and the trackers."""
    flags: list[str] = []
    for name in names:
        if name in options.requested:
            flags += [flag_of(options, name), str(getattr(options, name))]
    for word in options.trackers:
        flags += [flag_of(options, "trackers"), word]
    return flags


def is_alive(worker: StartedWorker) -> bool:
    """Whether a worker works, or will."""
    return worker.state in (WAITING, RUNNING, UNKNOWN)


def serves_one_host(engine: str, url: str, hosts: Sequence[str]) -> InputError:
    """What is raised where the workers of an engine may run on ``hosts``, and the database at ``url`` is a file."""
    shown = ", ".join(hosts[:3]) + (", …" if len(hosts) > 3 else "")
    return InputError(
        f"--engine {engine}: its workers may run on other hosts than this one ({shown or 'none is up'}), and "
        f"{redacted(parse(url))} is an SQLite file, which serves one host; expected a server's database: "
        "python -m search.database start --dir D --listen HOST makes one"
    )


def last_error(log: Path) -> str:
    """The last line of a log; empty where it is one of the worker's own log, at any of which whoever is killed ends."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return lines[-1] if lines and not LOGGED.match(lines[-1]) else ""
