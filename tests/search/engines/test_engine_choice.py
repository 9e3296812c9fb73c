"""What starts the workers of a search, as it is asked for: words, contradictions, and what is at work already."""

import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from search.config.engine_word import parse_engine
from search.config.settings import RunOptions
from search.engines.base import ENDED, RUNNING, WAITING
from search.engines.ordering import check_engine, workers_elsewhere
from search.engines.started import read_started, recorded
from search.errors import InputError
from search.study.snapshot import StartedWorker
from storage.paths import StudyPaths
from storage.process_identity import hostname


def test_engine_word_holds_the_options_of_sbatch() -> None:
    name, options = parse_engine("--engine", "slurm:partition=gpu,nodelist=a,b,gres=gpu:1,mem=8G")
    assert name == "slurm"
    assert options == {"partition": "gpu", "nodelist": "a,b", "gres": "gpu:1", "mem": "8G"}


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("sge", "expected local; slurm, or slurm:partition=P"),
        ("slurm:", "'' is no option; expected NAME=VALUE"),
        ("slurm:gpu", "'gpu' is no option; expected NAME=VALUE"),
        ("slurm:partition=", "'partition=' is no option; expected NAME=VALUE"),
        ("slurm:--mem=8G", "'--mem=8G' is no option; expected NAME=VALUE"),
        ("slurm:time=60", "the time of a worker is said by --walltime 60"),
        ("slurm:array=1-3", "array is said by the engine itself"),
        ("local:mem=8G", "local takes no options of its own"),
        ("ray:", "'' is no option of Ray's engine; expected address=HOST:PORT"),
        ("ray:memory=8G", "'memory=8G' is no option of Ray's engine"),
        ("ray:cpus=0", "'cpus=0' is no option of Ray's engine"),
        ("ray:address=node1", "'address=node1' is no option of Ray's engine"),
    ],
)
def test_engine_word_that_means_nothing_is_refused(word: str, why: str) -> None:
    with pytest.raises(InputError, match=r"^--engine ") as refused:
        RunOptions.given("s", engine=word)
    assert why in str(refused.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            {"walltime": 3600.0},
            "^--walltime 3600: bounds the turn of a worker in a queue, and this host has none",
        ),
        ({"detach": True, "timeout": 60.0}, "^--timeout says nothing beside --detach"),
        ({"detach": True, "budget": 1e15}, "^--budget says nothing beside --detach"),
        ({"engine": "slurm", "gpus": "0,1"}, "^--gpus 0,1: on Slurm the scheduler says which"),
        ({"engine": "ray", "gpus": "0,1"}, "^--gpus 0,1: on Ray the scheduler says which"),
        ({"engine": "ray", "walltime": 3600.0}, "^--walltime 3600: .* in a queue, and Ray has none"),
    ],
)
def test_options_that_contradict_the_engine_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        RunOptions.given("s", **options)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Commands of Slurm that answer as they are told; ``sbatch`` writes its words to the file that is returned."""

    def install(hosts: str = "", sbatch: str = "echo 7", squeue: str = "") -> Path:
        words = tmp_path / "words"
        bodies = {
            "sbatch": f'printf "%s\\n" "$SEARCH_STORAGE" "$@" > {words}\n{sbatch}',
            "squeue": squeue,
            "sinfo": f"echo '{hosts}'",
            "scancel": "",
            "scontrol": "",
        }
        for name, body in bodies.items():
            program = tmp_path / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(f"#!/bin/sh\n{body}\n")
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
        return words

    return install


def asked(engine: str = "slurm", **more: Any) -> RunOptions:
    options: RunOptions = RunOptions.given("s", engine=engine, **more)
    return options


def test_slurm_is_refused_where_it_is_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        InputError, match=r"^--engine slurm: sbatch is not found here; run it on a host of the clus"
    ):
        check_engine(asked())


@pytest.mark.parametrize("hosts", ["node1\nnode2", "node1"], ids=["two", "another"])
def test_sqlite_is_refused_where_workers_may_run_on_other_hosts(cluster, hosts: str) -> None:
    cluster(hosts)
    with pytest.raises(
        InputError, match=r"^--engine slurm: its workers may run on other hosts .*node1.* SQLite file"
    ) as no:
        check_engine(asked())
    assert "python -m search.database start --dir D" in str(no.value)


def test_sqlite_is_taken_where_this_host_is_the_only_one_and_a_server_anywhere(cluster) -> None:
    cluster(hostname())
    check_engine(asked())
    cluster("node1\nnode2")
    check_engine(asked(storage="postgresql://me@db.example.org/search"))


def test_workers_that_do_not_fill_gpus_are_refused(cluster) -> None:
    cluster(hostname())
    with pytest.raises(
        InputError, match=r"^--workers 3: 2 share a GPU, .* expected a multiple of --per-gpu 2$"
    ):
        check_engine(asked(workers=3, gpus="all", per_gpu=2))
    with pytest.raises(InputError, match=r"^--per-gpu 2 says nothing without --gpus"):
        check_engine(asked(workers=2, per_gpu=2))


@pytest.fixture
def study(tmp_path: Path) -> Any:
    """What the engines ask of a study, without a database."""
    return SimpleNamespace(
        config=SimpleNamespace(study="small"),
        paths=StudyPaths(tmp_path / "studies", "small", "0a1b2c3d"),
        url="sqlite:///studies/search.db",
        storage=SimpleNamespace(exclusively=lambda name, do: do()),
        command=lambda name: f"python -m search.{name} --study small",
    )


def test_sbatch_is_told_all_of_it_and_no_command_line_the_database(cluster, study) -> None:
    words = cluster()
    options = asked(
        "slurm:partition=gpu,mem=8G", workers=4, gpus="all", per_gpu=2, walltime=3601.0, backend="jax"
    )
    started = workers_elsewhere(study, options)
    assert started is not None
    assert (str(started), started.workers) == ("Slurm job 7", 4)
    database, *told = words.read_text().splitlines()
    assert database == study.url
    assert not [word for word in told if "sqlite" in word or "storage" in word]
    assert {
        "--array=1-2", "--time=61", "--gres=gpu:1", "--partition=gpu", "--mem=8G", "--requeue", "--signal=B:USR2@60"
    } <= set(told)  # fmt: skip
    worker = told[told.index("search.worker") :]
    assert worker[1:4] == ["--patient", "--study", "small"]
    assert worker[-6:] == ["--backend", "jax", "--gpus", "all", "--per-gpu", "2"]


def test_what_sbatch_says_against_it_is_said_in_one_line_and_nothing_is_on_record(cluster, study) -> None:
    cluster(
        sbatch="echo 'sbatch: error: invalid partition specified: gpu\nsbatch: error: failed' >&2; exit 1"
    )
    with pytest.raises(
        InputError, match=r"^--engine slurm: sbatch refuses it: invalid partition specified: gpu$"
    ):
        workers_elsewhere(study, asked())
    assert read_started(study.paths) == []


QUEUE = "echo '7_1|RUNNING|node1|None'; echo '7_2|PENDING||Resources'"


def test_workers_that_are_at_work_are_attached_to_and_no_others_started(cluster, study) -> None:
    words = cluster(squeue=QUEUE)
    started = workers_elsewhere(study, asked("slurm:partition=gpu", workers=2))
    words.unlink()
    assert workers_elsewhere(study, RunOptions.given("s")) == started
    assert workers_elsewhere(study, asked("slurm", detach=True)) == started
    assert not words.exists()
    with pytest.raises(
        InputError, match=r"^--workers 3: Slurm job 7 works on study small already, with slurm:partition"
    ):
        workers_elsewhere(study, RunOptions.given("s", workers=3))
    with pytest.raises(
        InputError, match=r"^--engine local: Slurm job 7 .* or end it with: python -m search.stop --st"
    ):
        workers_elsewhere(study, RunOptions.given("s", engine="local"))


def test_state_of_each_task_says_where_it_runs_why_it_waits_or_how_it_ended(cluster, study) -> None:
    cluster(squeue=f"{QUEUE}; echo '7_4|CANCELLED||None'")
    started = workers_elsewhere(study, asked(workers=4))
    assert started is not None
    logs = study.paths.folder / "logs"
    (logs / "slurm-7_3.log").write_text("one\nerror: no such study\n")
    assert started.state() == [
        StartedWorker("7_1", RUNNING, "node1", str(logs / "slurm-7_1.log")),
        StartedWorker("7_2", WAITING, "Resources", str(logs / "slurm-7_2.log")),
        StartedWorker("7_3", ENDED, "error: no such study", str(logs / "slurm-7_3.log")),
        StartedWorker("7_4", ENDED, "cancelled", str(logs / "slurm-7_4.log")),
    ]


def test_job_that_slurm_has_forgotten_has_ended_and_a_controller_that_is_away_ends_none(
    cluster, study
) -> None:
    cluster()
    started = workers_elsewhere(study, asked())
    assert started is not None
    cluster(squeue="echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1")
    assert [worker.state for worker in started.state()] == [ENDED]
    cluster(squeue="echo 'squeue: error: Unable to contact slurm controller' >&2; exit 1")
    (worker,) = started.state()
    assert (worker.state, worker.detail) == (
        "unknown",
        "squeue: Unable to contact slurm controller",
    )


Ask = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """What Ray's driver answers, without Ray; what it was asked is returned."""
    monkeypatch.setattr("search.engines.ray_engine.find_spec", lambda name: name)

    def install(**answers: Any) -> list[dict[str, Any]]:
        requests: list[dict[str, Any]] = []

        def ask(do: str, address: str, access: Any = None, **more: Any) -> Any:
            requests.append({"do": do, "address": address, "access": access, **more})
            return answers[do]

        monkeypatch.setattr("search.engines.ray_engine._ask", ask)
        return requests

    return install


def test_ray_is_refused_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.engines.ray_engine.find_spec", lambda name: None)
    with pytest.raises(
        InputError, match=r"^--engine ray: Ray is not installed here; run python -m pip install '.*\[ray\]'$"
    ):
        check_engine(asked("ray"))


def test_ray_is_refused_where_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("search.engines.ray_engine.find_spec", lambda name: name)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # And does not listen.
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(InputError, match=rf"^--engine ray: no Ray cluster is at {address}$"):
            check_engine(asked(f"ray:address={address}"))


def test_sqlite_is_refused_on_a_ray_of_other_hosts_and_taken_on_this_one(ray: Ask) -> None:
    ray(nodes={"hosts": ["node1", hostname()]})
    with pytest.raises(InputError, match=r"^--engine ray: its workers may run .*node1.* SQLite file") as no:
        check_engine(asked("ray"))
    assert "python -m search.database start --dir D" in str(no.value)
    check_engine(asked("ray", storage="postgresql://me@db.example.org/search"))
    ray(nodes={"hosts": [hostname()]})
    check_engine(asked("ray"))


def test_ray_is_told_what_a_worker_needs_and_gives_fractions_of_gpus(
    ray: Ask, study, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/token")
    requests = ray(start={"address": "node1:6379"}, state={})
    options = asked("ray:address=node1:6379,cpus=2", workers=3, gpus="all", per_gpu=4)
    started = workers_elsewhere(study, options)
    assert started is not None
    (request,) = requests
    assert (request["do"], request["cpus"], request["gpus"], len(request["tasks"])) == ("start", 2, 0.25, 3)
    assert request["command"][-2:] == ["--gpus", "all"]
    assert not [word for word in request["command"] if "sqlite" in word or "storage" in word]
    environment = request["environment"]
    assert (environment["SEARCH_STORAGE"], environment["SEARCH_CPUS"]) == (study.url, "2")
    assert not [name for name in environment if name.startswith("RAY_") or name == "CUDA_VISIBLE_DEVICES"]
    assert started.facts["access"]["RAY_AUTH_TOKEN_PATH"] == "/home/me/token"
    assert str(started).endswith(" at node1:6379")


def test_state_of_each_seat_says_where_it_is_what_it_waits_for_or_how_it_ended(ray: Ask, study) -> None:
    ray(start={"address": "node1:6379"})
    started = workers_elsewhere(study, asked("ray", workers=4))
    assert started is not None
    names = started.facts["names"]
    logs = [study.paths.folder / "logs" / f"{name}.log" for name in names]
    logs[2].write_text("one\nerror: no such study\n")
    requests = ray(state={names[0]: "node1", names[1]: None})
    assert started.state() == [
        StartedWorker(names[0], RUNNING, "node1", str(logs[0])),
        StartedWorker(names[1], WAITING, "for 1 CPU", str(logs[1])),
        StartedWorker(names[2], ENDED, "error: no such study", str(logs[2])),
        StartedWorker(
            names[3],
            ENDED,
            "it left no log; its node has to see this folder, and Python where it is here",
            str(logs[3]),
        ),
    ]
    assert requests[0]["address"] == "node1:6379"


def test_workers_of_a_ray_that_is_gone_have_ended(ray: Ask, study, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        ray(start={"address": address})
        started = workers_elsewhere(study, asked("ray"))
        assert started is not None
        monkeypatch.undo()
        (worker,) = started.state()
        assert (worker.state, worker.detail) == (ENDED, f"no Ray cluster is at {address}")
        started.by.stop(started.facts)


def test_command_that_runs_workers_itself_is_on_record_while_it_does_and_not_attached_to(study) -> None:
    with recorded(study.paths, 2):
        (one,) = read_started(study.paths)
        assert [worker.state for worker in one.state()] == [RUNNING]
        assert workers_elsewhere(study, RunOptions.given("s")) is None
    assert read_started(study.paths) == []
