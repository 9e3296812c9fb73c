"""A Slurm cluster of one node, in a folder, by the user who starts it: for tests and measurements of the engine.

It has two partitions. Jobs of ``low`` are preempted by those of ``high``: they get their own warning signal, and are
requeued after the grace time. The node has a GPU that is none, so that a job can ask for one.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
START_SECONDS, STOP_SECONDS = 60.0, 60.0
CONFIG = """\
ClusterName=search
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
CryptoType=crypto/munge
# A requeued job waits for as long as a credential lasts: two minutes, else.
AuthInfo=socket={folder}/munge.socket,cred_expire=10
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmdParameters=config_overrides
SlurmctldParameters=preempt_send_user_signal
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=8 Gres=gpu:1 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES PriorityTier=1 GraceTime=60
PartitionName=high Nodes={host} PriorityTier=10
"""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if _found(name) is None]
    if absent:
        return f"{', '.join(absent)}: not installed (Debian: apt-get install slurmctld slurmd slurm-client munge)"
    if os.geteuid():
        return "Slurm's daemons run as root alone here, and this process does not"
    return ""


class SlurmCluster:
    """Started with the ``with`` block; all its jobs and daemons are ended, and its folder deleted, at its end.

    Attributes:
        folder: Its configuration, state and logs.
        environment: What makes Slurm's commands ask this cluster, and no other.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))  # A socket's path must be short.
        self.environment = {"SLURM_CONF": str(self.folder / "slurm.conf")}
        self._daemons: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> "SlurmCluster":
        try:
            self._configure()
            self._start("munged", "--foreground", "--force", *self._munge())
            self._wait(lambda: (self.folder / "munge.socket").exists())
            self._start("slurmctld", "-D")
            self._start("slurmd", "-D")
            self._wait(
                lambda: self.ask("sinfo", "-h", "-o", "%T", "-p", "low", check=False).strip() == "idle"
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Each needs the next to end in good order.
        try:
            if any(name == "slurmd" for name, _ in self._daemons):
                self.end_jobs()
        finally:
            for _, process in reversed(self._daemons):
                process.terminate()
                try:
                    process.wait(STOP_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            shutil.rmtree(self.folder, ignore_errors=True)

    def end_jobs(self) -> None:
        """Cancel all jobs, and wait until none is there."""
        self.ask("scancel", "--user=root", check=False)
        self._wait(lambda: not self.ask("squeue", "-h", check=False).strip(), STOP_SECONDS)

    def ask(self, *command: str, check: bool = True) -> str:
        """What one of Slurm's commands prints."""
        ended = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True, timeout=60
        )
        if check and ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: {ended.stderr.strip()}")
        return ended.stdout

    def _configure(self) -> None:
        controller, node = (_free_port() for _ in range(2))
        words = {"host": socket.gethostname().split(".")[0], "folder": self.folder}
        (self.folder / "slurm.conf").write_text(CONFIG.format(**words, controller=controller, node=node))
        device = self.folder / "gpu"
        subprocess.run(["mknod", str(device), "c", "1", "3"], check=True)
        (self.folder / "gres.conf").write_text(f"Name=gpu File={device}\n")
        (self.folder / "cgroup.conf").write_text("")
        for name in ("state", "spool"):
            (self.folder / name).mkdir()
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)

    def _munge(self) -> list[str]:
        names = {
            "socket": "socket",
            "key-file": "key",
            "pid-file": "pid",
            "log-file": "log",
            "seed-file": "seed",
        }
        return [f"--{option}={self.folder}/munge.{name}" for option, name in names.items()]

    def _start(self, program: str, *arguments: str) -> None:
        log: IO[bytes]
        with (self.folder / f"{program}.out").open("wb") as log:
            process = subprocess.Popen(
                [str(_found(program)), *arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # A terminal's Ctrl-C is not for it.
            )
        self._daemons.append((program, process))

    def _wait(self, ready: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        over = time.monotonic() + seconds
        while not ready():
            for name, process in self._daemons:
                if process.poll() is not None:
                    printed = (self.folder / f"{name}.out").read_text(errors="replace").strip()
                    raise RuntimeError(f"{name} ended with status {process.returncode}: {printed[-500:]}")
            if time.monotonic() > over:
                raise RuntimeError(
                    f"Slurm did not come to it within {seconds:.0f} s; its logs: {self.folder}"
                )
            time.sleep(0.05)


def _found(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
