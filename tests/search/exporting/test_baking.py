"""The temperature inside an exported file."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
from keras import layers

from search.exporting.baking import bake, with_temperature
from search.metrics.inference import below_last_layer


def test_baked_net_gives_its_outputs_divided_and_the_same_features(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    net = keras.Model(inputs, layers.Dense(3)(layers.Dense(2, name="features")(inputs)))
    file = tmp_path / "model.keras"
    net.save(file)
    told: list[dict[str, Any]] = []
    bake({"model": str(file), "temperature": 2.5}, SimpleNamespace(send=told.append))  # type: ignore[arg-type]
    assert told == [{"kind": "done"}]
    assert list(tmp_path.iterdir()) == [file]
    baked, x = keras.models.load_model(file), np.ones((5, 4), np.float32)
    np.testing.assert_allclose(baked.predict_on_batch(x), net.predict_on_batch(x) / 2.5, atol=1e-6)
    assert below_last_layer(baked).output_shape == (None, 2)


def test_answers_to_check_the_baked_file_by_are_divided_and_nothing_else_is_changed(tmp_path: Path) -> None:
    stored = tmp_path / "scores.npz"
    images, logits = np.arange(4, dtype=np.uint8), np.array([[2.0, 4.0]], np.float32)
    np.savez(stored, reload_images=images, reload_logits=logits, other=images)
    with np.load(with_temperature(stored, 2.0, tmp_path / "out.npz")) as found:
        np.testing.assert_array_equal(found["reload_logits"], logits / 2)
        np.testing.assert_array_equal(found["reload_images"], images)
    with np.load(stored) as found:
        np.testing.assert_array_equal(found["reload_logits"], logits)
