"""Every net of the two notebooks, as a fixed trial of ``cnn_wide``, with its trainable parameters."""

import warnings

import optuna
import pytest

from spaces import cnn_wide
from spaces.notebook_nets import notebook_nets

NETS = notebook_nets()


def one_layer(filters, width):
    """Conv 3x3 valid on 32x32x3, MaxPool 2, Flatten, Dense, Dense 10, by hand."""
    return (27 * filters + filters) + (15 * 15 * filters * width + width) + (width * 10 + 10)


TRAINABLE = {
    "one layer": 923_914,
    "three layers": 377_930,
    "bears": 4_498_210,
    **{f"{filters} filters": one_layer(filters, 128) for filters in (16, 32, 64, 128, 256, 512, 1024)},
    **{f"dense {width}": one_layer(64, width) for width in (64, 128, 256, 512, 1024, 2048)},
}


def test_notebook_nets_are_all_there():
    assert set(NETS) == set(TRAINABLE)


@pytest.mark.parametrize("name", NETS)
def test_notebook_net_has_its_parameters(name):
    input_spec, values = NETS[name]
    assert cnn_wide.cost(values, input_spec).parameters == TRAINABLE[name]


@pytest.mark.parametrize("name", NETS)
def test_notebook_net_is_a_fixed_trial_in_the_ranges(name):
    input_spec, values = NETS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Optuna only warns of a value out of its range
        assert cnn_wide.sample(optuna.trial.FixedTrial(values), input_spec) == values


def test_notebook_sweeps_end_where_the_notebook_says():
    assert TRAINABLE["16 filters"] // 1000 == 462
    assert TRAINABLE["1024 filters"] // 100_000 == 295
    assert TRAINABLE["dense 2048"] // 100_000 == 295


@pytest.mark.parametrize("name", ["one layer", "16 filters", "three layers", "bears"])
def test_notebook_net_built_has_its_parameters(name):
    input_spec, values = NETS[name]
    model = cnn_wide.build(values, input_spec)
    assert sum(weights.numpy().size for weights in model.trainable_weights) == TRAINABLE[name]


def test_notebook_three_layers_has_the_notebook_layers():
    input_spec, values = NETS["three layers"]
    layers = [type(layer).__name__ for layer in cnn_wide.build(values, input_spec).layers]
    convolution = ["Conv2D", "Activation"]
    assert layers == [
        *("InputLayer", "Rescaling"),
        *(*convolution, "MaxPooling2D", *convolution, "MaxPooling2D", *convolution),
        *("GlobalAveragePooling2D", "Dense", "Dense"),
    ]


def test_notebook_bears_has_the_notebook_dropouts_and_l2():
    input_spec, values = NETS["bears"]
    layers = [layer.get_config() for layer in cnn_wide.build(values, input_spec).layers]
    dropouts = [layer["rate"] for layer in layers if "rate" in layer]
    penalties = [layer["kernel_regularizer"] for layer in layers if "units" in layer]
    assert dropouts == [0.15, 0.15, 0.25, 0.25]
    assert [penalty and round(penalty["config"]["l2"], 6) for penalty in penalties] == [0.001, 0.001, None]


@pytest.mark.parametrize(("name", "batch"), [("one layer", 64), ("three layers", 64), ("bears", 32)])
def test_notebook_net_trains_as_in_the_notebook(name, batch):
    input_spec, values = NETS[name]
    recipe = cnn_wide.recipe(values, input_spec)
    assert (recipe.optimizer, recipe.learning_rate, recipe.batch_size) == ("adam", 0.001, batch)
    assert (recipe.schedule, recipe.weight_decay, recipe.label_smoothing) == ("constant", 0.0, 0.0)
