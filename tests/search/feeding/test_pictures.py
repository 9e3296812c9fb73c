import io
from pathlib import Path

import pytest
from PIL import Image

from search.child import ForkServer
from search.errors import TrialCrashed
from search.feeding.pictures import artifacts_of, draw_in_child, leave
from search.study import LoadedStudy

HISTORY = {"loss": [2.0, 1.0], "accuracy": [0.1, 0.5], "val_loss": [2.0, 1.5], "val_accuracy": [0.2, 0.4]}


def drawn(server: ForkServer, folder: Path, **payload: object) -> list[Path]:
    said = {"history": HISTORY, "kept": 2, "title": "a study, trial 0", "classes": ["a", "b"], **payload}
    return draw_in_child(server, folder, folder / "log.txt", said)


def test_child_draws_curves_and_matrix(fork_server: ForkServer, tmp_path: Path) -> None:
    paths = drawn(fork_server, tmp_path, matrix=[[3, 1], [0, 4]])
    assert [path.name for path in paths] == ["curves.png", "validation_confusion_matrix.png"]
    assert all(min(Image.open(path).size) > 200 for path in paths)


def test_child_draws_no_matrix_where_there_is_none(fork_server: ForkServer, tmp_path: Path) -> None:
    assert [path.name for path in drawn(fork_server, tmp_path, matrix=[])] == ["curves.png"]


def test_child_that_cannot_draw_is_told_of(fork_server: ForkServer, tmp_path: Path) -> None:
    with pytest.raises(TrialCrashed, match="kept"):
        draw_in_child(fork_server, tmp_path, tmp_path / "log.txt", {"history": HISTORY})


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
