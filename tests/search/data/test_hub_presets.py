"""Presets of Keras-Hub as backbones: what is checked without it, a stand-in for it, and the real one where it is."""

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from search.data import backbone_script, hub_presets
from search.data.backbones import backbone_file, find_backbones
from search.data.backbones import check_backbone as check
from search.data.hub_presets import digest_of_request
from search.errors import InputError


def check_backbone(requested: str) -> str:
    return check(requested, Path("nowhere"))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras-Hub seems to be installed."""
    monkeypatch.setattr(hub_presets, "find_spec", lambda name: object())


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """A folder with the files of a preset."""
    folder = tmp_path / "small_net"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.weights.h5").write_bytes(b"weights")
    return folder


def test_preset_without_keras_hub_is_refused_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_presets, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"Keras-Hub is not installed here; .*\[hub\]"):
        check_backbone("keras_hub:resnet_18_imagenet")


@pytest.mark.usefixtures("installed")
def test_name_is_taken_as_it_is_and_a_folder_by_its_whole_path(
    preset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check_backbone("keras_hub:resnet_18_imagenet") == "keras_hub:resnet_18_imagenet"
    monkeypatch.chdir(preset.parent)
    assert check_backbone("keras_hub:small_net") == f"keras_hub:{preset}"


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("behind", "why"), [("", "expected a preset's name"), ("./nothing", "no folder of a preset")]
)
def test_what_is_no_preset_is_refused(behind: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        check_backbone(f"keras_hub:{behind}")


def test_digest_is_of_the_files_and_not_of_their_place(preset: Path, tmp_path: Path) -> None:
    before = digest_of_request(f"keras_hub:{preset}")
    moved = preset.rename(tmp_path / "moved")
    assert digest_of_request(f"keras_hub:{moved}") == before
    (moved / "model.weights.h5").write_bytes(b"others")
    assert digest_of_request(f"keras_hub:{moved}") != before


def hub_of(net: Any, scale: Any = None, offset: Any = None) -> ModuleType:
    """In the place of Keras-Hub, one that loads this net, whose preset has a converter if there is a scale."""

    def converter(handle: str) -> Any:
        if scale is None:
            raise FileNotFoundError("`image_converter.json` doesn't exist")
        return SimpleNamespace(scale=scale, offset=offset)

    made: Any = ModuleType("keras_hub")
    made.models = SimpleNamespace(Backbone=SimpleNamespace(from_preset=lambda handle: net))
    made.layers = SimpleNamespace(ImageConverter=SimpleNamespace(from_preset=converter))
    return made


@pytest.fixture
def made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Any]:
    """Make a backbone's file of a net that Keras-Hub loads; the net that is in it, and its facts."""

    def make(net: Any, **converter: Any) -> tuple[Any, dict[str, Any]]:
        import keras

        monkeypatch.setitem(sys.modules, "keras_hub", hub_of(net, **converter))
        backbone_script.main("small", "keras_hub", str(tmp_path / "made.keras"))
        monkeypatch.delitem(sys.modules, "keras_hub")
        facts = json.loads(capsys.readouterr().out.splitlines()[-1])
        return keras.models.load_model(tmp_path / "made.keras"), facts

    return make


def small_net() -> Any:
    import keras

    inputs = keras.Input((None, None, 3))
    return keras.Model(inputs, keras.layers.Conv2D(4, 3)(inputs))


PICTURES = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype("float32")


def test_preset_becomes_a_file_of_kerass_layers_with_its_preprocessing(made) -> None:
    net = small_net()
    model, facts = made(net, scale=1 / 255, offset=[-0.5, -0.4, -0.3])
    wanted = np.asarray(net(PICTURES / 255 - np.array([0.5, 0.4, 0.3]))).mean(axis=(1, 2))
    np.testing.assert_allclose(np.asarray(model(PICTURES)), wanted, atol=1e-5)
    assert (facts["features"], facts["parameters"]) == (4, 3 * 3 * 3 * 4 + 4)
    assert "note" not in facts


def test_preset_that_does_not_say_how_it_takes_pixels_is_warned_of(made) -> None:
    net = small_net()
    model, facts = made(net)
    np.testing.assert_allclose(
        np.asarray(model(PICTURES)), np.asarray(net(PICTURES)).mean(axis=(1, 2)), atol=1e-3
    )
    assert "gets them from 0 to 255" in facts["note"]


def test_other_preprocessing_makes_it_another_backbone(made) -> None:
    net = small_net()
    assert made(net, scale=1 / 255)[1]["digest"] != made(net, scale=1 / 127.5)[1]["digest"]


def test_layers_that_are_not_kerass_own_are_refused(made) -> None:
    import keras

    class PatchesOfTheHub(keras.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    inputs = keras.Input((8, 8, 3))
    with pytest.raises(ValueError, match=r"layers of Keras-Hub's own \(PatchesOfTheHub\)"):
        made(keras.Model(inputs, PatchesOfTheHub()(inputs)))


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason="Keras-Hub is not installed")
def test_preset_folder_of_keras_hub_gives_its_features(tmp_path: Path) -> None:
    import keras
    import keras_hub

    net = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64],
        stackwise_num_blocks=[1],
        stackwise_num_strides=[1],
        block_type="basic_block",
        use_pre_activation=False,
        image_shape=(None, None, 3),
    )
    converter = keras_hub.layers.ResNetImageConverter(image_size=(8, 8), scale=1 / 255, offset=[-0.5] * 3)
    preprocessor = keras_hub.models.ResNetImageClassifierPreprocessor(image_converter=converter)
    classifier = keras_hub.models.ResNetImageClassifier(
        backbone=net, num_classes=2, preprocessor=preprocessor
    )
    classifier.save_to_preset(str(tmp_path / "small_resnet"))
    (found,) = find_backbones([f"keras_hub:{tmp_path / 'small_resnet'}"], tmp_path / "cache")
    assert (found.name, found.features) == ("small_resnet", 64)
    model = keras.models.load_model(backbone_file(tmp_path / "cache", found.digest))
    wanted = np.asarray(net(converter(PICTURES))).mean(axis=(1, 2))
    np.testing.assert_allclose(np.asarray(model(PICTURES)), wanted, atol=1e-4)
