"""Workers of this host in a process of their own, which outlives the command that starts it, or its terminal."""

import contextlib
import os
import secrets
import signal
import subprocess
from pathlib import Path

from search.data.threads import cores
from search.engines.base import ELSEWHERE, ENDED, RUNNING, Facts, Order, last_error
from search.engines.resources import make_slots
from search.errors import InputError
from search.study.snapshot import StartedWorker
from storage.process_identity import hostname, pid_namespace, process_exists, start_time


class LocalEngine:
    """Starts one ``search.worker`` with as many workers as are asked for; that one starts those again that die."""

    look_seconds = 0.5

    def check(self, url: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> None:
        """See ``Engine``."""
        make_slots(workers, gpus, per_gpu, cores())

    def start(self, order: Order) -> Facts:
        """See ``Engine``."""
        workers = len(make_slots(order.workers, order.gpus, order.per_gpu, cores()))
        shares = {"workers": workers, "gpus": order.gpus, "per-gpu": order.per_gpu}
        flags = [word for name, value in shares.items() if value for word in (f"--{name}", str(value))]
        log = order.logs / f"detached-{secrets.token_hex(4)}.log"
        with log.open("ab") as printed:
            process = subprocess.Popen(
                [*order.command, *flags],
                env={**os.environ, **order.environment},
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                start_new_session=True,
            )
        return process_facts(process.pid, log, workers)

    def words(self, facts: Facts) -> str:
        """See ``Engine``."""
        return f"process {facts['pid']} of {facts['host']}"

    def state(self, facts: Facts) -> list[StartedWorker]:
        """See ``Engine``."""
        pid, log = int(facts["pid"]), str(facts["log"])
        name = f"{facts['host']}-{pid}"
        if facts["namespace"] != pid_namespace():
            return [StartedWorker(name, ELSEWHERE, f"ask on {facts['host']}", log)]
        if not process_exists(pid, facts["started"]):
            return [StartedWorker(name, ENDED, last_error(Path(log)), log)]
        many = "" if facts["workers"] == 1 else f"{facts['workers']} workers"
        return [StartedWorker(name, RUNNING, many, log)]

    def stop(self, facts: Facts) -> None:
        """See ``Engine``."""
        if facts["namespace"] != pid_namespace():
            raise InputError(
                f"{self.words(facts)} works on it, which cannot be reached from {hostname()}; run the same command on "
                f"{facts['host']}"
            )
        if process_exists(int(facts["pid"]), facts["started"]):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(facts["pid"]), signal.SIGTERM)


def process_facts(pid: int, log: Path, workers: int) -> Facts:
    """What a process of this host is found again by, and nobody who gets its id later."""
    return {
        "pid": pid,
        "started": start_time(pid),
        "host": hostname(),
        "namespace": pid_namespace(),
        "workers": workers,
        "log": str(log),
    }
