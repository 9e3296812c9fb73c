"""The space for photographs: the nets of ``cnn``, smaller ones, trained on stronger views."""

import optuna
import pytest

from search.config.study_config import StudyConfig, default_max_cost
from spaces import InputSpec, cnn, photo_cnn

PHOTOGRAPHS = InputSpec(96, 96, 3, 10)


def test_default_net_is_that_of_cnn_with_half_the_filters():
    (default,), (own, *_) = photo_cnn.first(PHOTOGRAPHS), cnn.first(PHOTOGRAPHS)
    assert default == {**own, "filters": own["filters"] // 2}
    assert photo_cnn.cost(default, PHOTOGRAPHS) == cnn.cost(default, PHOTOGRAPHS)


def test_photographs_are_turned_and_zoomed_while_they_train():
    (default,) = photo_cnn.first(PHOTOGRAPHS)
    recipe = photo_cnn.recipe(default, PHOTOGRAPHS)
    assert (recipe.augmenter, recipe.augmentation) == ("photographs", 1.0)
    assert cnn.recipe(default, PHOTOGRAPHS).augmenter == "shifts"


@pytest.mark.parametrize("side", [64, 128, 224])
def test_few_samples_of_photographs_are_too_large(side):
    input_spec = InputSpec(side, side, 3, 5)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    costs = [photo_cnn.cost(photo_cnn.sample(study.ask(), input_spec), input_spec) for _ in range(100)]
    large = [
        cost
        for cost in costs
        if cost.flops > default_max_cost(side, side) or cost.parameters > StudyConfig.max_parameters
    ]
    assert len(large) < 10
