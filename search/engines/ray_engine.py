"""Workers on a Ray cluster: what was started is found again by the cluster's address and the names of the seats.

``ray_driver.py`` speaks with Ray, in a process of its own for each question, as ``squeue`` does with Slurm. On the
nodes ``ray_task.py`` minds the workers.
"""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from search.config.interpreter import to_install
from search.engines.base import ENDED, RUNNING, UNKNOWN, WAITING, Facts, Order, last_error, serves_one_host
from search.engines.resources import check_per_gpu
from search.errors import InputError
from search.study.snapshot import StartedWorker
from storage.process_identity import hostname
from storage.url import is_sqlite, parse

DRIVER = Path(__file__).with_name("ray_driver.py")
TASK = Path(__file__).with_name("ray_task.py")
ASK_SECONDS = 90
ACCESS = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN_PATH")
CONNECT_SECONDS = 10


class _NoAnswer(Exception):
    """Why Ray cannot be asked, in one line."""


class _Gone(_NoAnswer):
    """Nothing listens where the cluster was: it has ended, and its workers with it."""


class RayEngine:
    """Starts workers as detached actors of a Ray cluster that this host is a node of.

    Args:
        options: ``address`` of the cluster (default: of the one that Ray finds here) and ``cpus`` of a worker (1).
    """

    look_seconds = 10.0

    def __init__(self, options: Mapping[str, str]) -> None:
        self._address, self._cpus = options.get("address", ""), int(options.get("cpus", "1"))

    def check(self, url: str, workers: int | None, gpus: str | None, per_gpu: int | None) -> None:
        """See ``Engine``. An SQLite database is for this host alone, which all nodes may be on."""
        check_per_gpu(gpus, per_gpu)
        if find_spec("ray") is None:
            raise InputError(f"--engine ray: Ray is not installed here; {to_install('ray')}")
        try:
            hosts = _ask("nodes", self._address)["hosts"]
        except _NoAnswer as error:
            raise InputError(f"--engine ray: {error}") from None
        if is_sqlite(parse(url)) and hosts != [hostname()]:
            raise serves_one_host("ray", url, hosts)

    def start(self, order: Order) -> Facts:
        """See ``Engine``."""
        share = order.per_gpu or 1
        workers = order.workers or share
        token = secrets.token_hex(4)
        names = [f"ray-{token}-{number}" for number in range(1, workers + 1)]
        gpus = 1 / share if order.gpus else 0
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("RAY_") and name != "CUDA_VISIBLE_DEVICES"  # Which Ray says.
        }
        task = [sys.executable, "-P", str(TASK)]
        try:
            there = _ask(
                "start",
                self._address,
                tasks={name: [*task, str(order.logs / f"{name}.log"), str(order.record)] for name in names},
                command=[*order.command, *(["--gpus", "all"] if order.gpus else [])],
                environment={**inherited, **order.environment, "SEARCH_CPUS": str(self._cpus)},
                folder=str(Path.cwd()),
                cpus=self._cpus,
                gpus=gpus,
            )
        except _NoAnswer as error:
            with suppress(_NoAnswer):  # It may have come halfway.
                _ask("stop", self._address, names=names)
            raise InputError(f"--engine ray: {error}") from None
        wants = f"{self._cpus} CPU{'s' if self._cpus > 1 else ''}" + (f" and {gpus:g} GPU" if gpus else "")
        return {
            "address": there["address"],
            "names": names,
            "workers": workers,
            "wants": wants,
            "logs": str(order.logs),
            "access": {name: os.environ[name] for name in ACCESS if name in os.environ},
        }

    def words(self, facts: Facts) -> str:
        """See ``Engine``."""
        return f"Ray {facts['names'][0].rpartition('-')[0].removeprefix('ray-')} at {facts['address']}"

    def state(self, facts: Facts) -> list[StartedWorker]:
        """See ``Engine``. Ray forgets an actor that has ended: what it does not know has."""
        known: dict[str, str | None] = {}
        trouble = ""
        silent = "it left no log; its node has to see this folder, and Python where it is here"
        try:
            known = self._ask_of(facts, "state")
        except _Gone as error:
            silent = str(error)
        except _NoAnswer as error:
            trouble = str(error)
        workers = []
        for name in facts["names"]:
            log = Path(facts["logs"]) / f"{name}.log"
            if trouble:
                state, detail = UNKNOWN, trouble
            elif name not in known:
                state, detail = ENDED, last_error(log) if log.exists() else silent
            elif (host := known[name]) is None:
                state, detail = WAITING, f"for {facts['wants']}"
            else:
                state, detail = RUNNING, host
            workers.append(StartedWorker(name, state, detail, str(log)))
        return workers

    def stop(self, facts: Facts) -> None:
        """See ``Engine``."""
        try:
            self._ask_of(facts, "stop")
        except _Gone:
            return
        except _NoAnswer as error:
            raise InputError(f"{self.words(facts)}: {error}") from None

    @staticmethod
    def _ask_of(facts: Facts, do: str) -> dict[str, Any]:
        return _ask(do, facts["address"], access=facts["access"], names=facts["names"])


def _ask(do: str, address: str, access: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    """What the driver answers.

    Raises:
        _NoAnswer: Ray is not there, does not answer, or refuses it.
    """
    _check_listens(address or os.environ.get("RAY_ADDRESS", ""))
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(DRIVER)],
            input=json.dumps({"do": do, "address": address, **more}),
            # Whoever reaches a cluster without a token may run programs there; so to join one has to be said.
            env={
                "RAY_AUTH_MODE": "token",
                "RAY_USAGE_STATS_ENABLED": "0",
                **(access or {}),
                **os.environ,
            },
            capture_output=True,
            text=True,
            timeout=ASK_SECONDS,
            # A terminal's Ctrl-C is for the command that asks.
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _NoAnswer(str(error)) from None
    if done.returncode or not done.stdout:
        # It may have died before it said why, or after an answer.
        why = done.stdout.strip() if done.returncode == 1 else ""
        raise _NoAnswer((why or done.stderr.strip() or "Ray says nothing").splitlines()[-1])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _check_listens(address: str) -> None:
    """See at once what Ray would find out in minutes.

    Raises:
        _Gone: Nothing listens there.
        _NoAnswer: Nobody answers.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return  # Ray looks on this host.
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except ConnectionRefusedError:
        raise _Gone(f"no Ray cluster is at {address}") from None
    except OSError as error:
        raise _NoAnswer(f"nobody answers at {address}: {error}") from None
