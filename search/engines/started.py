"""What engines were asked to start for a study: records beside it, by which any terminal finds the workers again."""

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from search.config.engine_word import LOCAL, RAY, SLURM, EngineWord, parse_engine
from search.engines.base import ENDED, Engine, Facts, Order, is_alive
from search.engines.detached import LocalEngine, process_facts
from search.engines.ray_engine import RayEngine
from search.engines.slurm import SlurmEngine
from search.study.snapshot import StartedWorker
from storage.atomic import atomic_write
from storage.paths import StudyPaths
from storage.process_identity import worker_name


@dataclass(frozen=True)
class Started:
    """Workers that an engine was asked to start.

    Attributes:
        engine: The engine's word, with its options.
        facts: What the engine finds them by, and how many ``workers`` they are.
        detached: Whether they outlive the command that started them. The workers of a plain ``search.run`` do not.
        walltime: Seconds of each worker's turn; None where the engine or nobody bounds it.
        began: When, in UTC.
        record: The file that says so.
    """

    engine: str
    facts: Facts
    detached: bool = True
    walltime: float | None = None
    began: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))
    record: Path = field(default=Path(), compare=False)

    @property
    def workers(self) -> int:
        """How many workers were started."""
        return int(self.facts["workers"])

    @property
    def by(self) -> Engine:
        """The engine that started them."""
        return make_engine(parse_engine("engine", self.engine))

    def __str__(self) -> str:
        """In words: ``Slurm job 12``."""
        return self.by.words(self.facts)

    def state(self) -> list[StartedWorker]:
        """How each worker is."""
        return self.by.state(self.facts)

    def write(self) -> None:
        """Write the record."""
        self.record.parent.mkdir(parents=True, exist_ok=True)
        about = {name: value for name, value in asdict(self).items() if name != "record"}
        with atomic_write(self.record) as aside:
            aside.write_text(json.dumps(about, indent=2) + "\n")

    def forget(self) -> None:
        """Remove the record: they have ended, or are not to be started again."""
        self.record.unlink(missing_ok=True)


def make_engine(word: EngineWord) -> Engine:
    """The engine of a word."""
    if word.name == SLURM:
        return SlurmEngine(word.options)
    return RayEngine(word.options) if word.name == RAY else LocalEngine()


def read_started(paths: StudyPaths) -> list[Started]:
    """All that engines were asked to start for a study, the oldest first; what cannot be read is passed over."""
    found = []
    for record in paths.all_started():
        try:
            found.append(Started(**json.loads(record.read_text()), record=record))
        except (OSError, ValueError, TypeError):  # Removed meanwhile, or of another version.
            continue
    return sorted(found, key=lambda one: one.began)


def at_work(paths: StudyPaths) -> Started | None:
    """The workers that outlive the command that started them and have not all ended; None where there are none."""
    for one in read_started(paths):
        if one.detached and any(is_alive(worker) for worker in one.state()):
            return one
    return None


def start(engine: str, order: Order) -> Started:
    """Start workers and write it down.

    Raises:
        InputError: The engine cannot do it so.
    """
    by = make_engine(parse_engine("--engine", engine))
    started = Started(engine, by.start(order), walltime=order.walltime, record=order.record)
    try:
        started.write()
    except BaseException:  # Nobody would find them.
        by.stop(started.facts)
        raise
    return started


def new_record(paths: StudyPaths) -> Path:
    """Where the record of the next workers will be; those of workers that have ended are removed."""
    for earlier in read_started(paths):
        if all(worker.state == ENDED for worker in earlier.state()):
            earlier.forget()
    return paths.started(secrets.token_hex(4))


@contextmanager
def recorded(paths: StudyPaths, workers: int) -> Iterator[None]:
    """Within the block this process is on record as one that runs workers, so that other terminals can stop it."""
    log = paths.worker_log(worker_name()) if workers == 1 else paths.folder / "logs"
    facts = process_facts(os.getpid(), log.absolute(), workers)
    started = Started(LOCAL, facts, detached=False, record=new_record(paths))
    with suppress(OSError):  # Of a full disk the search has its own words.
        started.write()
    try:
        yield
    finally:
        started.forget()


def looking(paths: StudyPaths) -> Callable[[], Sequence[StartedWorker]]:
    """How all that was started for a study is, with each call; an engine is not asked more often than it takes well."""
    seen: dict[Path, tuple[float, list[StartedWorker]]] = {}

    def look() -> list[StartedWorker]:
        workers = []
        for one in read_started(paths):
            at, states = seen.get(one.record, (-1e9, []))
            if time.monotonic() - at >= one.by.look_seconds:
                states = one.state()
                seen[one.record] = time.monotonic(), states
            workers += states
        return workers

    return look
