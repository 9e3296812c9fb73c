"""What ``chaos.py`` does to a study that runs: kills, stops, signals, outages, full disks, torn files, and the like."""

import contextlib
import dataclasses
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from chaos_processes import MARK, Command, Place, marked
from optuna.trial import FrozenTrial
from postgres import PostgresServer

from search.process.fork_server import ANSWER_SECONDS
from search.study.finding import create_study
from search.study.study import LoadedStudy

# An epoch from which on a trial has something to lose.
PAST = 2
# How often each kind comes in one round; a round is shuffled anew.
ROUND = {
    "kill worker": 4, "kill child": 4, "kill fork server": 2, "kill command": 1, "kill all": 1,
    "term worker": 3, "term child": 2, "term all": 2, "ctrl-c": 1,
    "stop worker": 3, "stop child": 2, "stop fork server": 1, "stop all": 1,
    "database restart": 2, "database outage": 1, "full disk": 1, "torn checkpoint": 3,
    "delete another study": 2, "export": 1,
}  # fmt: skip


class NobodyThere(Exception):
    """There is nobody to do this to just now."""


@dataclass
class Monkey:
    """Does harm to one study, and keeps account of it.

    Attributes:
        done: How often each kind of fault was injected.
        excused: How often each trial may have lost more than an epoch: by a torn checkpoint, or a full disk.
        others: The other studies that were to be deleted meanwhile.
        export: An export of the study that was begun meanwhile.
        timers: What lets those go on that were stopped.
    """

    study: LoadedStudy
    server: PostgresServer | None
    place: Place
    command: Command
    grace: float
    rng: random.Random
    done: Counter[str] = field(default_factory=Counter)
    excused: Counter[int] = field(default_factory=Counter)
    others: list[str] = field(default_factory=list)
    export: "subprocess.Popen[bytes] | None" = None
    timers: list[threading.Timer] = field(default_factory=list)

    def inflict(self, kind: str) -> bool:
        """Inflict a fault of this kind; False if there was nobody to suffer it, or the database did not answer."""
        verb, _, role = kind.partition(" ")
        try:
            if kind in self._own:
                self._own[kind]()
            elif role == "all":
                self._signal_all(verb)
            else:
                self._signal_one(verb, role)
        except Exception as error:  # The database may be away, the victim gone.
            if not isinstance(error, (NobodyThere, ProcessLookupError)):
                self._note(f"not inflicted: {kind}: {error!r}")
            return False
        self.done[kind] += 1
        self.command.hit_by.add(kind)
        self._note(kind)
        return True

    def _note(self, words: str) -> None:
        with (self.place.folder / "faults.txt").open("a") as file:
            file.write(f"{time.strftime('%H:%M:%S')} {words}\n")

    def settle(self) -> None:
        """Wait until all that was stopped goes on again, and for an export that still runs."""
        for timer in self.timers:
            timer.join()
        if self.export is not None:
            try:
                self.export.wait(240)
            except subprocess.TimeoutExpired:
                self.export.kill()
                self.export.wait()

    def give_up(self) -> None:
        """End all processes of a run that does not come to its end."""
        for pids in marked(self.mark).values():
            self._send("kill", pids)

    @property
    def mark(self) -> str:
        """What all processes of the run carry."""
        return self.command.environment[MARK]

    @property
    def _own(self) -> dict[str, Callable[[], None]]:
        return {
            "kill command": self._kill_command,
            "ctrl-c": self._interrupt,
            "database restart": lambda: self._take_database_away(1.0),
            "database outage": lambda: self._take_database_away(1.5 * self.grace),
            "full disk": self._fill_disk,
            "torn checkpoint": self._tear_checkpoint,
            "delete another study": self._delete_another,
            "export": self._export,
        }

    def _signal_one(self, verb: str, role: str) -> None:
        there = marked(self.mark)
        if role in ("worker", "child"):
            trial = self._victim(there)
            pid = trial.system_attrs["life"]["child" if role == "child" else "pid"]
        elif there["command"] and there["worker"] and there[role]:
            pid = self.rng.choice(there[role])
        else:
            raise NobodyThere
        # A fork server that is stopped counts as hung only after a time of its own.
        self._send(verb, [pid], ANSWER_SECONDS if role == "fork server" else self.grace)

    def _victim(self, there: dict[str, list[int]]) -> FrozenTrial:
        """A trial that is trained by a worker and a child that live; where there is one, with something to lose."""
        running = [
            trial
            for trial in self.study.view.get_trials(deepcopy=False)
            if trial.state.name == "RUNNING"
            and trial.system_attrs["life"]["pid"] in there["worker"]
            and trial.system_attrs["life"].get("child") in there["child"]
        ]
        if not running:
            raise NobodyThere
        return self.rng.choice(
            [trial for trial in running if max(trial.intermediate_values, default=0) > PAST] or running
        )

    def _send(self, verb: str, pids: list[int], silence: float = 0.0) -> None:
        number = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "stop": signal.SIGSTOP}[verb]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        if verb == "stop":
            timer = threading.Timer(1.5 * silence, _go_on, [pids])
            self.timers.append(timer)
            timer.start()

    def _signal_all(self, verb: str) -> None:
        """To every process of the run at once, as Slurm, a container's end or a suspended host does it."""
        there = marked(self.mark)
        if not there["child"]:
            raise NobodyThere
        mine = [pid for role in ("command", "worker", "fork server", "child") for pid in there[role]]
        self._send(verb, mine, self.grace)
        if verb != "stop":
            self.command.end({-signal.SIGKILL} if verb == "kill" else {130})
            self.command.start()

    def _kill_command(self) -> None:
        """The command alone dies, and the next one is there before its workers have ended."""
        if not marked(self.mark)["child"] or self.command.process is None:
            raise NobodyThere
        self.command.process.kill()
        self.command.end({-signal.SIGKILL})
        self.command.start()

    def _interrupt(self) -> None:
        if not marked(self.mark)["child"] or self.command.process is None:
            raise NobodyThere
        self.command.process.send_signal(signal.SIGINT)
        self.command.end({130})
        self.command.start()

    def _take_database_away(self, seconds: float) -> None:
        if self.server is not None:
            self.server.restart(seconds)
            return
        stranger = sqlite3.connect(str(self.study.storage.url.database), timeout=60)
        stranger.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        stranger.rollback()
        stranger.close()

    def _fill_disk(self) -> None:
        """Not a byte is left for some seconds; a command that ended by it is started by whoever looks next."""
        if not marked(self.mark)["child"]:
            raise NobodyThere
        self.command.hit_by.add("full disk")
        hit = self._unfinished()
        ballast = self.place.disk / "ballast"
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            for size in (2**20, 2**12, 1):
                with contextlib.suppress(OSError):
                    while file.write(bytes(size)):
                        pass
        time.sleep(self.rng.uniform(0.5, 1.0) * self.grace)
        hit |= self._unfinished()
        ballast.unlink()
        self.excused.update(hit)

    def _unfinished(self) -> set[int]:
        """The trials that a full disk may cost an epoch: those that wait may run and wait again between two looks."""
        trials = self.study.view.get_trials(deepcopy=False)
        return {trial.number for trial in trials if not trial.state.is_finished()}

    def _tear_checkpoint(self) -> None:
        """A worker dies, and what it left of its trial is damaged before another looks at it."""
        trial = self._victim(marked(self.mark))
        if not self.study.paths.checkpoints(trial.number):
            raise NobodyThere
        life = trial.system_attrs["life"]
        for name in ("pid", "child"):
            os.kill(life[name], signal.SIGKILL)
        self.excused[trial.number] += 1
        for path in self.study.paths.checkpoints(trial.number):
            with contextlib.suppress(FileNotFoundError):
                damage(path, self.rng)

    def _delete_another(self) -> None:
        """A study of the same database comes and goes."""
        name = f"another-{len(self.others)}"
        self.others.append(name)
        config = dataclasses.replace(self.study.config, study=name)
        root, prepared = self.study.paths.root, self.study.dataset().folder
        timeouts = self.study.storage.timeouts
        made = create_study(config, prepared, self.study.url, root, trials=3, timeouts=timeouts)
        if made is None:
            raise NobodyThere
        made.optuna.enqueue_trial({})
        model = made.paths.model(0, "0123456789abcdef")
        model.parent.mkdir(parents=True)
        model.write_bytes(bytes(1000))
        made.storage.close()
        self.delete(name)

    def delete(self, name: str) -> str:
        """Delete one of the other studies by the command: its last words; empty if it is gone."""
        command = [sys.executable, "-m", "search.delete", "--study", name, "--storage", self.study.url]
        command += ["--studies", str(self.study.paths.root), "--yes"]
        ended = subprocess.run(
            command,
            cwd=self.place.folder,
            env=self.command.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return "" if ended.returncode == 0 else (ended.stderr.strip().splitlines() or ["nothing"])[-1]

    def _export(self) -> None:
        if self.export is not None or not self.study.ranked():
            raise NobodyThere
        command = [sys.executable, "-m", "search.export", "--study", self.study.config.study]
        command += ["--storage", self.study.url, "--studies", str(self.study.paths.root)]
        command += ["--out", str(self.place.folder / "exported")]
        with (self.place.folder / "export.log").open("wb") as printed:
            self.export = subprocess.Popen(
                command,
                cwd=self.place.folder,
                # Without the mark: what hits the run's processes is not meant for it.
                env={name: value for name, value in self.command.environment.items() if name != MARK},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )


def damage(path: Path, rng: random.Random) -> None:
    """Damage a file as a disk or a crash does: cut it short, empty it, or change bytes in its middle."""
    data = bytearray(path.read_bytes())
    how = rng.choice(("cut", "empty", "flip", "blank"))
    middle = len(data) // 2
    if how == "cut":
        data = data[:middle]
    elif how == "empty":
        data = bytearray()
    elif how == "flip":
        data[middle] ^= 0xFF
    else:
        data[middle : middle + 512] = bytes(min(512, len(data) - middle))
    path.write_bytes(data)


def _go_on(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def kinds_in_turn(rng: random.Random, kinds: Counter[str]) -> Iterator[str]:
    """Each kind as often as it has it, in a random order, for ever."""
    while True:
        yield from rng.sample(list(kinds.elements()), kinds.total())
