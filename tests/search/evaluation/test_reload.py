"""The check in a fresh process, on a real file."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from search.child import ForkServer
from search.errors import StudyStopped
from search.evaluation.reload import check_reload
from search.evaluation.scored import score_in_child
from search.study import LoadedStudy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(searched: LoadedStudy) -> Path:
    return searched.paths.models(searched.ranked()[0].number)[0]


@pytest.fixture(scope="module")
def stored(
    model: Path, searched: LoadedStudy, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    place = tmp_path_factory.mktemp("stored")
    config = searched.config
    payload = {
        "model": str(model),
        "dataset": str(searched.dataset().folder),
        "validation": config.validation,
        "images": config.images,
        "split_seed": config.seed,
        "folds": 0,
        "out": str(place / "scores.npz"),
        "gpu_memory": None,
        "unseen": str(model),
        "head": None,
        "features": None,
        "baselines": [],
        "refit": False,
    }
    scored = score_in_child(fork_server, payload, place / "log.txt", 0)
    assert scored.train_images == 300
    return place / "scores.npz"


def test_reload_says_nothing_of_a_good_file(model: Path, stored: Path) -> None:
    command = [sys.executable, "-m", "search.evaluation.reload", str(model), str(stored)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr
    assert (
        "probabilities differ" not in ended.stderr
    )  # TensorFlow speaks there of different numerical results.


def test_reload_tells_other_weights(model: Path, stored: Path, searched: LoadedStudy) -> None:
    other = searched.paths.models(searched.ranked()[1].number)[0]

    with pytest.raises(StudyStopped, match="probabilities differ"):
        check_reload(other, stored, "tensorflow")


def test_reload_tells_a_torn_file(model: Path, stored: Path, tmp_path: Path) -> None:
    (tmp_path / "model.keras").write_bytes(model.read_bytes()[:5000])

    with pytest.raises(StudyStopped, match="fresh process, fails"):
        check_reload(tmp_path / "model.keras", stored, "tensorflow")


def test_stored_images_are_of_the_validation_split(stored: Path, searched: LoadedStudy) -> None:
    from search.data import split

    images, labels = searched.dataset().train()
    config = searched.config
    validation = np.sort(split(labels, config.validation, config.images, config.seed).validation)
    with np.load(stored) as found:
        assert (found["reload_images"] == images[validation[: len(found["reload_images"])]]).all()
