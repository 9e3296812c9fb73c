"""How a host is shared out: threads among workers, GPUs among workers, and that each child sees its own."""

from pathlib import Path

import pytest

from search.engines.resources import host_memory, make_slots
from search.engines.worker import bounded
from search.errors import InputError
from search.process.fork_server import ForkServer
from search.process.gpus import VISIBLE, visible_gpus
from storage.memory import GPU, HOST


@pytest.fixture(autouse=True)
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A driver that lists four GPUs, or as many as is said; None takes its command away."""
    monkeypatch.delenv(VISIBLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))

    def install(gpus: int | None) -> None:
        program = tmp_path / "nvidia-smi"
        program.unlink(missing_ok=True)
        if gpus is not None:
            lines = "".join(f"echo 'GPU {number}: A card (UUID: GPU-{number})'\n" for number in range(gpus))
            sizes = "".join(f"echo '{number}, GPU-{number}, {1000 + number}'\n" for number in range(gpus))
            program.write_text(f'#!/bin/sh\nif [ "$1" = -L ]; then\n{lines}:\nelse\n{sizes}:\nfi\n')
            program.chmod(0o755)

    install(4)
    return install


def gpus_of(workers: int | None, gpus: str, per_gpu: int | None = None) -> list[str]:
    return [slot.environment[VISIBLE] for slot in make_slots(workers, gpus, per_gpu, 4)]


@pytest.mark.parametrize(
    ("workers", "cores", "threads"),
    [(None, 8, [8]), (1, 8, [8]), (2, 8, [4, 4]), (3, 8, [2, 2, 2]), (4, 2, [1, 1, 1, 1])],
)
def test_threads_are_divided_among_workers_and_each_has_one(
    workers: int | None, cores: int, threads: list[int]
) -> None:
    slots = make_slots(workers, None, None, cores)
    assert [slot.threads for slot in slots] == threads
    assert [dict(slot.environment) for slot in slots] == [{}] * len(threads)


def test_threads_are_divided_among_the_workers_of_gpus_too() -> None:
    assert [slot.threads for slot in make_slots(None, "0,1", 2, 8)] == [2, 2, 2, 2]


def test_each_named_gpu_gets_a_worker() -> None:
    assert gpus_of(None, "0, 3,GPU-5a") == ["0", "3", "GPU-5a"]


def test_several_workers_share_a_gpu_once_each_has_one() -> None:
    assert gpus_of(None, "0,1", 2) == ["0", "1", "0", "1"]
    assert gpus_of(3, "0,1", 2) == ["0", "1", "0"]


def test_fewer_workers_than_gpus_take_the_first_ones() -> None:
    assert gpus_of(1, "2,3") == ["2"]


@pytest.mark.parametrize("gpus", ["0,0", "", "0,", ",", "1,2,1"])
def test_gpu_named_twice_or_not_at_all_is_refused(gpus: str) -> None:
    with pytest.raises(InputError) as refused:
        make_slots(None, gpus, None, 4)
    assert str(refused.value) == (
        f"--gpus {gpus}: expected all, or numbers with commas between, each once, such as 0,1"
    )


@pytest.mark.parametrize(("workers", "per_gpu", "places"), [(3, None, 2), (5, 2, 4)])
def test_more_workers_than_places_are_refused(workers: int, per_gpu: int | None, places: int) -> None:
    with pytest.raises(
        InputError, match=rf"^--workers {workers}: 2 GPUs .* make {places} places; raise --per"
    ):
        make_slots(workers, "0,1", per_gpu, 4)


def test_workers_a_gpu_say_nothing_without_gpus() -> None:
    with pytest.raises(InputError, match=r"^--per-gpu 2 says nothing without --gpus"):
        make_slots(2, None, 2, 4)


def test_all_gpus_are_those_that_the_driver_lists(driver) -> None:
    driver(3)
    assert gpus_of(None, "all") == ["0", "1", "2"]


@pytest.mark.parametrize("gpus", [0, None], ids=["none listed", "no driver"])
def test_all_gpus_of_a_host_without_any_are_refused(driver, gpus: int | None) -> None:
    driver(gpus)
    with pytest.raises(InputError, match=r"^--gpus all: no GPU found here .*; leave the flag out for CPUs$"):
        make_slots(None, "all", None, 4)


def test_all_gpus_are_only_those_that_the_environment_leaves(driver, monkeypatch) -> None:
    driver(4)
    monkeypatch.setenv(VISIBLE, "2, GPU-3")
    assert gpus_of(None, "all") == ["2", "GPU-3"]


@pytest.mark.parametrize("gpus", ["4", "0,7", "-1", "abc"])
def test_gpu_that_is_not_there_is_refused(gpus: str) -> None:
    """Its worker would train on the CPU without a word."""
    with pytest.raises(InputError, match=r"is not among those that this process may use: 0, 1, 2, 3$"):
        make_slots(None, gpus, None, 4)


def test_gpu_that_the_environment_hides_is_refused(monkeypatch) -> None:
    monkeypatch.setenv(VISIBLE, "2,3")
    with pytest.raises(InputError, match=r"^--gpus 0: 0 is not among those .*: 2, 3$"):
        make_slots(None, "0", None, 4)


@pytest.mark.parametrize("visible", ["", "-1", "-1,0"])
def test_no_gpu_is_found_where_the_environment_hides_them(driver, monkeypatch, visible: str) -> None:
    driver(4)
    monkeypatch.setenv(VISIBLE, visible)
    assert visible_gpus() == []
    with pytest.raises(InputError, match="no GPU found here"):
        make_slots(None, "all", None, 4)


def test_each_child_sees_the_gpu_of_its_slot_alone(fork_server: ForkServer, tmp_path: Path) -> None:
    seen = []
    for slot in make_slots(None, "0,1", None, 2):
        with fork_server.start(
            "child_jobs:tell_environment", {"names": [VISIBLE]}, tmp_path / "log.txt", 0, slot.environment
        ) as child:
            seen += child.result(60)["values"]
    assert seen == ["0", "1"]


def test_memory_of_the_host_and_of_a_gpu_is_divided_among_those_who_share_it(monkeypatch) -> None:
    monkeypatch.setattr("search.engines.resources.host_memory", lambda: 300 * 2**30)
    slots = make_slots(3, "2,GPU-3", 2, 4)
    assert [slot.memory for slot in slots] == [
        {HOST: 100 * 2**30, GPU: 501 * 2**20},
        {HOST: 100 * 2**30, GPU: 1003 * 2**20},
        {HOST: 100 * 2**30, GPU: 501 * 2**20},
    ]


def test_memory_of_a_gpu_that_no_flag_names_is_the_first_ones(driver, monkeypatch) -> None:
    monkeypatch.setattr("search.engines.resources.host_memory", lambda: 300 * 2**30)
    monkeypatch.setenv(VISIBLE, "3,1")
    assert make_slots(1, None, None, 4)[0].memory == {HOST: 300 * 2**30, GPU: 1003 * 2**20}
    driver(None)
    assert make_slots(1, None, None, 4)[0].memory == {HOST: 300 * 2**30}


def test_workers_that_the_memory_cannot_take_are_refused(monkeypatch) -> None:
    monkeypatch.setattr("search.engines.resources.host_memory", lambda: 2**30)
    assert len(make_slots(4, None, None, 2)) == 4
    with pytest.raises(
        InputError, match=r"--workers 5: this host's 1\.0 GiB of memory leave each 205 MiB, .* most 4,"
    ):
        make_slots(5, None, None, 2)
    monkeypatch.setattr("search.engines.resources.host_memory", lambda: 2**20)
    assert len(make_slots(1, None, None, 2)) == 1, "one is tried in any case"


def test_memory_of_a_gpu_is_no_more_than_trainings_may_take() -> None:
    assert bounded({HOST: 1, GPU: 2**32}, 2.0) == {HOST: 1, GPU: 2**31}
    assert bounded({HOST: 1, GPU: 2**32}, None) == {HOST: 1, GPU: 2**32}
    assert bounded({HOST: 1}, 2.0) == {HOST: 1}


def test_memory_of_the_host_is_no_more_than_a_container_or_slurm_leaves(tmp_path: Path, monkeypatch) -> None:
    whole = host_memory()
    assert whole > 2**28
    limits = [tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes"]
    monkeypatch.setattr("search.engines.resources.MEMORY_LIMITS", tuple(map(str, limits)))
    limits[0].write_text("max\n")
    assert host_memory() >= whole
    limits[1].write_text(f"{2**27}\n")
    assert host_memory() == 2**27
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "64")
    assert host_memory() == 2**26
