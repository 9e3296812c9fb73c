import json
from collections.abc import Callable
from pathlib import Path

import keras
import plain_keras
import pytest

SIDE = 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, draw_pictures: Callable[..., Path]) -> Path:
    return draw_pictures(tmp_path_factory.mktemp("photographs"), training=20, test=5)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2)(keras.layers.Rescaling(1 / 255)(inputs))
    file = tmp_path_factory.mktemp("backbone") / "net.keras"
    keras.Model(inputs, x).save(file)
    return file


@pytest.mark.slow
def test_result_has_the_figures_of_each_net(folder: Path, backbone: Path, tmp_path: Path) -> None:
    plain_keras.main(
        [
            "--data", str(folder), "--backbone", str(backbone), "--size", str(SIDE), "--epochs", "2",
            "--out", str(tmp_path),
        ]
    )  # fmt: skip
    found = json.loads((tmp_path / "plain_keras.json").read_text())
    assert found["settings"] == {"data": folder.name, "size": SIDE, "epochs": 2, "seed": 0}
    assert list(found["nets"]) == list(plain_keras.NETS)
    for one in found["nets"].values():
        assert 0 <= one["test_accuracy"] <= 1
        assert 0 < one["minutes"] < 5
    # 7x7 positions of a kernel of 3x3x3x4, and a dense layer from 4 numbers to 2; 40 images, twice.
    forward = 2 * (49 * 108 + 8) * 40 * 2
    assert found["nets"]["transfer"]["flops"] == forward
    assert found["nets"]["fine-tuning"]["flops"] == 4 * forward


def test_net_over_a_backbone_asks_for_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        plain_keras.main(["--data", str(folder), "--net", "transfer"])
    assert "--net transfer: needs --backbone FILE" in capsys.readouterr().err
