import os
import subprocess
import sys
from pathlib import Path

import pytest

from search.data.keras_datasets import KERAS_SETS
from search.data.preparation import prepare
from search.errors import InputError

# Stands in for Keras, as its data sets cannot be downloaded in a test: the same interface, small arrays.
LOADER = """
import numpy as np
def load_data():
    pixels = np.arange(40 * 4 * 4, dtype=np.uint8).reshape(40, 4, 4)
    labels = (np.arange(40) % 10)[:, None]
    return (pixels, labels), (pixels[:20], labels[:20])
"""
CONFIG = "class config:\n    set_image_data_format = staticmethod(print)\n"


@pytest.fixture
def small_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = tmp_path / "path" / "keras" / "datasets"
    datasets.mkdir(parents=True)
    (datasets.parent / "__init__.py").write_text(CONFIG)
    (datasets / "__init__.py").write_text("")
    (datasets / "mnist.py").write_text(LOADER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))


@pytest.mark.usefixtures("small_keras")
def test_keras_set_is_loaded_outside_this_process(cache: Path) -> None:
    dataset = prepare("mnist", cache=cache)
    assert dataset.train()[0].shape == (40, 4, 4, 1)
    assert (dataset.source, dataset.classes, dataset.flip) == ("mnist", tuple("0123456789"), False)
    assert dataset.test_counts == (2,) * 10


@pytest.mark.usefixtures("small_keras")
def test_keras_set_is_found_again_without_keras(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare("mnist", cache=cache)
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert prepare("mnist", cache=cache) == first


@pytest.mark.slow
def test_keras_set_without_network_says_what_to_pass(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("KERAS_BACKEND", "jax")  # It starts in half the time, and fails in the same words.
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InputError, match=r"--data cifar10: .*could not download.*digits, a folder") as caught:
        prepare("cifar10", cache=cache)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "count"), [("cifar10", 10), ("cifar100", 100), ("mnist", 10), ("fashion_mnist", 10)]
)
def test_keras_set_names_its_classes(name: str, count: int) -> None:
    assert len(set(KERAS_SETS[name].classes)) == count


def test_data_imports_no_keras() -> None:
    heavy = "('keras', 'tensorflow', 'sklearn', 'optuna')"
    code = f"import search.data, sys; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert run.stdout.strip() == "[]"
