"""Class names inside a model's own file; those of formats made by real models are in ``test_formats``."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from search.exporting.class_names import embed_class_names

# Keras 3.15's own, once a weight that it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
NAMES = ["Hund", "猫", "line\nbreak"]


def test_keras_file_has_the_names_in_its_metadata_and_loads_as_before(tmp_path: Path) -> None:
    file = tmp_path / "model.keras"
    made = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    made.save(file)
    before = zipfile.ZipFile(file).namelist()
    embed_class_names("keras", file, NAMES)

    with zipfile.ZipFile(file) as archive:
        facts = json.loads(archive.read("metadata.json"))
        assert archive.namelist() == before
    assert facts["class_names"] == NAMES
    assert {"keras_version", "date_saved"} <= facts.keys()
    loaded = keras.models.load_model(file)
    assert all(map(np.array_equal, loaded.get_weights(), made.get_weights()))
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_litert_file_keeps_its_bytes_and_gets_a_name_a_line(tmp_path: Path) -> None:
    file = tmp_path / "model.tflite"
    file.write_bytes(b"....TFL3" * 50)
    embed_class_names("litert", file, NAMES)

    assert file.read_bytes().startswith(b"....TFL3" * 50)
    with zipfile.ZipFile(file) as archive:
        assert archive.read("labels.txt").decode("utf-8") == "Hund\n猫\nline break\n"
