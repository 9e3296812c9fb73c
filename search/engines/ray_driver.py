"""Asks a Ray cluster what ``ray_engine.py`` wants of it: a program of its own, which knows Ray and nothing of ours.

It reads one request, a JSON object, from standard input, does what its ``do`` says, prints the answer as JSON and ends;
or prints one line that says why not and ends with 1. What Ray itself prints, of a node that it has lost, say, goes to
standard error, wherever Ray meant it to go. So nothing of Ray's is in a process of a search: no threads, no
signal handlers, no sudden end where a cluster ends. What it leaves on the cluster needs it no more.

Each worker has a seat there: a detached actor, which Ray starts anew on whatever node has room when its process or its
node is lost. All that a seat does is to run ``ray_task.py``, which minds the worker. Ray takes the class from here by
value: its processes import neither Keras nor us.
"""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError

NAMESPACE = "search"
# A seat answers within milliseconds. One that does not has no place yet, or has lost it with its node.
LOOK_SECONDS, STOP_SECONDS = 3.0, 10.0
MOST_LETTERS = 400


class Seat:
    """Runs one worker on the node that Ray has chosen, until it has ended for good.

    Args:
        task: The command of ``ray_task.py``, up to what it is told of the worker's turn.
        command: The command of the worker.
        environment: Variables of the worker beside those that Ray and the node give.
        folder: The working folder of both.
    """

    def __init__(
        self, task: Sequence[str], command: Sequence[str], environment: Mapping[str, str], folder: str
    ) -> None:
        context = ray.get_runtime_context()
        self._actor = context.current_actor
        turn = "again" if context.was_current_actor_reconstructed else "first"
        given = {**os.environ, **environment}
        if "OMP_NUM_THREADS" not in environment:  # Then it is Ray's; a training has its own number.
            given.pop("OMP_NUM_THREADS", None)
        # The task ends with its input, which a process leaves however it dies. Its output ends with the task, which
        # says there that the worker has ended for good.
        self._task = subprocess.Popen(
            [*task, turn, *command], env=given, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        threading.Thread(target=self._wait, name="task", daemon=True).start()

    def _wait(self) -> None:
        has_ended = self._task.stdout is not None and self._task.stdout.read()
        if has_ended or self._task.wait():  # Or it could not begin.
            ray.kill(self._actor)  # For good: an actor whose process merely ends is started anew.
        else:
            os._exit(1)  # The task was killed, as with its node, where it dies a moment before its seat.

    def where(self) -> str:
        """The host of the worker."""
        return os.uname().nodename

    def stop(self) -> None:
        """Have the worker give its trial back and end, and this seat after it."""
        if self._task.stdin is not None:
            self._task.stdin.close()


def nodes(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The address of the cluster, and the hosts of its nodes."""
    hosts = {node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    return {"address": ray.get_runtime_context().gcs_address, "hosts": sorted(hosts)}


def start(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a seat for each of ``tasks``, all or none; returns the address of the cluster."""
    seat = ray.remote(Seat)
    made = []
    try:
        for name, task in asked["tasks"].items():
            options = {"name": name, "num_cpus": asked["cpus"], "num_gpus": asked["gpus"]}
            kept = {"lifetime": "detached", "max_restarts": -1, "scheduling_strategy": "SPREAD"}
            told = asked["command"], asked["environment"], asked["folder"]
            made.append(seat.options(**options, **kept).remote(task, *told))
    except BaseException:
        for one in made:
            ray.kill(one)
        raise
    # They are handed over by then, placed or not.
    ray.wait([one.where.remote() for one in made], num_returns=len(made), timeout=LOOK_SECONDS)
    return {"address": ray.get_runtime_context().gcs_address}


def state(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The host of each seat that has a place, and null for each that waits for one; what is not there has ended."""
    seats = dict(_seats(asked["names"]))
    return dict(_answers({name: seat.where.remote() for name, seat in seats.items()}, LOOK_SECONDS))


def stop(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Ask each seat to end, and take those away that have no place."""
    seats = dict(_seats(asked["names"]))
    asked_for = {name: seat.stop.remote() for name, seat in seats.items()}
    for name, answer in _answers(asked_for, STOP_SECONDS, no_answer="waits"):
        if answer == "waits":
            ray.kill(seats[name])
    return {}


def _seats(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    there = {actor["name"] for actor in ray.util.list_named_actors(all_namespaces=True)}
    for name in names:
        if name in there:
            with suppress(ValueError):  # It has ended meanwhile.
                yield name, ray.get_actor(name)


def _answers(
    asked: Mapping[str, Any], seconds: float, no_answer: str | None = None
) -> Iterator[tuple[str, str | None]]:
    """What each has answered within the time; nothing of one that has ended for good."""
    if not asked:
        return
    ready, _ = ray.wait(list(asked.values()), num_returns=len(asked), timeout=seconds)
    for name, one in asked.items():
        try:
            yield name, ray.get(one) if one in ready else no_answer
        except ActorUnavailableError:  # Its node is lost.
            yield name, no_answer
        except RayActorError:
            continue


def _in_words(error: BaseException) -> str:
    said = " ".join(f"{error.__cause__ or ''} {error}".split())
    if "Could not find any running Ray" in said:
        return (
            "no Ray cluster is found here; expected this host to be a node of one (docs/ray.md says how to begin one), "
            "or ray:address=HOST:PORT; on one host alone, --engine local does the same"
        )
    if "uthentication token" in said:
        return (
            f"the cluster wants {'a' if 'no authentication token was found' in said else 'another'} token; expected "
            "RAY_AUTH_TOKEN_PATH to name the file with its token, which ray get-auth-token --generate makes; or "
            "RAY_AUTH_MODE=disabled, for a cluster that wants none"
        )
    return said[:MOST_LETTERS] or type(error).__name__


def main() -> int:
    """Answer the one request."""
    asked = json.load(sys.stdin)
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        ray.init(
            address=asked["address"] or "auto",
            namespace=NAMESPACE,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
        words = json.dumps({"nodes": nodes, "start": start, "state": state, "stop": stop}[asked["do"]](asked))
        status = 0
    except Exception as error:  # One line for people, whatever it is.
        words, status = _in_words(error), 1
    print(words, file=answer, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
