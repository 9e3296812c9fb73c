"""Other formats, of a real model, each in its own runtime."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.errors import InputError, StudyStopped
from search.exporting import formats
from search.exporting.formats import FORMATS, check_formats, write_formats
from search.exporting.verification import verify_in_fresh_process
from search.process.fork_server import ForkServer
from search.study.study import LoadedStudy


@pytest.fixture(scope="module")
def place(searched: LoadedStudy, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model in all formats, and ``formats.npz``."""
    folder = tmp_path_factory.mktemp("formats")
    kept = searched.paths.models(searched.ranked()[0].number)[0]
    model = folder / "model.keras"
    model.write_bytes(kept.read_bytes())
    dataset = searched.dataset().folder
    assert write_formats(fork_server, tuple(FORMATS), model, dataset, folder, folder / "log.txt") == 100
    return folder


@pytest.mark.slow
def test_formats_are_written_and_say_what_keras_says(place: Path) -> None:
    assert (place / "model.onnx").is_file()
    assert (place / "model.tflite").is_file()
    assert (place / "saved_model" / "saved_model.pb").is_file()


@pytest.mark.slow
def test_formats_are_compared_on_a_hundred_training_images(place: Path, searched: LoadedStudy) -> None:
    images, _ = searched.dataset().train()
    with np.load(place / "formats.npz") as stored:
        assert stored["images"].shape == (100, *images.shape[1:])
        assert (stored["images"][[0, -1]] == images[[0, -1]]).all()


def names_in(place: Path, name: str) -> list[str]:
    """The class names of a format, read by what its own users have, and by nothing of ours."""
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(place / "model.onnx", providers=["CPUExecutionProvider"])
        return list(json.loads(session.get_modelmeta().custom_metadata_map["class_names"]))
    if name == "litert":
        with zipfile.ZipFile(place / "model.tflite") as archive:
            return archive.read("labels.txt").decode("utf-8").splitlines()
    return (place / "saved_model" / "assets.extra" / "labels.txt").read_text("utf-8").splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_format_names_its_classes_itself(place: Path, searched: LoadedStudy, name: str) -> None:
    assert names_in(place, name) == list(searched.config.classes)


@pytest.fixture
def of_another(place: Path, tmp_path: Path) -> Callable[[str], tuple[str, Path, Path]]:
    """What a format's check is told, to compare it with a model that is of another mind about one image."""

    def make(name: str) -> tuple[str, Path, Path]:
        with np.load(place / "formats.npz") as stored:
            logits = stored["logits"].copy()
            logits[57, 3] += 0.5
            np.savez(tmp_path / "other.npz", images=stored["images"], logits=logits)
        return name, place / FORMATS[name].file, tmp_path / "other.npz"

    return make


@pytest.mark.slow
def test_format_that_differs_is_told(of_another) -> None:
    with pytest.raises(
        StudyStopped, match="--format onnx, loaded in a fresh process, fails: probabilities differ"
    ):
        verify_in_fresh_process(*of_another("onnx"), "tensorflow", "--format onnx")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["saved_model", "litert"])
def test_format_of_tensorflow_that_differs_is_told(of_another, name: str, warm_checks) -> None:
    with warm_checks(), pytest.raises(StudyStopped, match="probabilities differ"):
        formats.verify_in_fresh_process(*of_another(name), "tensorflow", name)


@pytest.mark.slow
def test_format_that_is_torn_is_told(place: Path, tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes((place / "model.onnx").read_bytes()[:2000])
    name, file = "--format onnx: model.onnx", tmp_path / "model.onnx"

    with pytest.raises(StudyStopped, match=r"model\.onnx, loaded in a fresh process, fails"):
        verify_in_fresh_process("onnx", file, place / "formats.npz", "tensorflow", name)


def test_formats_come_once_and_in_one_order() -> None:
    assert check_formats(["litert", "saved_model", "litert"]) == ("saved_model", "litert")
    assert check_formats([]) == ()


def test_unknown_format_is_refused() -> None:
    with pytest.raises(
        InputError, match="--format 'pickle': expected one or more of onnx, saved_model, litert"
    ):
        check_formats(["pickle"])


def test_missing_package_is_named_with_its_pip_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name != "onnx" else True)

    with pytest.raises(
        InputError,
        match=r"needs tf2onnx and onnxruntime, .* run python -m pip install 'keras-image-search\[onnx\]'",
    ):
        check_formats(["onnx"])
