import numpy as np
import optuna
import pytest

from search.config.study_config import StudyConfig, default_max_cost
from spaces import InputSpec, cnn_wide
from spaces.notebook_nets import BEARS, notebook_nets


def first(**changes):
    return cnn_wide.first(InputSpec(32, 32, 3, 10))[0] | changes


def sampled(values, input_spec):
    return cnn_wide.sample(optuna.trial.FixedTrial(values), input_spec)


def test_blocks_that_do_not_fit_are_cut():
    values = first(blocks=4, padding="valid", kernel=3, convolutions=1)
    assert sampled(values, InputSpec(32, 32, 3, 10))["blocks"] == 3  # 32 -> 15 -> 6 -> 2 pixels
    assert sampled(values | {"blocks": 3}, InputSpec(8, 8, 1, 10))["blocks"] == 1


def test_last_block_without_pool_needs_less_room():
    values = first(blocks=3, padding="valid", kernel=3, convolutions=1, last_pool=False)
    assert sampled(values, InputSpec(8, 8, 1, 10))["blocks"] == 2  # 8 -> 3 -> 1


def test_padding_is_same_where_not_one_valid_block_fits():
    params = sampled(first(blocks=2, padding="valid", kernel=5), InputSpec(8, 8, 1, 10))
    assert (params["blocks"], params["padding"]) == (2, "same")


@pytest.mark.parametrize("side", [1, 2, 3])
def test_tiny_images_have_a_net(side):
    input_spec = InputSpec(side, side, 1, 2)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    # Of a net that leaves nothing of its images there is no cost: that raises.
    costs = [
        (cnn_wide.cost(params, input_spec), params)
        for params in (cnn_wide.sample(study.ask(), input_spec) for _ in range(50))
    ]
    cost, params = max(costs, key=lambda one: one[0].flops)
    model = cnn_wide.build(params, input_spec)
    assert sum(weight.numpy().size for weight in model.trainable_weights) == cost.parameters


def test_bounds_are_a_study_s_defaults():
    assert StudyConfig.max_parameters == cnn_wide.MOST_PARAMETERS
    assert round(cnn_wide.MOST_FLOPS_A_PIXEL * 64 * 48) == pytest.approx(default_max_cost(64, 48), abs=1)


def test_filters_go_as_far_as_the_bounds_allow():
    input_spec = InputSpec(32, 32, 3, 10)
    values = first(filters=16)
    widest = cnn_wide.widest(values, input_spec)
    bound = default_max_cost(32, 32)
    assert cnn_wide.cost(values | {"filters": widest}, input_spec).flops <= bound
    assert cnn_wide.cost(values | {"filters": widest + 1}, input_spec).flops > bound


def test_rate_multiplies_the_usual_rate_of_each_optimizer():
    input_spec = InputSpec(32, 32, 3, 10)
    rates = {name: cnn_wide.recipe(first(optimizer=name, rate=0.5), input_spec) for name in ("adam", "sgd")}
    assert {name: recipe.learning_rate for name, recipe in rates.items()} == {"adam": 0.0005, "sgd": 0.075}


def test_adapt_standardizes_each_channel():
    input_spec, values = notebook_nets()["bears"]
    model = cnn_wide.build(values, input_spec)
    images = np.random.default_rng(0).integers(0, 256, (70, BEARS.height, BEARS.width, 3)).astype(np.uint8)
    images[..., 1] //= 4
    images[..., 2] = 7  # constant: left as it is but for the mean
    cnn_wide.adapt(model, images)
    out = np.asarray(model.layers[1](images.astype("float32")), dtype="float64")
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=(0, 1, 2)), [1, 1, 0], atol=1e-4)


def test_logits_are_float32_under_mixed_precision():
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = cnn_wide.build(first(dense_layers=1), InputSpec(8, 8, 1, 10))
    finally:
        keras.config.set_dtype_policy(before)
    assert model.output.dtype == "float32"
    assert model.layers[2].compute_dtype == "float16"
