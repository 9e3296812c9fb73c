"""Workers as tasks of a Slurm array: one ``sbatch``, and what it started is found again by the number of the job.

``slurm_task.sh``, which Slurm runs for each task, starts a worker that dies again, and queues again after the warning
before the walltime or a preemption. Nothing beside ``sbatch``, ``squeue``, ``scancel``, ``scontrol`` and ``sinfo`` is
needed: no accounting, no daemon of ours.
"""

import math
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from search.engines.base import ENDED, RUNNING, UNKNOWN, WAITING, Facts, Order, last_error, serves_one_host
from search.engines.resources import check_shares
from search.errors import InputError
from search.study.snapshot import StartedWorker
from storage.process_identity import hostname
from storage.url import is_sqlite, parse

TASK = Path(__file__).with_name("slurm_task.sh")
PROGRAMS = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
# Slurm looks at the clock twice a minute, and a worker needs up to twenty seconds to give its trial back.
WARNING_SECONDS = 60
ASK_SECONDS = 30
QUEUED = ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
AT_WORK = (
    "RUNNING",
    "COMPLETING",
    "CONFIGURING",
    "RESIZING",
    "SIGNALING",
    "STAGE_OUT",
    "STOPPED",
    "SUSPENDED",
)
UNKNOWN_JOB = "Invalid job id"


class SlurmEngine:
    """Starts workers by ``sbatch``.

    Args:
        options: Options of sbatch, by their long names without dashes.
    """

    look_seconds = 10.0

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = options

    def check(self, url: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> None:
        """See ``Engine``. An SQLite database is for this host alone, which may be the only one of a partition."""
        check_shares(workers, gpus, per_gpu)
        if absent := [name for name in PROGRAMS if shutil.which(name) is None]:
            raise InputError(
                f"--engine slurm: {absent[0]} is not found here; run it on a host of the cluster that jobs are "
                "submitted from"
            )
        if is_sqlite(parse(url)) and (hosts := self._hosts()) != {_short(hostname())}:
            raise serves_one_host("slurm", url, sorted(hosts))

    def start(self, order: Order) -> Facts:
        """See ``Engine``."""
        share = order.per_gpu or 1
        tasks = (order.workers or share) // share
        pattern = order.logs / "slurm-%A_%a.log"
        told = {
            "job-name": f"search-{order.study}",
            "array": f"1-{tasks}",
            "ntasks": "1",
            "open-mode": "append",
            "signal": f"B:USR2@{WARNING_SECONDS}",
            "output": str(order.logs).replace("%", "%%") + f"/{pattern.name}",
            "export": "ALL",
        }
        if order.walltime is not None:
            told["time"] = str(math.ceil(order.walltime / 60))
        if order.gpus and not {"gres", "gpus", "gpus-per-task", "gpus-per-node"} & self._options.keys():
            told["gres"] = "gpu:1"
        flags = [f"--{name}={value}" for name, value in {**told, **self._options}.items()]
        shares = ["--gpus", "all", "--per-gpu", str(share)] if order.gpus else []
        worker = [*order.command, *shares]
        done = _ask(
            ["sbatch", "--parsable", "--requeue", *flags, str(TASK), str(order.record), *worker],
            order.environment,
        )
        if done.returncode:
            raise InputError(f"--engine slurm: sbatch refuses it: {_first_line(done.stderr)}")
        job = done.stdout.strip().rpartition("\n")[2].partition(";")[0]
        if not job.isdecimal():
            raise InputError(
                f"--engine slurm: sbatch names no job: {done.stdout.strip() or 'it says nothing'}"
            )
        return {"job": job, "workers": tasks * share, "tasks": tasks, "log": str(pattern).replace("%A", job)}

    def words(self, facts: Facts) -> str:
        """See ``Engine``."""
        return f"Slurm job {facts['job']}"

    def state(self, facts: Facts) -> list[StartedWorker]:
        """See ``Engine``. Slurm forgets a job minutes after its end: what it does not know has ended."""
        job = str(facts["job"])
        # The reason comes last, since it may hold anything.
        done = _ask(
            ["squeue", "--noheader", "--array", "--states=all", f"--jobs={job}", "--format=%i|%T|%N|%r"]
        )
        known: dict[str, tuple[str, str, str]] = {}
        trouble = ""
        if done.returncode == 0:
            for line in done.stdout.splitlines():
                name, state, node, reason = (*line.strip().split("|", 3), "", "", "")[:4]
                known[name] = (state, node, reason)
        elif UNKNOWN_JOB not in done.stderr:
            trouble = f"squeue: {_first_line(done.stderr)}"
        names = [f"{job}_{number}" for number in range(1, int(facts["tasks"]) + 1)]
        return [_worker(name, known.get(name), trouble, facts) for name in names]

    def stop(self, facts: Facts) -> None:
        """See ``Engine``."""
        done = _ask(["scancel", str(facts["job"])])
        if done.returncode and UNKNOWN_JOB not in done.stderr:
            raise InputError(f"scancel {facts['job']}: {_first_line(done.stderr)}")

    def _hosts(self) -> set[str]:
        """The hosts that jobs with these options may run on."""
        places = {"partition": "--partition", "nodelist": "--nodes"}
        asked = [f"{flag}={self._options[name]}" for name, flag in places.items() if name in self._options]
        done = _ask(["sinfo", "--noheader", "--Node", "--format=%n", *asked])
        if done.returncode:
            raise InputError(f"--engine slurm: sinfo: {_first_line(done.stderr)}")
        return {_short(line.strip()) for line in done.stdout.splitlines() if line.strip()}


def _worker(name: str, known: tuple[str, str, str] | None, trouble: str, facts: Facts) -> StartedWorker:
    log = Path(str(facts["log"]).replace("%a", name.rpartition("_")[2]))
    if trouble:
        return StartedWorker(name, UNKNOWN, trouble, str(log))
    state, node, reason = known or ("", "", "")
    if state in QUEUED:
        return StartedWorker(name, WAITING, reason, str(log))
    if state in AT_WORK:
        return StartedWorker(name, RUNNING, f"{node}{', ending' if state == 'COMPLETING' else ''}", str(log))
    return StartedWorker(name, ENDED, "cancelled" if state == "CANCELLED" else last_error(log), str(log))


def _ask(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command of Slurm's; one that hangs or is not there counts as one that fails."""
    try:
        return subprocess.run(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            # A terminal's Ctrl-C is for the command that asks.
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", str(error))


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^(s\w+: )?(error: |fatal: )?", "", lines[0]) if lines else "it says nothing"


def _short(host: str) -> str:
    return host.partition(".")[0]
