"""What starts the workers of a search, as it is typed: ``local``, ``slurm:partition=P,account=A``, ``ray:cpus=4``."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from search.errors import InputError

LOCAL, SLURM, RAY = "local", "slurm", "ray"
ENGINES = (LOCAL, SLURM, RAY)
# What Ray's engine takes, each in its form.
OF_RAY = {"address": r"[\w.-]+:\d{1,5}", "cpus": r"[1-9]\d{0,3}"}
# Options of sbatch that the engine gives itself, and others that would take its answers away.
OURS = (
    "array", "chdir", "clusters", "error", "export", "export-file", "help", "input", "job-name", "nodes", "no-requeue",
    "ntasks", "open-mode", "output", "parsable", "quiet", "requeue", "signal", "test-only", "usage", "version", "wait",
    "wrap",
)  # fmt: skip


class EngineWord(NamedTuple):
    """An engine and what it is told.

    Attributes:
        name: One of ``ENGINES``.
        options: The engine's own options, by their names.
    """

    name: str
    options: Mapping[str, str]


def parse_engine(flag: str, word: str) -> EngineWord:
    """The engine that a word names, with the options inside it.

    A comma separates options where a name and ``=`` follow it; else it belongs to the value, as in
    ``slurm:nodelist=a,b,mem=8G``.

    Args:
        flag: Named in the message.
        word: What was given.

    Raises:
        InputError: There is no such engine, or an option is none that it takes.
    """
    name, colon, rest = word.partition(":")
    if name not in ENGINES:
        raise InputError(
            f"{flag} {word}: expected local; slurm, or slurm:partition=P,account=A with options of sbatch; or ray, or "
            "ray:address=HOST:PORT,cpus=N"
        )
    if name == LOCAL and colon:
        raise InputError(f"{flag} {word}: local takes no options of its own; leave out what follows it")
    read = _option_of_ray if name == RAY else _option
    options = dict(read(flag, word, part) for part in re.split(r",(?=[^,=]*=)", rest) if colon)
    return EngineWord(name, options)


def _option_of_ray(flag: str, word: str, part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    if not re.fullmatch(OF_RAY.get(name, "(?!)"), value):
        raise InputError(
            f"{flag} {word}: {part!r} is no option of Ray's engine; expected address=HOST:PORT, where this host is a "
            "node of another cluster than the one that Ray finds, or cpus=N, the CPUs of a worker"
        )
    return name, value


def _option(flag: str, word: str, part: str) -> tuple[str, str]:
    name, equals, value = part.partition("=")
    if not equals or not value or not re.fullmatch(r"[a-z][a-z-]+", name):
        raise InputError(
            f"{flag} {word}: {part!r} is no option; expected NAME=VALUE with a long name of sbatch's, such as "
            "partition=gpu,gres=gpu:1,mem=8G"
        )
    if name == "time":
        raise InputError(f"{flag} {word}: the time of a worker is said by --walltime {value}")
    if name in OURS:
        raise InputError(
            f"{flag} {word}: {name} is said by the engine itself; leave it out (--workers says how many)"
        )
    return name, value
