"""A user's own space: one file of under 30 lines, found from the folder where the command is run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MY_SPACE = '''
"""One convolution block after another, as many as asked for."""

from spaces.arithmetic import CostCounter


def sample(trial, input_spec):
    return {
        "filters": trial.suggest_int("filters", 8, 64, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
    }


def cost(params, input_spec):
    tally = CostCounter.of(input_spec).conv(params["filters"], 3).pool().conv(2 * params["filters"], 3)
    return tally.global_pool().dense(input_spec.classes).cost()


def build(params, input_spec):
    from keras import Input, Sequential, layers

    net = Sequential([Input((input_spec.height, input_spec.width, input_spec.channels))])
    net.add(layers.Rescaling(1 / 255))
    net.add(layers.Conv2D(params["filters"], 3, padding="same", activation="relu"))
    net.add(layers.MaxPooling2D())
    net.add(layers.Conv2D(2 * params["filters"], 3, padding="same", activation="relu"))
    net.add(layers.GlobalAveragePooling2D())
    net.add(layers.Dropout(params["dropout"]))
    net.add(layers.Dense(input_spec.classes, dtype="float32"))
    return net
'''.lstrip()

USE = """
import optuna, spaces
space = spaces.load("my_package.my_space")
input_spec = spaces.InputSpec(8, 8, 1, 10)
params = space.sample(optuna.create_study().ask(), input_spec)
model = space.build(params, input_spec)
assert space.cost(params, input_spec).parameters == model.count_params()
assert model.output_shape == (None, 10)
"""
REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture
def my_space(tmp_path):
    (tmp_path / "my_package").mkdir()
    file = tmp_path / "my_package" / "my_space.py"
    file.write_text(MY_SPACE)
    return file


def run(code, folder):
    """Run ``code`` in ``folder`` as a console script would: the folder itself is not on the path.

    Keras runs on NumPy, which is there in a second; a space knows no backend.
    """
    start = f"import sys; sys.path[:] = [{str(REPOSITORY)!r}, *filter(None, sys.path)]\n"
    return subprocess.run(
        [sys.executable, "-c", start + code],
        cwd=folder,
        env={**os.environ, "KERAS_BACKEND": "numpy"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_user_space_is_under_thirty_lines():
    assert len(MY_SPACE.splitlines()) < 30


def test_user_space_samples_and_builds(my_space):
    done = run(USE, my_space.parents[1])
    assert done.returncode == 0, done.stderr


def test_user_space_with_keras_at_module_level_is_refused(my_space):
    my_space.write_text("import keras\n" + MY_SPACE)
    done = run("import spaces; spaces.load('my_package.my_space')", my_space.parents[1])
    *_, message = done.stderr.splitlines()
    assert message.startswith("ValueError: space my_package.my_space: ")
    assert "imports keras at module level" in message
    assert message.endswith("move the import inside build")
