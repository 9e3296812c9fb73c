"""An export's folder, as predict and the demo find it."""

import json
from pathlib import Path

import pytest

from search.errors import InputError
from search.prediction.loader import load_net, read_export
from search.prediction.pictures import InputShape


@pytest.mark.parametrize("labels", ["[]", '{"a": "b"}', '["a"]', "[1, 2]"])
def test_labels_that_are_no_list_of_names_are_refused(tmp_path: Path, labels: str) -> None:
    facts = {"height": 8, "width": 8, "channels": 1}
    for name, text in (
        ("model.keras", ""),
        ("labels.json", labels),
        ("preprocessing.json", json.dumps(facts)),
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
