import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from search.data import Dataset
from search.errors import TrialCrashed
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy
from search.web.attachments import artifacts_of, draw_in_child, leave

HISTORY = {"loss": [2.0, 1.0], "accuracy": [0.1, 0.5], "val_loss": [2.0, 1.5], "val_accuracy": [0.2, 0.4]}


def drawn(server: ForkServer, folder: Path, **payload: object) -> list[Path]:
    said = {
        "history": HISTORY,
        "kept": 2,
        "unit": "epoch",
        "title": "a study, trial 0",
        "classes": ["a", "b"],
        **payload,
    }
    return draw_in_child(server, folder, folder / "log.txt", said)


@pytest.fixture(scope="module")
def drawing_server() -> Iterator[ForkServer]:
    """A fork server that can draw, and knows no framework."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("search.process.fork_server.PRELOAD", ("search.web.drawing",))
        server = ForkServer("tensorflow")
    with server:
        yield server


def test_child_draws_curves_and_matrix(drawing_server: ForkServer, tmp_path: Path) -> None:
    paths = drawn(drawing_server, tmp_path, matrix=[[3, 1], [0, 4]])
    assert [path.name for path in paths] == ["curves.png", "validation_confusion_matrix.png"]
    assert all(min(Image.open(path).size) > 200 for path in paths)


def test_child_draws_no_matrix_where_there_is_none(drawing_server: ForkServer, tmp_path: Path) -> None:
    assert [path.name for path in drawn(drawing_server, tmp_path, matrix=[])] == ["curves.png"]


def test_child_draws_a_sample_of_each_class(
    drawing_server: ForkServer, digits: Dataset, tmp_path: Path
) -> None:
    images = {"dataset": str(digits.folder), "validation": 0.1, "images": 200, "seed": 0}
    payload = {"classes": digits.classes, **images}
    (path,) = draw_in_child(drawing_server, tmp_path, tmp_path / "log.txt", payload)
    assert path.name == "samples.png"
    assert min(Image.open(path).size) > 20


def test_child_that_cannot_draw_is_told_of(drawing_server: ForkServer, tmp_path: Path) -> None:
    with pytest.raises(TrialCrashed, match="kept"):
        draw_in_child(drawing_server, tmp_path, tmp_path / "log.txt", {"history": HISTORY})


@pytest.mark.parametrize("matrix", [[[3, 1], [0, 4]], []])
def test_light_drawing_names_the_files_as_the_real_one_does(
    drawing_server: ForkServer, fast_server: ForkServer, tmp_path: Path, matrix: list[list[int]]
) -> None:
    """Which the tests of trials draw with."""
    real, light = (
        [path.name for path in drawn(server, tmp_path, matrix=matrix)]
        for server in (drawing_server, fast_server)
    )
    assert light == real


def test_file_left_again_takes_the_place_of_the_first(open_digits, tmp_path: Path) -> None:
    study: LoadedStudy = open_digits()
    path = tmp_path / "picture.png"
    path.write_bytes(b"first")
    address = leave(study, path)
    path.write_bytes(b"second")
    assert leave(study, path) == address
    (name,) = artifacts_of(study).values()
    assert address == f"/artifacts/{study.study_id}/{name}"
    assert study.pictures.open_reader(name).read() == b"second"
    assert len(list(study.paths.pictures.iterdir())) == 1


def test_pictures_lie_with_the_other_artifacts_where_hosts_share_no_disk(open_digits, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    study: LoadedStudy = open_digits(artifacts=str(tmp_path / "shared"))
    study.pictures.write("name", io.BytesIO(b"a picture"))
    assert (tmp_path / "shared" / "name").read_bytes() == b"a picture"
    assert not study.paths.pictures.exists()
