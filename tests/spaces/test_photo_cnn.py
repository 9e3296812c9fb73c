"""The space for photographs: what it fixes, and what it tries first."""

import numpy as np
import optuna
import pytest

from search.config.study_config import StudyConfig, default_max_cost
from spaces import InputSpec, photo_cnn
from spaces.notebook_nets import BEARS, notebook_nets


def test_notebooks_own_net_is_among_the_first_trials():
    _, bears = notebook_nets()["bears"]
    _, notebook = photo_cnn.first(BEARS)
    assert photo_cnn.whole(notebook) == bears
    assert photo_cnn.cost(notebook, BEARS).parameters == 4_498_210


def test_notebooks_own_net_built_has_its_parameters_and_training():
    _, notebook = photo_cnn.first(BEARS)
    model = photo_cnn.build(notebook, BEARS)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == 4_498_210
    recipe = photo_cnn.recipe(notebook, BEARS)
    assert (recipe.optimizer, recipe.learning_rate, recipe.batch(500)) == ("adam", 0.001, 32)
    assert recipe.batch(164) == 8
    assert (recipe.schedule, recipe.augmenter, recipe.augmentation) == ("constant", "photographs", 1.0)


def test_notebooks_own_net_is_a_fixed_trial_in_the_ranges(recwarn):
    for values in photo_cnn.first(BEARS):
        assert photo_cnn.sample(optuna.trial.FixedTrial(values), BEARS) == values
    assert not recwarn.list  # Optuna only warns of a value out of its range


@pytest.mark.parametrize("side", [64, 128, 224, 512])
def test_no_sample_of_photographs_is_too_large(side):
    input_spec = InputSpec(side, side, 3, 5)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(100):
        cost = photo_cnn.cost(photo_cnn.sample(study.ask(), input_spec), input_spec)
        assert cost.flops <= default_max_cost(side, side)
        assert cost.parameters <= StudyConfig.max_parameters


def test_adapt_puts_mean_and_variance_of_the_pixels_into_the_net():
    from keras import layers

    input_spec = InputSpec(16, 16, 3, 2)
    images = np.random.default_rng(0).integers(0, 200, (50, 16, 16, 3), dtype=np.uint8)
    model = photo_cnn.build(photo_cnn.first(input_spec)[0], input_spec)
    photo_cnn.adapt(model, images)
    (layer,) = (layer for layer in model.layers if isinstance(layer, layers.Normalization))
    assert np.allclose(layer.adapt_mean, images.mean((0, 1, 2)), rtol=1e-5)
    assert np.allclose(layer.adapt_variance, images.var((0, 1, 2)), rtol=1e-5)
