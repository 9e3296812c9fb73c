"""Class and confidence of files, by a real export."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.errors import InputError
from search.exporting.export import Export
from search.prediction.loader import read_temperature
from search.prediction.pictures import find_images
from search.prediction.predict import predict_images
from search.study.study import LoadedStudy

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model(made: Export) -> Path:
    return made.folder


@pytest.fixture(scope="module")
def photos(searched: LoadedStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four test images of the study as files: one in a folder below, one larger than the net's input."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "more").mkdir()
    images, _ = searched.dataset().test()
    for index, name in enumerate(("a.png", "b.png", "more/c.png")):
        Image.fromarray(np.asarray(images[index])[:, :, 0]).save(folder / name)
    Image.fromarray(np.asarray(images[3])[:, :, 0]).resize((64, 64)).convert("RGB").save(folder / "d.jpg")
    (folder / "notes.txt").write_text("no image")
    return folder


@pytest.fixture
def with_corrupt(photos: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(photos, tmp_path / "photos")
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    return folder


def test_predictions_are_those_of_the_export(model: Path, photos: Path) -> None:
    with (model / "predictions.csv").open(newline="") as file:
        expected = list(csv.DictReader(file))[:3]
    found = predict_images(model, [photos / "a.png", photos / "b.png", photos / "more" / "c.png"])

    assert [answer.label for answer in found] == [row["predicted"] for row in expected]
    for answer, row in zip(found, expected, strict=True):
        assert answer.confidence == pytest.approx(float(row["confidence"]), abs=1e-4)


def test_folder_gives_its_images_at_any_depth(photos: Path) -> None:
    names = [path.relative_to(photos).as_posix() for path in find_images([photos])]

    assert names == ["a.png", "b.png", "d.jpg", "more/c.png"]


def test_table_has_a_row_a_file(predict, photos: Path) -> None:
    code, printed, errors = predict([str(photos)])

    skipped = f"warning: skipped 1 file that is no image (the first is {photos / 'notes.txt'})"
    assert (code, errors.splitlines()) == (0, [skipped])
    assert all(str(photos / name) in printed for name in ("a.png", "b.png", "d.jpg", "more/c.png"))
    assert printed.count(" % ") == 4


def test_json_and_csv_say_the_same(predict, photos: Path) -> None:
    as_json = json.loads(predict(["--json", str(photos)])[1])
    as_csv = list(csv.DictReader(io.StringIO(predict(["--csv", str(photos)])[1])))

    assert [row["class"] for row in as_json] == [row["class"] for row in as_csv]
    assert [row["confidence"] for row in as_json] == pytest.approx(
        [float(row["confidence"]) for row in as_csv], abs=1e-6
    )


def test_unsure_is_said_below_the_confidence_asked_for(predict, photos: Path) -> None:
    rows = json.loads(predict(["--json", "--unsure", "0.5", str(photos)])[1])
    middle = sorted(row["confidence"] for row in rows)[1] + 1e-9

    as_json = json.loads(predict(["--json", "--unsure", str(middle), str(photos)])[1])
    as_csv = list(
        csv.DictReader(io.StringIO(predict(["--csv", "--proba", "--unsure", str(middle), str(photos)])[1]))
    )
    assert [row["unsure"] for row in as_json] == [row["confidence"] < middle for row in as_json]
    assert sum(row["unsure"] for row in as_json) == 2
    assert [row["class"] for row in as_json] == [row["class"] for row in rows]
    assert [row["unsure"] for row in as_csv] == [str(row["unsure"]).lower() for row in as_json]
    assert predict(["--unsure", str(middle), str(photos)])[1].count("unsure") == 2


def test_probabilities_are_of_every_class_and_of_the_likeliest(predict, photos: Path, model: Path) -> None:
    labels = json.loads((model / "labels.json").read_text())
    name = str(photos / "a.png")
    (row,) = json.loads(predict(["--json", "--proba", "--top", "2", name])[1])
    (line,) = csv.DictReader(io.StringIO(predict(["--csv", "--proba", "--top", "2", name])[1]))

    assert list(row["probabilities"]) == labels
    assert sum(row["probabilities"].values()) == pytest.approx(1)
    likeliest = sorted(row["probabilities"].items(), key=lambda one: -one[1])[:2]
    assert row["top"] == [{"class": name, "confidence": p} for name, p in likeliest]
    assert row["top"][0] == {"class": row["class"], "confidence": row["confidence"]}
    assert [float(line[f"p_{label}"]) for label in labels] == pytest.approx(
        list(row["probabilities"].values()), abs=1e-6
    )
    assert [line["class_1"], line["class_2"]] == [name for name, _ in likeliest]


def test_fields_for_programs_stay_as_they_are(predict, photos: Path) -> None:
    for more, expected in (
        ([], ["image", "class", "confidence", "error", "true"]),
        (["--top", "1"], ["image", "class", "confidence", "error", "true", "top"]),
        (["--proba"], ["image", "class", "confidence", "error", "true", "probabilities"]),
    ):
        rows = json.loads(predict(["--json", str(photos / "a.png"), str(photos / "gone.png"), *more])[1])
        assert [list(row) for row in rows] == [expected, expected]


def test_arrays_get_the_predictions_of_their_files(model: Path, photos: Path) -> None:
    names = [photos / "a.png", photos / "b.png"]
    pixels = np.stack([np.asarray(Image.open(name)) for name in names])
    of_arrays, of_files = predict_images(str(model), pixels), predict_images(model, names)

    assert [each.label for each in of_arrays] == [each.label for each in of_files]
    assert [each.by_class() for each in of_arrays] == [each.by_class() for each in of_files]


def test_model_file_names_its_classes_itself(model: Path) -> None:
    with zipfile.ZipFile(model / "model.keras") as file:
        names = json.loads(file.read("metadata.json"))["class_names"]
    assert names == json.loads((model / "labels.json").read_text())


def test_corrupt_image_is_named_and_the_others_are_answered(predict, with_corrupt: Path) -> None:
    code, printed, errors = predict(["--csv", str(with_corrupt)])
    rows = {Path(row["image"]).name: row for row in csv.DictReader(io.StringIO(printed))}

    assert code == 1
    skipped, unreadable = errors.splitlines()
    assert skipped == f"warning: skipped 1 file that is no image (the first is {with_corrupt / 'notes.txt'})"
    assert unreadable.startswith(f"unreadable: {with_corrupt / 'broken.png'}: ")
    assert rows["broken.png"]["class"] == ""
    assert all(rows[name]["class"] for name in ("a.png", "b.png", "c.png", "d.jpg"))


def test_missing_file_is_named_and_the_others_are_answered(predict, photos: Path) -> None:
    code, printed, errors = predict(["--json", str(photos / "a.png"), str(photos / "gone.png")])

    assert code == 1
    assert "gone.png: no such file" in errors
    assert [row["class"] is None for row in json.loads(printed)] == [False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "nowhere", "a.png"], "no such folder"),
        (["--model", "empty", "a.png"], "is no export"),
        (["empty"], "no images in empty"),
        ([], "IMAGE_OR_FOLDER"),
        (["--json", "--csv", "a.png"], "exclude each other"),
        (["--top", "0", "a.png"], "--top 0: expected a number from 1 to 10"),
        (["--top", "two", "a.png"], "'two' is no whole number"),
        (["--unsure", "60", "a.png"], "--unsure 60.0: expected a number from 0 to 1"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], said: str, predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, printed, errors = predict(arguments)

    assert (code, printed) == (2, "")
    assert said in errors
    assert len(errors.splitlines()) == 1


def test_export_that_is_spoilt_is_refused(model: Path, photos: Path, tmp_path: Path) -> None:
    spoilt = shutil.copytree(model, tmp_path / "spoilt")
    (spoilt / "preprocessing.json").write_text("{}")

    with pytest.raises(InputError, match="spoilt"):
        predict_images(spoilt, [photos / "a.png"])


@pytest.fixture
def export_resized(model: Path, tmp_path: Path) -> Callable[[str | None], Path]:
    """A copy of the export whose images are said to have been resized so; None says nothing, as old ones do."""

    def make(way: str | None) -> Path:
        folder = shutil.copytree(model, tmp_path / f"resized-{way}")
        facts = json.loads((folder / "preprocessing.json").read_text())
        facts.pop("resize")
        (folder / "preprocessing.json").write_text(json.dumps(facts | ({"resize": way} if way else {})))
        return folder

    return make


@pytest.fixture
def digit(searched: LoadedStudy) -> np.ndarray:
    """One test image, 8x8."""
    return np.asarray(searched.dataset().test()[0][0])[:, :, 0]


def test_prediction_crops_as_the_export_says(export_resized, digit: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(digit).save(tmp_path / "digit.png")
    Image.fromarray(np.pad(digit, ((0, 0), (6, 6)), constant_values=255)).save(tmp_path / "wide.png")
    bare, cropped = predict_images(export_resized("crop"), [tmp_path / "digit.png", tmp_path / "wide.png"])

    assert (cropped.label, cropped.confidence) == (bare.label, bare.confidence)


def test_prediction_of_an_export_that_says_no_way_of_resizing_stretches(
    export_resized, model: Path, photos: Path
) -> None:
    said, unsaid = (predict_images(folder, [photos / "d.jpg"]) for folder in (model, export_resized(None)))

    assert said == unsaid


def test_export_resized_in_an_unknown_way_is_refused(export_resized, photos: Path) -> None:
    with pytest.raises(InputError, match=r"spoilt \(resize 'squash': expected one of stretch, fit, crop\)"):
        predict_images(export_resized("squash"), [photos / "a.png"])


def at_temperature(model: Path, place: Path, temperature: object) -> Path:
    copied = shutil.copytree(model, place / "copied")
    summary = json.loads((model / "summary.json").read_text())
    summary["calibration"]["temperature"] = temperature
    (copied / "summary.json").write_text(json.dumps(summary))
    return copied


def test_confidences_are_at_the_temperature_of_the_export(model: Path, photos: Path, tmp_path: Path) -> None:
    sharp = predict_images(at_temperature(model, tmp_path / "1", 0.2), [photos / "a.png"])[0]
    flat = predict_images(at_temperature(model, tmp_path / "2", 5.0), [photos / "a.png"])[0]

    assert sharp.label == flat.label
    assert sharp.confidence is not None
    assert flat.confidence is not None
    assert 1 / 10 < flat.confidence < sharp.confidence


@pytest.mark.parametrize("temperature", [0, -1, "warm", None, float("nan"), float("inf")])
def test_temperature_that_is_none_is_refused(model: Path, tmp_path: Path, temperature: object) -> None:
    with pytest.raises(InputError, match=r"summary\.json.*export again"):
        read_temperature(at_temperature(model, tmp_path, temperature))


def test_export_that_says_nothing_of_a_temperature_is_taken_as_it_is(model: Path, tmp_path: Path) -> None:
    old = shutil.copytree(model, tmp_path / "old")
    (old / "summary.json").write_text("{}")

    assert read_temperature(old) == 1


def test_export_without_its_summary_is_refused(model: Path, photos: Path, tmp_path: Path) -> None:
    """Its confidences had been those of another temperature, without a word."""
    copied = shutil.copytree(model, tmp_path / "copied")
    (copied / "summary.json").unlink()

    with pytest.raises(InputError, match=r"is no export, it has no summary\.json; make one with"):
        predict_images(copied, [photos / "a.png"])


def test_file_of_an_export_is_answered_with_its_folder(model: Path, photos: Path) -> None:
    with pytest.raises(InputError, match=rf"no such folder; .*; {re.escape(str(model))} is one"):
        predict_images(model / "model.keras", [photos / "a.png"])


@pytest.mark.parametrize("address", ["https://example.com/a.jpg", "s3://photos/a.jpg"])
def test_address_in_the_web_is_no_file(model: Path, address: str) -> None:
    with pytest.raises(
        InputError, match=r"^(https|s3):/.*a\.jpg: pictures are not fetched from the web; expected"
    ):
        predict_images(model, [address])


def test_images_under_names_are_refused(model: Path, photos: Path) -> None:
    """Their names had been taken for paths."""
    with pytest.raises(InputError, match=r"images is of type dict: expected image files"):
        predict_images(model, {"a": np.zeros((8, 8), "uint8")})


def test_predict_needs_no_database(model: Path, photos: Path, tmp_path: Path) -> None:
    code = (
        "import sys\nfrom search.cli.app import main\nfrom search.predict import app\n"
        "try:\n    main(app)\nfinally:\n"
        "    print('DATABASE', *sorted({'optuna', 'sqlalchemy'} & set(sys.modules)))"
    )
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(tmp_path)}
    command = [sys.executable, "-c", code, "--model", str(model), str(photos / "a.png")]
    ended = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1] == "DATABASE"
    assert ended.stderr == ""
