"""The two laws: who loads TensorFlow never talks to the database, and the search never sees the test images."""

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from search.data import Dataset
from search.data.preparation import prepare
from search.execution.planning import plan_training
from search.execution.worker import Worker
from search.process.fork_server import ForkServer
from search.study.finding import load_study
from search.study.proposal import recipe_of
from search.workflows.export import export_study
from spaces import load

ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"tensorflow", "keras", "jax", "torch"}
DATABASE = {"optuna", "sqlalchemy"}
DRAWING = {"matplotlib", "optuna_dashboard"}  # Each would nearly double a worker.
WORKER = """
import json, sys
from pathlib import Path
from search import run_study

place = Path(sys.argv[1])
found = run_study(
    "law", data="digits", trials=1, epochs=1, images=200, space="cnn",
    root=place / "studies", cache=place / "cache", export=False,
)
with (place / "seen.json").open("w") as file:
    json.dump({"modules": sorted(sys.modules), "states": [trial.state.name for trial in found.trials]}, file)
"""


@dataclass
class Blind:
    """A search whose prepared test images could not be read, and what its worker said at the end."""

    place: Path
    dataset: Dataset
    seen: dict[str, list[str]]
    sealed: dict[Path, bytes]


@pytest.fixture(scope="module")
def blind(tmp_path_factory: pytest.TempPathFactory) -> Blind:
    place = tmp_path_factory.mktemp("laws")
    dataset = prepare("digits", cache=place / "cache", say=lambda line: None)
    sealed = {path: path.read_bytes() for path in (dataset.folder / "sealed").iterdir()}
    assert sealed
    for path in sealed:
        path.chmod(0o600)
        path.write_bytes(b"")  # Root may read whatever its mode.
    done = subprocess.run(
        [sys.executable, "-c", WORKER, str(place)], cwd=ROOT, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return Blind(place, dataset, json.loads((place / "seen.json").read_text()), sealed)


def top_level(modules: list[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


@pytest.mark.slow
def test_search_passes_with_the_test_images_unreadable(blind: Blind) -> None:
    assert blind.seen["states"] == ["COMPLETE"]


@pytest.mark.slow
def test_worker_that_finished_a_trial_has_loaded_no_framework(blind: Blind) -> None:
    assert not top_level(blind.seen["modules"]) & (FRAMEWORKS | DRAWING)
    assert top_level(blind.seen["modules"]) >= DATABASE


@pytest.mark.slow
def test_export_works_once_the_test_images_are_back(
    blind: Blind, fork_server: ForkServer, warm_checks: Callable[[], AbstractContextManager[None]]
) -> None:
    for path, content in blind.sealed.items():
        path.write_bytes(content)
    root = blind.place / "studies"
    with warm_checks():
        export = export_study(
            "law", root=root, out=blind.place / "out", server=fork_server, say=lambda line: None
        )
    assert export.confusion_matrix.sum() == sum(blind.dataset.test_counts)
    assert load_study("law", None, root).optuna.user_attrs["test_ledger"][0]["trial"] == 0


@pytest.mark.slow
def test_child_that_trained_has_loaded_no_database(
    make_worker, fork_server: ForkServer, tmp_path: Path
) -> None:
    worker: Worker = make_worker(epochs=1, images=100)
    config, space = worker.study.config, load("cnn")
    params = space.first(config.input_spec)[0]
    plan = plan_training(worker.study, 0, params, recipe_of(space, params, config.input_spec), 1)
    payload = {**plan.to_payload(), "space": "cnn", "space_code": ""}
    job = "child_jobs:train_and_list_modules"
    with fork_server.start(job, payload, tmp_path / "log.txt", threads=1) as child:
        while (message := child.receive(100)) is not None and message["kind"] != "modules":
            assert message["kind"] in ("built", "batch", "epoch", "checkpoint", "done"), message
            child.send({"go": True})
    assert message is not None
    assert top_level(message["modules"]) >= {"tensorflow", "keras"}
    assert not top_level(message["modules"]) & DATABASE


def test_fork_server_has_initialised_no_framework_context(fork_server: ForkServer, tmp_path: Path) -> None:
    with fork_server.start("child_jobs:look_at_device", {}, tmp_path / "log.txt") as child:
        found = child.result(100)
    assert "tensorflow" in found["modules"]
    assert found["initialized"] is False


def test_fork_server_has_opened_no_device(fork_server: ForkServer, tmp_path: Path) -> None:
    with fork_server.start("child_jobs:echo", {}, tmp_path / "log.txt") as child:
        child.result(100)
    process = Path(f"/proc/{fork_server.process.pid}")
    if not process.exists():
        pytest.skip("no /proc on this system")
    opened = [str(link.readlink()) for link in (process / "fd").iterdir()]
    assert not [name for name in opened if name.startswith(("/dev/nvidia", "/dev/kfd", "/dev/dri"))]
    # A thread does not survive a fork: one that holds a lock then would leave it locked in the child.
    assert len(list((process / "task").iterdir())) == 1
