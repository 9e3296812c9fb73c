"""A small real study, searched once, for the tests of what comes after a search."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.child import ForkServer
from search.config import StudyConfig
from search.data import Dataset, prepare
from search.export import Export, export_study
from search.stopping import Stop
from search.study import LoadedStudy, create_study
from search.trial import Worker
from search.worker import work
from storage.claims import Claims

TRIALS = 2
# The jobs and the space that tests run in children; the fork server takes our path over when it starts.
IN_CHILD = Path(__file__).parent / "in_child"
sys.path.append(str(IN_CHILD))


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    with ForkServer("tensorflow") as server:
        yield server


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return prepare("digits", cache=tmp_path_factory.mktemp("digits"), say=lambda line: None)


@pytest.fixture
def make_worker(digits: Dataset, fork_server: ForkServer, tmp_path: Path) -> Callable[..., Worker]:
    """Make a worker on a new study of digits and ``in_child/small_space.py``; settings are a StudyConfig's."""

    def make(
        study: str = "small", server: Any = fork_server, stop: Stop | None = None, **settings: Any
    ) -> Worker:
        fixed = {
            "data": "digits",
            "space": "small_space",
            "flip": False,
            "pruner": "none",
            "sampler": "random",
        }
        of_data = ("fingerprint", "classes", "height", "width", "channels")
        seen = {name: getattr(digits, name) for name in of_data}
        config = StudyConfig(study, **{**fixed, **seen, "epochs": 2, "images": 200, **settings})
        root = tmp_path / "studies"
        root.mkdir(exist_ok=True)
        made = create_study(config, digits.folder, None, root)
        claims = Claims(made.storage, made.url, made.study_id, "worker-1")
        return Worker(made, server, claims, stop or Stop(), threads=1, checkpoint_seconds=0.0)

    return make


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer) -> LoadedStudy:
    """The study ``tiny``: digits, two finished trials of two epochs, on 300 images, and one waiting."""
    place = tmp_path_factory.mktemp("searched")
    dataset = prepare("digits", cache=place / "cache", say=lambda line: None)
    config = StudyConfig(
        study="tiny",
        data="digits",
        fingerprint=dataset.fingerprint,
        classes=dataset.classes,
        height=dataset.height,
        width=dataset.width,
        channels=dataset.channels,
        epochs=2,
        images=300,
        flip=False,
        pruner="none",
        sampler="random",
    )
    root = place / "studies"
    root.mkdir()
    study = create_study(config, dataset.folder, None, root)
    claims = Claims(study.storage, study.url, study.study_id, "worker-1")
    work(Worker(study, fork_server, claims, Stop(), threads=os.cpu_count() or 1), TRIALS)
    study.optuna.enqueue_trial({})
    return study


@pytest.fixture(scope="session")
def made(searched: LoadedStudy, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The best trial of ``searched``, exported; not to be written to."""
    out = tmp_path_factory.mktemp("exports") / "tiny"
    root = searched.paths.root
    return export_study("tiny", root=root, out=out, server=fork_server, say=lambda line: None)
