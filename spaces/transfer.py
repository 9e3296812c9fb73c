"""The space over a frozen, pretrained backbone: what is searched is a head of 0 to 2 dense layers and its recipe.

The backbone's pooled features, or those of several side by side, are computed once for each image and its mirror
image. A trial trains a small head on them, in seconds, and never sees a pixel. The exported net is backbone and head in
one. A head without dense layers is a logistic regression, which is fitted exactly (``search.training.logistic``); the
default configuration is one.
"""

from typing import TYPE_CHECKING, Any

from spaces.contract import Backbone, Cost, InputSpec, Params, sides
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

VERSION = 2
STANDARDIZE = "standardize"
# The fraction of a backbone's layers with weights, from its end, that a second phase of training trains; at least one.
TUNED = 0.3
# By how much the weight decay of a logistic regression is multiplied, so that the default is scikit-learn's with C =
# 1/30, and the range goes from 1.7 to 0.0008: AdamW decays weights by steps, not by images. By ten folds on features of
# EfficientNet-Lite0, C = 0.1, 0.03 and 0.01 have a cross-entropy of 0.113, 0.113 and 0.113 at the best temperature on
# 245 ants and bees, and of 0.414, 0.407 and 0.403 on 1,192 clothes of ten classes.
PENALTY = 600.0


def sample(trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
    """Sample one configuration; the backbone is sampled only if there are several."""
    names = [backbone.name for backbone in input_spec.backbones]
    return {
        "backbone": trial.suggest_categorical("backbone", names) if len(names) > 1 else names[0],
        "dense_layers": trial.suggest_int("dense_layers", 0, 2),
        "dense_width": trial.suggest_int("dense_width", 64, 2048, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.7),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 2.0, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
    }


def backbone(params: Params, input_spec: InputSpec) -> Backbone:
    """The backbone that ``params`` name."""
    return next(candidate for candidate in input_spec.backbones if candidate.name == params["backbone"])


def cost(params: Params, input_spec: InputSpec) -> Cost:
    """The cost of the head, which is all that a trial trains; the backbone runs once for all trials."""
    parameters = flops = 0
    width = backbone(params, input_spec).features
    for units in [params["dense_width"]] * params["dense_layers"] + [input_spec.classes]:
        parameters += (width + 1) * units
        flops += 2 * width * units
        width = units
    return Cost(parameters, flops)


def frozen(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the frozen part, from raw pixels ``(N, H, W, C)``, 0 to 255, to pooled features ``(N, F)``, float32."""
    import keras
    from keras import layers

    inputs = keras.Input((input_spec.height, input_spec.width, input_spec.channels))
    x = layers.Concatenate(dtype="float32")([inputs] * 3) if input_spec.channels == 1 else inputs
    nets: dict[str, keras.Model] = {}  # One that sees the images at several sizes is the same net.
    features = []
    for part in backbone(params, input_spec).nets:
        if part.file not in nets:
            nets[part.file] = _loaded(part.file, len(nets))
        # In float32 under any policy: trials on a GPU must see what the exported net sees.
        size = input_spec.seen_by(part)
        seen = layers.Resizing(*sides(size), dtype="float32")(x) if size else x
        features.append(nets[part.file](seen, training=False))
    joined = features[0] if len(features) == 1 else layers.Concatenate(dtype="float32")(features)
    return keras.Model(inputs, joined)


def _loaded(file: str, before: int) -> "keras.Model":
    """A backbone's net, frozen; its name tells it from others ``before`` it in the same net."""
    import keras

    net = keras.models.load_model(file)
    if before:
        net = keras.Model(net.inputs, net.outputs[0], name=f"{net.name}_{before + 1}")
    net.trainable = False
    return net


def head(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the head, from features ``(N, F)`` to logits ``(N, classes)``, float32.

    Without dense layers it is a logistic regression.
    """
    import keras
    from keras import layers

    inputs = keras.Input((backbone(params, input_spec).features,))
    # ``adapt`` sets it once. In a net that is built again, the numbers of a Normalization layer would not be weights.
    x = layers.BatchNormalization(center=False, scale=False, trainable=False, name=STANDARDIZE)(inputs)
    for _ in range(params["dense_layers"]):
        x = layers.Dense(params["dense_width"], activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Dropout(params["dropout"])(x)
    # Zeros let the photographs decide, where there are few, and not chance: by cross-validation on 245 of them, 95.5 %
    # of the ants and bees are right instead of 92.8 %.
    logits = layers.Dense(input_spec.classes, kernel_initializer="zeros", dtype="float32")(x)
    return keras.Model(inputs, logits, name="head")


def build(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the whole net, from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``, float32."""
    import keras

    below = frozen(params, input_spec)
    return keras.Model(below.input, head(params, input_spec)(below.output))


def recipe(params: Params, input_spec: InputSpec) -> Recipe:
    """AdamW and one cycle, or an exact fit of what is linear; flips alone, since mirrored images are in the cache."""
    if not params["dense_layers"]:
        return Recipe(optimizer="lbfgs", weight_decay=PENALTY * params["weight_decay"])
    return Recipe(
        optimizer="adam",
        learning_rate=params["learning_rate"],
        weight_decay=params["weight_decay"],
        batch_size=64,
        # A hundred photographs need small batches. On 45,000 images an epoch of large ones takes a third of the time.
        most_steps=200,
    )


def adapt(model: "keras.Model", images: "np.ndarray") -> None:
    """Centre features ``(N, F)`` and scale all by one factor, so that their mean variance is 1.

    A factor for each would blow up a feature that hardly ever changes.
    """
    layer = model.get_layer(STANDARDIZE)
    layer.moving_mean.assign(images.mean(axis=0, dtype="float64"))
    variance = images.var(axis=0, dtype="float64").mean()
    layer.moving_variance.assign([variance] * images.shape[1])


def first(input_spec: InputSpec) -> list[dict[str, Any]]:
    """The configurations to try before any sampling: two logistic regressions and one wide layer for each backbone.

    The second of them is penalised more, as suits fewer images.
    """
    several = len(input_spec.backbones) > 1
    logistic = {
        "dense_layers": 0,
        "dense_width": 512,
        "dropout": 0.2,
        "weight_decay": 0.05,
        "learning_rate": 3e-4,
    }
    stricter = {**logistic, "weight_decay": 0.3}
    wide = {**logistic, "dense_layers": 1, "dense_width": 1024, "dropout": 0.5, "learning_rate": 1e-3}
    return [
        {**({"backbone": pretrained.name} if several else {}), **values}
        for values in (logistic, stricter, wide)
        for pretrained in input_spec.backbones
    ]


def tune(model: "keras.Model") -> None:
    """Make the last part of each backbone in the whole net trainable, except for batch normalisation.

    Layers without weights, such as activations and pooling, are not counted: there is nothing in them to train.
    """
    import keras

    nets = [layer for layer in model.layers if isinstance(layer, keras.Model) and layer.name != "head"]
    for net in nets:
        net.trainable = True
        layers = list(_in_order(net))
        weighted = [
            layer
            for layer in layers
            if layer.trainable_weights and not isinstance(layer, keras.layers.BatchNormalization)
        ]
        late = weighted[-max(1, int(TUNED * len(weighted))) :]
        for layer in layers:
            layer.trainable = any(layer is one for one in late)


def _in_order(net: "keras.Model") -> list["keras.layers.Layer"]:
    """The layers of a net and of the nets inside it, from its input to its output."""
    return [
        inner for layer in net.layers for inner in (_in_order(layer) if hasattr(layer, "layers") else [layer])
    ]
