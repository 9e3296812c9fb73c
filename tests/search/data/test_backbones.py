import contextlib
import io
import json
import re
import subprocess
import traceback
import zipfile
from pathlib import Path

import numpy as np
import pytest

from search.cli.app import main
from search.data import backbones
from search.data.backbone_script import preprocess
from search.data.backbones import APPLICATIONS, backbone_file, check_backbone, find_backbones
from search.errors import InputError
from search.prefetch import app

# Keras 3.15's own, once a weight that it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def net(outputs="maps", side=None, channels=3):
    """A small net of Keras's layers, as a user may save one."""
    import keras

    inputs = keras.Input((side, side, channels))
    x = keras.layers.Conv2D(5, 3, activation="relu", name="conv")(keras.layers.Rescaling(1 / 255)(inputs))
    if outputs == "features":
        x = keras.layers.GlobalMaxPooling2D()(x)
    return keras.Model(inputs, x)


@pytest.fixture
def saved(tmp_path):
    """The file of a small net that gives feature maps."""
    path = tmp_path / "small.keras"
    net().save(path)
    return path


@pytest.fixture
def begun(monkeypatch):
    """What was given to Keras. Its scripts run in this process, which has it already: a fresh one imports for long."""
    begun = []

    def run_here(script, *arguments):
        begun.append(arguments[0])
        printed, code, error = io.StringIO(), 0, ""
        with contextlib.redirect_stdout(printed):
            try:
                script.main(*arguments)
            except Exception:
                code, error = 1, traceback.format_exc()
        return subprocess.CompletedProcess([], code, printed.getvalue(), error)

    monkeypatch.setattr(backbones, "run_script", run_here)
    return begun


def find(*said, cache):
    return find_backbones([str(one) for one in said], cache, lambda line: None)


def classifier(path, last, loss=None):
    """A net that ends in the layers ``last``, as its training left it."""
    import keras

    below = net("features")
    x = below.output
    for layer in last:
        x = layer(x)
    made = keras.Model(below.input, x)
    if loss is not None:
        made.compile(loss=loss)
    made.save(path)
    return path


@pytest.mark.parametrize("kind", ["softmax", "softmax layer", "logits with a cross-entropy"])
@pytest.mark.usefixtures("begun")
def test_classifier_is_refused_with_what_makes_a_backbone_of_it(kind, tmp_path):
    import keras
    from keras import layers

    last, loss = [layers.Dense(4)], keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if kind != "logits with a cross-entropy":
        last, loss = [layers.Dense(4, activation="softmax")], None
    if kind == "softmax layer":
        last = [layers.Dense(4), layers.Softmax()]
    path = classifier(tmp_path / "net.keras", last, loss)
    with pytest.raises(InputError, match=r"(probabilities|logits) of 4 classes, no features") as refused:
        find(path, cache=tmp_path / "cache")
    code = re.search(r"net = .*\.save\('features\.keras'\)", str(refused.value))[0]
    with contextlib.chdir(tmp_path):
        exec(code, {"keras": keras})
    assert find(tmp_path / "features.keras", cache=tmp_path / "cache")[0].features == 5


@pytest.mark.usefixtures("begun")
def test_net_that_may_be_a_classifier_is_warned_of(tmp_path):
    from keras import layers

    lines = []
    path = classifier(tmp_path / "net.keras", [layers.Dense(4, name="top")])
    find_backbones([str(path)], tmp_path / "cache", lines.append)
    assert any(
        line.startswith("warning: backbone net: its last layer, top, is a dense one of 4") for line in lines
    )
    assert find(path, cache=tmp_path / "cache")[0].features == 4


@pytest.mark.usefixtures("begun")
def test_file_becomes_a_net_from_pixels_to_pooled_features(saved, tmp_path):
    import keras

    (found,) = find(saved, cache=tmp_path / "cache")
    made = keras.models.load_model(backbone_file(tmp_path / "cache", found.digest))
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 9, 3)).astype("float32")
    maps = keras.models.load_model(saved).predict(images, verbose=0)
    np.testing.assert_allclose(made.predict(images, verbose=0), maps.mean(axis=(1, 2)), rtol=1e-5)
    assert (found.name, found.features, found.side) == ("small", 5, 0)
    assert found.parameters == 3 * 3 * 3 * 5 + 5


def test_file_that_was_made_before_starts_no_keras(saved, tmp_path, begun):
    assert find(saved, cache=tmp_path / "cache") == find(saved, cache=tmp_path / "cache")
    assert begun == [str(saved)]


@pytest.mark.usefixtures("begun")
def test_digest_is_of_content_not_of_the_file(saved, tmp_path):
    copied = tmp_path / "other place.keras"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(copied, "w") as new:
        for member in old.namelist():
            new.writestr(member, b"{}" if member == "metadata.json" else old.read(member))
    cache = tmp_path / "cache"
    assert find(saved, cache=cache)[0].digest == find(copied, cache=cache)[0].digest


@pytest.mark.usefixtures("begun")
def test_digest_changes_with_one_weight(saved, tmp_path):
    import keras

    model = keras.models.load_model(saved)
    kernel, bias = model.get_layer("conv").get_weights()
    model.get_layer("conv").set_weights([kernel, bias + 1])
    model.save(tmp_path / "other.keras")
    cache = tmp_path / "cache"
    assert find(saved, cache=cache)[0].digest != find(tmp_path / "other.keras", cache=cache)[0].digest


def test_format_that_is_raised_makes_a_named_backbone_anew_beside_the_old_one(tmp_path, monkeypatch):
    made = []

    def run(script, said, way, out):
        Path(out).write_text(f"file {len(made)}")
        made.append(said)
        facts = {"digest": "weights", "features": 4, "parameters": 10, "side": 0, "least": 8}
        return subprocess.CompletedProcess([], 0, json.dumps(facts), "")

    monkeypatch.setattr(backbones, "run_script", run)
    before = [find("MobileNet", cache=tmp_path)[0].digest for _ in range(2)]
    monkeypatch.setattr(backbones, "FORMAT", b"2")
    after = [find("MobileNet", cache=tmp_path)[0].digest for _ in range(2)]
    assert made == ["MobileNet"] * 2
    assert (before[0], after[0]) == (before[1], after[1])
    texts = [backbone_file(tmp_path, digest).read_text() for digest in (before[0], after[0])]
    assert texts == ["file 0", "file 1"]


@pytest.mark.usefixtures("begun")
def test_two_of_one_name_are_refused(saved, tmp_path):
    with pytest.raises(InputError, match="two are called small"):
        find(saved, saved, cache=tmp_path / "cache")


@pytest.mark.usefixtures("begun")
def test_net_with_a_size_of_its_own_says_so(tmp_path):
    net("features", side=24).save(tmp_path / "fixed.keras")
    (found,) = find(tmp_path / "fixed.keras", cache=tmp_path / "cache")
    assert (found.side, found.least) == (24, 24)


@pytest.mark.usefixtures("begun")
def test_net_of_grey_images_is_refused(tmp_path):
    net(channels=1).save(tmp_path / "grey.keras")
    with pytest.raises(InputError, match=r"grey.keras: no backbone .*expected RGB images"):
        find(tmp_path / "grey.keras", cache=tmp_path / "cache")


@pytest.mark.usefixtures("begun")
def test_net_with_code_in_it_is_refused(tmp_path):
    import keras

    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    model.save(tmp_path / "code.keras")
    with pytest.raises(InputError, match=r"code.keras: no backbone .*Lambda"):
        find(tmp_path / "code.keras", cache=tmp_path / "cache")


@pytest.mark.parametrize("content", [b"no archive", None])
def test_other_file_is_refused(tmp_path, content):
    path = tmp_path / "other.keras"
    if content is None:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("something", "else")
    else:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"not a \.keras file"):
        find(path, cache=tmp_path / "cache")


def test_unknown_name_is_refused_with_what_may_be_meant(tmp_path):
    for name in ("mobilenetv2", "MobileNet_V2"):
        with pytest.raises(InputError, match="did you mean MobileNetV2"):
            check_backbone(name, tmp_path)


def test_missing_file_is_refused_with_one_that_has_a_name_like_it(tmp_path):
    (tmp_path / "lite0_imagenet.keras").write_text("")
    with pytest.raises(InputError, match=r"did you mean .*/lite0_imagenet\.keras\?$"):
        check_backbone(str(tmp_path / "lite0.keras"), tmp_path)


def test_missing_file_is_refused_with_what_is_at_hand(tmp_path):
    folder = tmp_path / "backbones"
    folder.mkdir()
    with zipfile.ZipFile(folder / "0a.keras", "w") as file:
        file.writestr("something", "else")
    (folder / "0a.name").write_text("lite0")
    with pytest.raises(InputError) as refused:
        check_backbone("nets/own.keras", tmp_path)
    assert str(refused.value) == (
        "--backbone nets/own.keras: no such file, and no such name in keras.applications; at hand: "
        f"{folder / '0a.keras'} (lite0); expected a .keras file, or a name such as MobileNetV2; python -m "
        "search.prefetch --backbone MobileNetV2 fetches one where there is a network"
    )


@pytest.mark.parametrize(
    ("module", "way"), [("mobilenet_v2", "tf"), ("resnet50", "caffe"), ("densenet", "torch")]
)
def test_preprocess_is_what_the_family_wants(module, way):
    import importlib

    import keras

    images = np.random.default_rng(0).integers(0, 256, (2, 5, 5, 3)).astype("float32")
    wanted = importlib.import_module(f"keras.applications.{module}").preprocess_input(images.copy())
    inputs = keras.Input((5, 5, 3))
    made = keras.Model(inputs, preprocess(inputs, way)).predict(images, verbose=0)
    np.testing.assert_allclose(made, wanted, atol=1e-4)


@pytest.mark.usefixtures("begun")
def test_least_size_is_one_that_the_layers_leave_something_of(tmp_path):
    import keras

    inputs = keras.Input((None, None, 3))
    x = keras.layers.MaxPooling2D(8)(keras.layers.Conv2D(2, 20)(inputs))
    keras.Model(inputs, x).save(tmp_path / "coarse.keras")
    assert find(tmp_path / "coarse.keras", cache=tmp_path / "cache")[0].least == 32


def test_applications_are_all_in_keras():
    import keras

    assert [name for name in APPLICATIONS if not hasattr(keras.applications, name)] == []


@pytest.mark.slow
def test_prefetch_makes_ready_what_keras_has_downloaded(tmp_path, monkeypatch, capsys):
    import h5py
    import keras
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    # No network in tests: random weights lie where Keras looks before it downloads.
    home = tmp_path / "keras"
    (home / "models").mkdir(parents=True)
    file = home / "models" / "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    with h5py.File(file, "w") as weights:
        net = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(224, 224, 3))
        save_weights_to_hdf5_group(weights, net)
    monkeypatch.setenv("KERAS_HOME", str(home))
    cache = tmp_path / "cache"
    with pytest.raises(SystemExit) as ended:
        main(app, ["--backbone", "MobileNetV2", "--cache", str(cache)])
    assert ended.value.code in (0, None)
    assert "MobileNetV2: 2,257,984 parameters, 1,280 features" in capsys.readouterr().out
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nowhere"))
    (found,) = find("MobileNetV2", cache=cache)  # From the cache: that home has nothing.
    assert backbone_file(cache, found.digest).is_file()


def test_prefetch_without_a_network_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(SystemExit) as ended:
        main(app, ["--backbone", "MobileNet", "--cache", str(tmp_path / "cache")])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert "--backbone MobileNet" in said
    assert "search.prefetch" in said
    assert len(said.splitlines()) == 1
