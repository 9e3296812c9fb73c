"""How many workers a host takes, and what each of them gets: a GPU of its own, or its share of the cores."""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from search.errors import InputError
from search.process.gpus import VISIBLE, gpu_sizes, visible_gpus
from storage.memory import GPU, HOST

UUIDS = ("GPU-", "MIG-")
# Of a container, in bytes (versions 2 and 1 of control groups).
MEMORY_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
# In bytes: about what a worker and a training of the smallest net take of a host, what they share counted once.
LEAST_MEMORY = 2**28


@dataclass(frozen=True)
class ResourceSlot:
    """The resources of one worker.

    Attributes:
        threads: CPU threads of a child; 0 leaves the choice to the backend.
        environment: Environment variables of a child.
        memory: Its share of the host's memory and of a GPU's, in bytes, as far as they are known.
    """

    threads: int
    environment: Mapping[str, str] = field(default_factory=dict)
    memory: Mapping[str, int] = field(default_factory=dict)


def make_slots(workers: int | None, gpus: str | None, per_gpu: int | None, cores: int) -> list[ResourceSlot]:
    """Divide this host among its workers.

    Args:
        workers: How many; by default one, or one for each place on a GPU.
        gpus: ``all``, or numbers or UUIDs separated by commas; None leaves every GPU to every worker.
        per_gpu: How many workers share one GPU; 1 by default.
        cores: CPU cores for all of them together.

    Returns:
        The resources of each worker.

    Raises:
        InputError: There are no such GPUs, more workers than places on them, or more than the memory can take.
    """
    if gpus is None:
        if per_gpu is not None:
            raise InputError(
                f"--per-gpu {per_gpu} says nothing without --gpus: expected --gpus all, or such as 0,1"
            )
        count = workers or 1
        # Without --gpus all of them compute on the first.
        memory = _memory(count, next(iter(visible_gpus()), ""), count, gpu_sizes())
        return [ResourceSlot(max(1, cores // count), {}, memory)] * count
    visible = visible_gpus()
    found = visible if gpus == "all" else [name.strip() for name in gpus.split(",")]
    if "" in found or len(set(found)) != len(found):
        raise InputError(
            f"--gpus {gpus}: expected all, or numbers with commas between, each once, such as 0,1"
        )
    if not visible:
        raise InputError(
            f"--gpus {gpus}: no GPU found here (nvidia-smi -L lists none); leave the flag out for CPUs"
        )
    if absent := [name for name in found if name not in visible and not name.startswith(UUIDS)]:
        raise InputError(
            f"--gpus {gpus}: {', '.join(absent)} is not among those that this process may use: {', '.join(visible)}"
        )
    places = found * (per_gpu or 1)
    count = workers or len(places)
    if count > len(places):
        raise InputError(
            f"--workers {count}: {len(found)} GPU{'s' if len(found) > 1 else ''} with {per_gpu or 1} each make "
            f"{len(places)} places; raise --per-gpu, or ask for fewer workers"
        )
    used, sizes = places[:count], gpu_sizes()
    return [
        ResourceSlot(max(1, cores // count), {VISIBLE: gpu}, _memory(count, gpu, used.count(gpu), sizes))
        for gpu in used
    ]


def check_shares(workers: int | None, gpus: str | None, per_gpu: int | None) -> None:
    """Refuse shares of GPUs that a scheduler gives out, each to some workers alone, which would not come out even.

    Raises:
        InputError: They would not.
    """
    check_per_gpu(gpus, per_gpu)
    if (workers or per_gpu or 1) % (per_gpu or 1):
        raise InputError(
            f"--workers {workers}: {per_gpu} share a GPU, and each GPU is a task of its own; expected a multiple "
            f"of --per-gpu {per_gpu}"
        )


def check_per_gpu(gpus: str | None, per_gpu: int | None) -> None:
    """Refuse a share of each GPU where workers have none that a scheduler gives out.

    Raises:
        InputError: They have none.
    """
    if per_gpu is not None and gpus is None:
        raise InputError(f"--per-gpu {per_gpu} says nothing without --gpus: expected --gpus all as well")


def _memory(workers: int, gpu: str, sharing: int, sizes: Mapping[str, int]) -> dict[str, int]:
    """What one of so many workers has of the host's memory, and of the GPU that so many share.

    Raises:
        InputError: It would be less than any training takes, so that the system would kill what else is at work.
    """
    host = {HOST: host_memory() // workers}
    if workers > 1 and host[HOST] < LEAST_MEMORY:
        raise InputError(
            f"--workers {workers}: this host's {host_memory() / 2**30:.1f} GiB of memory leave each "
            f"{host[HOST] / 2**20:.0f} MiB, and a worker takes {LEAST_MEMORY // 2**20} at least; expected at most "
            f"{max(1, host_memory() // LEAST_MEMORY)}, better one for each few cores"
        )
    return {**host, GPU: sizes[gpu] // sharing} if gpu in sizes else host


def host_memory() -> int:
    """Bytes of memory that this host has, or as many as a container or Slurm leaves to this process."""
    limits = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in MEMORY_LIMITS:
        with contextlib.suppress(OSError, ValueError):  # There is no such file, or it says "max".
            limits.append(int(Path(file).read_text()))
    given = os.environ.get("SLURM_MEM_PER_NODE", "")  # In MiB.
    if given.isdecimal() and int(given):
        limits.append(int(given) * 2**20)
    return min(limits)
