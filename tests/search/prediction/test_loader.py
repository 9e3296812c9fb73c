"""An export's folder, as predict and the demo find it."""

import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from search.errors import InputError
from search.exporting.class_names import embed_class_names
from search.prediction.loader import load_net, quiet_stderr, read_export
from search.prediction.pictures import InputShape


@pytest.mark.parametrize("labels", ["[]", '{"a": "b"}', '["a"]', "[1, 2]"])
def test_labels_that_are_no_list_of_names_are_refused(tmp_path: Path, labels: str) -> None:
    facts = {"height": 8, "width": 8, "channels": 1}
    for name, text in (
        ("model.keras", ""),
        ("labels.json", labels),
        ("preprocessing.json", json.dumps(facts)),
        ("summary.json", "{}"),
    ):
        (tmp_path / name).write_text(text)
    with pytest.raises(
        InputError, match=r"is spoilt \(labels\.json is no list of the names of classes\); export again"
    ):
        read_export(tmp_path)


def test_net_of_other_classes_or_images_is_refused(tmp_path: Path) -> None:
    import keras

    net = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    net.save(tmp_path / "model.keras")
    labels, shape = ["a", "b", "c"], InputShape(4, 4, 1, "stretch", None)
    assert load_net(tmp_path, labels, shape).output_shape == (None, 3)
    for others, size in ((labels[:2], shape), (labels, shape._replace(height=8))):
        with pytest.raises(
            InputError, match=r"model\.keras takes \(4, 4, 1\) and gives \(3,\); export again"
        ):
            load_net(tmp_path, others, size)


@pytest.mark.parametrize("there", [True, False])
def test_study_named_in_the_place_of_its_export_is_answered_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """A folder of photographs is often called as the study is."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "exports" / "clothes"
    made.mkdir(parents=True)
    (made / "model.keras").touch()
    if there:
        (tmp_path / "clothes").mkdir()
    with pytest.raises(InputError, match=r"; exports/clothes is one$"):
        read_export(Path("clothes"))


def test_export_that_is_not_whole_is_not_advised_in_its_own_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "exports" / "clothes"
    made.mkdir(parents=True)
    (made / "model.keras").touch()
    for folder in (Path("exports/clothes"), made):
        with pytest.raises(InputError, match=r"has no labels.json; make one with search.export$"):
            read_export(folder)


NET_FACTS = {"height": 4, "width": 4, "channels": 1}


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """The files of an export that prediction needs, of three classes."""
    import keras

    net = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    net.save(tmp_path / "model.keras")
    embed_class_names("keras", tmp_path / "model.keras", ["a", "b", "c"])
    (tmp_path / "labels.json").write_text('["a", "b", "c"]')
    (tmp_path / "preprocessing.json").write_text(json.dumps(NET_FACTS))
    (tmp_path / "summary.json").write_text("{}")
    return tmp_path


def test_export_whose_files_agree_is_read(export: Path) -> None:
    assert read_export(export)[0] == ["a", "b", "c"]


@pytest.mark.parametrize("labels", [["a", "c", "b"], ["a", "x", "c"], ["a", "c", "b", "d"], ["a", "c"]])
def test_labels_that_contradict_the_model_are_refused(export: Path, labels: list[str]) -> None:
    (export / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(
        InputError, match=r"labels\.json and model\.keras contradict each other \(class 2 is '.' in labels"
    ):
        read_export(export)


def test_class_that_is_named_twice_is_refused(export: Path) -> None:
    (export / "labels.json").write_text('["a", "b", "b"]')
    with pytest.raises(InputError, match=r"labels\.json has the class 'b' more than once"):
        read_export(export)


def without_config(whole: bytes) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            if name != "config.json":
                new.writestr(name, old.read(name))
    return made.getvalue()


def with_bytes_flipped(whole: bytes) -> bytes:
    middle = len(whole) // 2
    return whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 200]) + whole[middle + 200 :]


@pytest.mark.parametrize(
    ("damage", "said"), [(without_config, "KeyError: "), (with_bytes_flipped, "BadZipFile: Bad CRC-32")]
)
def test_damaged_model_is_refused_in_one_line(
    export: Path, damage: Callable[[bytes], bytes], said: str
) -> None:
    file = export / "model.keras"
    file.write_bytes(damage(file.read_bytes()))
    labels, shape = read_export(export)
    with pytest.raises(InputError, match=rf"model\.keras cannot be loaded \({said}.*\); export it again$"):
        load_net(export, labels, shape)


def fails_quietly(error: type[Exception]) -> None:
    with quiet_stderr():
        os.write(2, b"of the processor")
        raise error


@pytest.mark.parametrize(("error", "shown"), [(InputError, ""), (RuntimeError, "of the processor")])
def test_what_was_held_back_is_shown_with_a_fault_alone(
    error: type[Exception], shown: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error):
        fails_quietly(error)
    assert capfd.readouterr().err == shown
