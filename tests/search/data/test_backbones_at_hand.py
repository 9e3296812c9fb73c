import io
import json
import urllib.error
import zipfile
from pathlib import Path

import pytest

from search.data import backbones_at_hand as module
from search.data.backbones import find_backbones
from search.data.backbones_at_hand import LEAST_BYTES, AtHand, backbones_at_hand, can_download


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(module, "can_download", lambda: False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


def put(folder: Path, name: str, size: int = LEAST_BYTES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as file:
        file.writestr("model.weights.h5", b"\0" * size)
    return folder / name


def test_nothing_is_at_hand_on_a_new_machine(tmp_path: Path) -> None:
    assert backbones_at_hand(tmp_path / "cache") == []


def test_files_in_the_cache_are_at_hand_the_smallest_first_and_tiny_ones_are_not(tmp_path: Path) -> None:
    folder = tmp_path / "backbones"
    large, small = put(folder, "large.keras", LEAST_BYTES + 1), put(folder, "small.keras")
    put(folder, "tiny.keras", 10)
    (folder / "torn.keras").write_bytes(b"\0" * LEAST_BYTES)
    assert [(one.requested, one.name) for one in backbones_at_hand(tmp_path)] == [
        (str(small), "small"),
        (str(large), "large"),
    ]


def test_prepared_backbone_has_the_name_that_it_had(tmp_path: Path) -> None:
    folder = tmp_path / "backbones"
    digest = "0" * 32
    file = put(folder, f"{digest}.keras")
    (folder / f"{digest}.name").write_text("lite0")
    facts = {"digest": digest, "features": 8, "parameters": 9, "side": 0, "least": 8}
    (folder / f"{digest}.json").write_text(json.dumps(facts))
    assert [(one.requested, one.name) for one in backbones_at_hand(tmp_path)] == [(str(file), "lite0")]
    # Named by its file in the cache it is the one that it is, and nothing is made of it anew.
    (found,) = find_backbones([str(file)], tmp_path)
    assert (found.name, found.digest, found.features) == ("lite0", digest, 8)


def test_name_of_keras_applications_is_at_hand_once_it_was_prepared_or_downloaded(tmp_path: Path) -> None:
    digest = "1" * 32
    put(tmp_path / "backbones", f"{digest}.keras")
    (tmp_path / "backbones" / "MobileNetV2-1.json").write_text(json.dumps({"digest": digest}))
    models = tmp_path / "keras" / "models"
    put(models, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5", LEAST_BYTES + 1)
    put(models, "efficientnetv2-b0_notop.h5", LEAST_BYTES + 2)
    put(models, "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5", LEAST_BYTES + 3)
    put(models, "resnet50_weights_tf_dim_ordering_tf_kernels.h5", LEAST_BYTES + 4)  # With its head.
    names = [one.requested for one in backbones_at_hand(tmp_path)]
    assert names == ["MobileNetV2", "EfficientNetV2B0", "ResNet50V2"]


def test_default_is_downloaded_where_there_is_a_network_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "can_download", lambda: True)
    assert backbones_at_hand(tmp_path) == [AtHand("MobileNetV2", "MobileNetV2", "which Keras downloads")]
    put(tmp_path / "backbones", "own.keras")
    assert [one.name for one in backbones_at_hand(tmp_path)] == ["own"]


@pytest.mark.parametrize(
    ("answer", "there"),
    [
        (None, True),
        (urllib.error.HTTPError("", 404, "", None, None), True),  # type: ignore[arg-type]
        (urllib.error.URLError("no name"), False),
        (TimeoutError(), False),
    ],
)
def test_network_is_there_if_the_host_of_the_weights_answers(
    answer: Exception | None, there: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urlopen(request: object, timeout: float) -> object:
        if answer is not None:
            raise answer
        return io.BytesIO()

    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    assert can_download() is there
