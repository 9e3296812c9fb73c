"""What every registered space promises (see ``spaces/contract.py``), over images of several sizes."""

import dataclasses
import functools
import json
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import optuna
import pytest

import spaces
from search.config.study_config import StudyConfig, default_max_cost
from spaces import InputSpec, Recipe

# Keras 3.15's own, once a weight that it saves.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
INPUTS = (
    InputSpec(8, 8, 1, 10),
    InputSpec(28, 28, 1, 10),
    InputSpec(32, 32, 3, 10),
    InputSpec(32, 32, 3, 100),
    InputSpec(64, 48, 3, 2),
)
SAMPLES = 200
MOST_TOO_LARGE = 0.15
FEW = 5


BACKBONES = tuple(
    spaces.Backbone(name=name, said=f"{name}.keras", digest=name, features=features, parameters=1)
    for name, features in (("small", 6), ("smaller", 4))
)


class Case(NamedTuple):
    space: Any
    input_spec: InputSpec


class Built(NamedTuple):
    space: Any
    input_spec: InputSpec
    params: dict[str, Any]
    model: Any
    images: np.ndarray

    def logits(self, model=None):
        from keras import ops

        return ops.convert_to_numpy((model or self.model)(self.images.astype("float32")))


def label(value):
    return f"{value[0]}-{value[1].height}x{value[1].width}x{value[1].channels}-{value[1].classes}"


def seen_by(name, input_spec):
    """The images as a space sees them: one over backbones is given some, at a size of their own."""
    if not spaces.has_backbone(spaces.load(name)):
        return input_spec
    return dataclasses.replace(input_spec, size=40, backbones=BACKBONES)


CASES = [(name, seen_by(name, input_spec)) for name in spaces.REGISTERED for input_spec in INPUTS]
BUILT = [(*case, which) for case in CASES for which in ("first", "other")]


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """The same backbones, with files."""
    import keras

    placed = []
    for backbone in BACKBONES:
        inputs = keras.Input((None, None, 3))
        x = keras.layers.Conv2D(backbone.features, 3, activation="relu")(
            keras.layers.Rescaling(1 / 255)(inputs)
        )
        file = tmp_path_factory.mktemp("backbones") / backbone.said
        keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(x), name="backbone").save(file)
        placed.append(dataclasses.replace(backbone, file=str(file)))
    return tuple(placed)


@pytest.fixture(params=CASES, ids=label)
def case(request):
    name, input_spec = request.param
    return Case(spaces.load(name), input_spec)


@pytest.fixture(scope="module", params=BUILT, ids=lambda v: f"{label(v)}-{v[2]}")
def built(request, backbones):
    """The first net that a study tries, or another, adapted to its images."""
    name, input_spec, which = request.param
    space = spaces.load(name)
    params = chosen(name)[input_spec, which]
    if input_spec.backbones:
        input_spec = dataclasses.replace(input_spec, backbones=backbones)
    shape = (2, input_spec.height, input_spec.width, input_spec.channels)
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    model = space.build(params, input_spec)
    if hasattr(space, "adapt") and not input_spec.backbones:  # That adapts a head, to features.
        space.adapt(model, images)
    return Built(space, input_spec, params, model, images)


@functools.cache
def trials(space, input_spec):
    """Trials of a random sampler, each with the params made of it."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    asked = [study.ask() for _ in range(SAMPLES)]
    return [(trial, space.sample(trial, input_spec)) for trial in asked]


def samples(space, input_spec):
    return [params for _, params in trials(space, input_spec)]


@functools.cache
def fitting(name):
    """A space's samples that fit, by the images that they are for."""
    space = spaces.load(name)
    return {
        input_spec: [
            params
            for params in samples(space, input_spec)
            if fits(space.cost(params, input_spec), input_spec)
        ]
        for case, input_spec in CASES
        if case == name
    }


@functools.cache
def with_few_values(name):
    """A space's parameters that have few values."""
    found = set()
    for input_spec in fitting(name):
        (trial, _), *_ = trials(spaces.load(name), input_spec)
        found |= {parameter for parameter, values in trial.distributions.items() if has_few(values)}
    return found


def settings(name, params):
    """What is chosen in a net, each as ``(parameter, value)``: of those parameters that have few values."""
    return {(parameter, params[parameter]) for parameter in with_few_values(name) & set(params)}


def has_few(distribution):
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return True
    if distribution.log or distribution.step is None:
        return False
    return (distribution.high - distribution.low) / distribution.step < FEW


@functools.cache
def chosen(name):
    """The two nets of each case that are built: the first of a study, and that sample with most that is new.

    New is a setting that no net of the space chosen before has: so few nets have all settings between them.
    """
    space, found = spaces.load(name), {}
    for input_spec in fitting(name):
        values = space.first(input_spec)[0]
        found[input_spec, "first"] = space.sample(optuna.trial.FixedTrial(values), input_spec)
    seen = set().union(*(settings(name, params) for params in found.values()))
    for input_spec, possible in fitting(name).items():
        best = max(possible, key=lambda params: len(settings(name, params) - seen))
        seen |= settings(name, best)
        found[input_spec, "other"] = best
    return found


def fits(cost, input_spec):
    bound = default_max_cost(input_spec.height, input_spec.width)
    return cost.flops <= bound and cost.parameters <= StudyConfig.max_parameters


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_samples_are_plain_values(case):
    for params in samples(*case):
        assert json.loads(json.dumps(params)) == params


def test_samples_have_all_parameters_always_active(case):
    names = {frozenset(trial.params) for trial, _ in trials(*case)}
    assert len(names) == 1


def test_samples_repeat_from_the_same_values(case):
    for trial, params in trials(*case)[:20]:
        assert case.space.sample(optuna.trial.FixedTrial(trial.params), case.input_spec) == params


def test_samples_are_seldom_too_large(case):
    costs = [case.space.cost(params, case.input_spec) for params in samples(*case)]
    too_large = sum(not fits(cost, case.input_spec) for cost in costs)
    assert too_large < MOST_TOO_LARGE * SAMPLES


def test_first_has_a_value_in_range_for_every_parameter(case, recwarn):
    (trial, _), *_ = trials(*case)
    for values in case.space.first(case.input_spec):
        assert set(values) == set(trial.params)
        params = case.space.sample(optuna.trial.FixedTrial(values), case.input_spec)
        assert fits(case.space.cost(params, case.input_spec), case.input_spec)
    # Optuna only warns of a value out of its range.
    assert not [one for one in recwarn.list if not issubclass(one.category, ResourceWarning)]


def test_recipe_is_of_plain_values(case):
    recipe = getattr(case.space, "recipe", lambda *_: Recipe())
    for params in samples(*case)[:20]:
        values = dataclasses.asdict(recipe(params, case.input_spec))
        assert json.loads(json.dumps(values)) == values


@pytest.mark.parametrize("name", spaces.REGISTERED)
def test_nets_built_here_have_every_setting_of_the_space(name):
    possible = [params for samples in fitting(name).values() for params in samples]
    every, built = (
        set().union(*(settings(name, params) for params in some))
        for some in (possible, chosen(name).values())
    )
    assert every <= built


def test_cost_parameters_are_the_built_models(built):
    assert built.space.cost(built.params, built.input_spec).parameters == count(built.model.trainable_weights)


def test_cost_flops_are_those_of_the_built_layers(built):
    flops = 0
    model = built.model.get_layer("head") if built.input_spec.backbones else built.model
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            positions = np.prod(layer.output.shape[1:-1], dtype=int)
            flops += 2 * count([layer.kernel]) * int(positions)
    assert built.space.cost(built.params, built.input_spec).flops == pytest.approx(flops, rel=0.01)


def test_model_gives_float32_logits_of_raw_pixels(built):
    logits = built.logits()
    assert built.model.input_shape[1:] == built.images.shape[1:]
    assert logits.shape == (len(built.images), built.input_spec.classes)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()
    last = built.model.layers[-1]
    assert getattr(last, "layers", [last])[-1].get_config()["activation"] == "linear"


def test_model_gives_the_same_twice(built):
    np.testing.assert_array_equal(built.logits(), built.logits())


def test_model_saved_and_loaded_gives_the_same(built, tmp_path):
    import keras

    built.model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    logits = built.logits()
    np.testing.assert_allclose(built.logits(again), logits, rtol=1e-4, atol=1e-5 * np.abs(logits).max())


def test_model_is_made_of_keras_classes_alone(built):
    assert not [name for name in foreign(built.model.get_config()) if name]


def foreign(config):
    """Names in a model's config that need more than Keras to load, or that carry code."""
    if isinstance(config, dict):
        if "class_name" in config and not str(config.get("module", "keras")).startswith("keras"):
            yield config["class_name"]
        # Keras registers the class of a net inside a net by its own name.
        if config.get("class_name") == "Lambda" or config.get("registered_name") not in (
            None,
            "",
            "Functional",
        ):
            yield config["class_name"]
        config = list(config.values())
    if isinstance(config, list | tuple):
        for value in config:
            yield from foreign(value)


def modules_after(do):
    """Which of some modules a process of its own has imported once it has done this with each space."""
    code = f"""
import sys, spaces
for name in spaces.REGISTERED:
    space = spaces.load(name)
    {do}
    print(name, *sorted({{"keras", "tensorflow", "jax", "torch", "optuna", "sqlalchemy"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name: modules for name, *modules in map(str.split, done.stdout.splitlines())}


def test_loading_needs_no_optuna():
    assert modules_after("pass") == {name: [] for name in spaces.REGISTERED}


def test_sampling_loads_no_framework():
    do = """
    import optuna
    input_spec = spaces.InputSpec(32, 32, 3, 10, 64, (spaces.Backbone("one", "one.keras", "digest", 4, 1),))
    params = space.sample(optuna.create_study().ask(), input_spec)
    space.cost(params, input_spec), space.first(input_spec), space.recipe(params, input_spec)
"""
    assert modules_after(do) == {name: ["optuna"] for name in spaces.REGISTERED}
