"""Folders named as the model's classes, and pictures of the answers, by a real export."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.exporting.export import Export
from search.study.study import LoadedStudy

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(made: Export) -> Path:
    return made.folder


@pytest.fixture(scope="module")
def sorted_photos(searched: LoadedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty test images of the study, in folders named as their classes."""
    folder = tmp_path_factory.mktemp("sorted")
    images, labels = searched.dataset().test()
    for index in range(30):
        (folder / str(labels[index])).mkdir(exist_ok=True)
        Image.fromarray(np.asarray(images[index])[:, :, 0]).save(folder / str(labels[index]) / f"{index}.png")
    return folder


def test_folders_named_as_classes_are_scored(predict, sorted_photos: Path, model: Path) -> None:
    code, printed, errors = predict([str(sorted_photos)])
    with (model / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))[:30]
    right = sum(row["true"] == row["predicted"] for row in rows)

    assert (code, errors) == (0, "")
    assert f"{100 * right / 30:.1f} % of 30 images are classified right (95 % interval" in printed
    assert "f1-score" in printed
    assert "confusion matrix" in printed


def test_scores_are_kept_out_of_what_a_program_reads(predict, sorted_photos: Path) -> None:
    _, printed, errors = predict(["--csv", str(sorted_photos)])
    rows = list(csv.DictReader(io.StringIO(printed)))

    assert len(rows) == 30
    assert all(Path(row["image"]).parent.name == row["true"] for row in rows)
    assert "of 30 images are classified right" in errors


def test_images_partly_in_no_class_folder_are_not_scored_and_it_is_said(
    predict, sorted_photos: Path, tmp_path: Path
) -> None:
    stray = shutil.copy(next(sorted_photos.rglob("*.png")), tmp_path / "a.png")
    code, printed, errors = predict([str(sorted_photos), str(stray)])

    assert code == 0
    assert "classified right" not in printed
    assert errors.startswith("not scored: 1 of 31 images lie in no folder named as a class")
    assert len(errors.splitlines()) == 1


def test_grid_and_matrix_are_drawn(predict, sorted_photos: Path, tmp_path: Path) -> None:
    grid, matrix = tmp_path / "grid.png", tmp_path / "matrix.png"
    code, _, errors = predict(["--grid", str(grid), "--matrix", str(matrix), str(sorted_photos)])

    assert (code, errors) == (0, "")
    for path in (grid, matrix):
        with Image.open(path) as picture:
            assert min(picture.size) > 300


def test_grid_leaves_out_what_cannot_be_read(predict, sorted_photos: Path, tmp_path: Path) -> None:
    whole = next(sorted_photos.rglob("*.png"))
    (tmp_path / "broken.png").write_bytes(whole.read_bytes()[:60])
    code, _, errors = predict(
        ["--grid", str(tmp_path / "grid.png"), str(whole), str(tmp_path / "broken.png")]
    )

    assert code == 1
    assert len(errors.splitlines()) == 1
    assert (tmp_path / "grid.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--grid", "grid.jpg"], "ends in .png"),
        (["--grid", "no/where/grid.png"], "there is no folder no/where"),
        (["--grid", "taken.png"], "is a folder"),
        (["--matrix", "m.gif"], "ends in .png"),
        (["--matrix", "m.png"], "lies in no folder named as a class"),
    ],
)
def test_bad_picture_is_one_line_and_exit_code_2(
    arguments: list[str],
    said: str,
    predict,
    sorted_photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.png").mkdir()
    stray = shutil.copy(next(sorted_photos.rglob("*.png")), tmp_path / "a.png")
    code, printed, errors = predict([*arguments, str(stray)])

    assert (code, printed) == (2, "")
    assert said in errors
    assert len(errors.splitlines()) == 1
