"""The check of a real file, once in a fresh process; the other ends of such a one are those of ``test_formats``."""

from pathlib import Path

import numpy as np
import pytest

from search.data import split
from search.errors import StudyStopped
from search.exporting import builder
from search.exporting.scoring_result import score_in_child
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy

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
        "source": "digits",
        "validation": config.validation,
        "images": config.images,
        "split_seed": config.seed,
        "folds": 0,
        "fold_of": "",
        "race": 0,
        "race_part": None,
        "race_parts": 1,
        "temperature": None,
        "out": str(place / "scores.npz"),
        "gpu_memory": None,
        "unseen": str(model),
        "head": None,
        "features": None,
        "frozen": None,
        "baselines": [],
        "refit": False,
    }
    scored = score_in_child(fork_server, payload, place / "log.txt", 0)
    assert scored.train_images == 300
    return place / "scores.npz"


def test_reload_says_nothing_of_a_good_file(model: Path, stored: Path) -> None:
    builder.verify_in_fresh_process("keras", model, stored, "tensorflow", "the exported file")


def test_reload_tells_other_weights(model: Path, stored: Path, searched: LoadedStudy, warm_checks) -> None:
    other = searched.paths.models(searched.ranked()[1].number)[0]

    with warm_checks(), pytest.raises(StudyStopped, match=r"the exported file.* fails: probabilities differ"):
        builder.verify_in_fresh_process("keras", other, stored, "tensorflow", "the exported file")


def test_reload_tells_a_torn_file(model: Path, stored: Path, tmp_path: Path, warm_checks) -> None:
    (tmp_path / "model.keras").write_bytes(model.read_bytes()[:5000])

    with warm_checks(), pytest.raises(StudyStopped, match=r"the exported file.* fails"):
        builder.verify_in_fresh_process(
            "keras", tmp_path / "model.keras", stored, "tensorflow", "the exported file"
        )


def test_stored_images_are_of_the_validation_split(stored: Path, searched: LoadedStudy) -> None:
    images, labels = searched.dataset().train()
    config = searched.config
    validation = np.sort(split(labels, config.validation, config.images, config.seed).validation)
    with np.load(stored) as found:
        assert (found["reload_images"] == images[validation[: len(found["reload_images"])]]).all()
