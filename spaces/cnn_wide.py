"""The wide space: 22 parameters, all always active, in which both notebooks' nets and what people ask for are found.

The net has blocks of [convolutions, max pooling, dropout], then a head, then dense layers. Fifty trials cannot search
so many parameters; ``cnn`` is the space for that.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from spaces.arithmetic import CostCounter
from spaces.contract import Cost, InputSpec, Params
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

VERSION = 1
FEWEST_FILTERS = 16
MOST_FILTERS = 1024
RATES = {"adam": 0.001, "sgd": 0.15}  # What ``rate`` multiplies.
# A study's default bounds: with them 1,024 filters are possible in a small net, but not in a large one.
MOST_PARAMETERS = 30_000_000
MOST_FLOPS_A_PIXEL = 8 * 21.2e6 / (32 * 32)


def sample(trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
    """Sample one configuration: a value for each parameter, with no more blocks than the image size allows.

    ``filters`` comes last, since how many fit under the default bounds on cost depends on all the others.
    """
    params: dict[str, Any] = {
        "blocks": trial.suggest_int("blocks", 1, _most_blocks(input_spec)),
        "growth": trial.suggest_float("growth", 1.0, 2.0, step=0.25),
        "convolutions": trial.suggest_int("convolutions", 1, 2),
        "kernel": trial.suggest_categorical("kernel", (3, 5)),
        "padding": trial.suggest_categorical("padding", ("same", "valid")),
        "batch_norm": trial.suggest_categorical("batch_norm", (False, True)),
        "last_pool": trial.suggest_categorical("last_pool", (False, True)),
        "block_dropout": trial.suggest_float("block_dropout", 0.0, 0.5),
        "last_dropout": trial.suggest_categorical("last_dropout", (False, True)),
        "head": trial.suggest_categorical("head", ("flatten", "average", "max")),
        "dense_layers": trial.suggest_int("dense_layers", 0, 2),
        "dense_width": trial.suggest_int("dense_width", 64, 2048, log=True),
        "dense_dropout": trial.suggest_float("dense_dropout", 0.0, 0.5),
        "dense_l2": trial.suggest_categorical("dense_l2", (0.0, 1e-4, 1e-3, 1e-2)),
        "standardize": trial.suggest_categorical("standardize", (False, True)),
        "optimizer": trial.suggest_categorical("optimizer", ("adam", "sgd")),
        "rate": trial.suggest_float("rate", 0.1, 3.0, log=True),
        "schedule": trial.suggest_categorical("schedule", ("constant", "cosine", "one_cycle")),
        "batch_size": trial.suggest_categorical("batch_size", (32, 64, 128, 256)),
        "label_smoothing": trial.suggest_float("label_smoothing", 0.0, 0.2),
        "augmentation": trial.suggest_float("augmentation", 0.0, 2.0),
    }
    params = _cut(params, input_spec)
    params["filters"] = trial.suggest_int("filters", FEWEST_FILTERS, widest(params, input_spec), log=True)
    return params


def cost(params: Params, input_spec: InputSpec) -> Cost:
    """The cost of the net that ``build`` makes."""
    counter = CostCounter.of(input_spec)
    for block in _blocks(params):
        for _ in range(params["convolutions"]):
            counter.conv(block.filters, params["kernel"], params["padding"], bias=not params["batch_norm"])
            if params["batch_norm"]:
                counter.batch_norm()
        if block.pool:
            counter.pool()
    if params["head"] == "flatten":
        counter.flatten()
    else:
        counter.global_pool()
    for _ in range(params["dense_layers"]):
        counter.dense(params["dense_width"])
    return counter.dense(input_spec.classes).cost()


def build(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the net, from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``, float32."""
    from keras import Input, Model, layers, regularizers

    inputs = Input((input_spec.height, input_spec.width, input_spec.channels))
    x = layers.Normalization()(inputs) if params["standardize"] else layers.Rescaling(1 / 255)(inputs)
    for block in _blocks(params):
        for _ in range(params["convolutions"]):
            normed = params["batch_norm"]
            x = layers.Conv2D(
                block.filters, params["kernel"], padding=params["padding"], use_bias=not normed
            )(x)
            if normed:
                # Keras's default momentum of 0.99 needs more steps than a short trial on few images has.
                x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.Activation("relu")(x)
        if block.pool:
            x = layers.MaxPooling2D()(x)
        if block.dropout:
            x = layers.Dropout(block.dropout)(x)
    heads = {
        "flatten": layers.Flatten,
        "average": layers.GlobalAveragePooling2D,
        "max": layers.GlobalMaxPooling2D,
    }
    x = heads[params["head"]]()(x)
    for _ in range(params["dense_layers"]):
        l2 = regularizers.L2(params["dense_l2"]) if params["dense_l2"] else None
        x = layers.Dense(params["dense_width"], activation="relu", kernel_regularizer=l2)(x)
        if params["dense_dropout"]:
            x = layers.Dropout(params["dense_dropout"])(x)
    # float32 also under mixed precision: a softmax over half-precision logits loses small probabilities.
    return Model(inputs, layers.Dense(input_spec.classes, dtype="float32")(x))


def recipe(params: Params, input_spec: InputSpec) -> Recipe:
    """The configuration's recipe; it has no weight decay besides ``dense_l2``, and no averaged weights."""
    return Recipe(
        optimizer=params["optimizer"],
        learning_rate=params["rate"] * RATES[params["optimizer"]],
        weight_decay=0.0,
        schedule=params["schedule"],
        batch_size=params["batch_size"],
        label_smoothing=params["label_smoothing"],
        ema=0.0,
        augmentation=params["augmentation"],
    )


def adapt(model: "keras.Model", images: "np.ndarray") -> None:
    """Set the mean and variance of a net that standardizes, from training images ``(N, H, W, C)``, uint8."""
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            mean, variance = _moments(images)
            layer.adapt_mean.assign(mean)
            layer.adapt_variance.assign(variance)
            layer.finalize_state()


def first(input_spec: InputSpec) -> list[dict[str, Any]]:
    """The configuration to try before any sampling: the one nearest to the recipe that ``cnn`` grew from."""
    values: dict[str, Any] = {
        "blocks": min(3, _most_blocks(input_spec)),
        "filters": 32,
        "growth": 1.75,
        "convolutions": 2,
        "kernel": 3,
        "padding": "same",
        "batch_norm": True,
        "last_pool": True,
        "block_dropout": 0.0,
        "last_dropout": False,
        "head": "max",
        "dense_layers": 0,
        "dense_width": 128,
        "dense_dropout": 0.0,
        "dense_l2": 0.0,
        "standardize": True,
        "optimizer": "sgd",
        "rate": 1.0,
        "schedule": "one_cycle",
        "batch_size": 128,
        "label_smoothing": 0.1,
        "augmentation": 1.0,
    }
    return [values]


class _Block(NamedTuple):
    filters: int
    pool: bool
    dropout: float


def _blocks(params: Params) -> Iterator[_Block]:
    """The blocks of a net, from its input on."""
    last = params["blocks"] - 1
    for index in range(params["blocks"]):
        yield _Block(
            filters=round(params["filters"] * params["growth"] ** index),
            pool=index < last or params["last_pool"],
            dropout=params["block_dropout"] if index < last or params["last_dropout"] else 0.0,
        )


def _most_blocks(input_spec: InputSpec) -> int:
    """How many times an image can be halved until one pixel is left; at most 4."""
    return max(1, min(4, min(input_spec.height, input_spec.width).bit_length() - 1))


def _cut(params: Params, input_spec: InputSpec) -> dict[str, Any]:
    """``params`` with as many of their blocks as the image size allows; with padding ``same`` if it allows none."""
    for padding in (params["padding"], "same"):
        for blocks in range(params["blocks"], 0, -1):
            cut = {**params, "padding": padding, "blocks": blocks}
            try:
                cost({**cut, "filters": FEWEST_FILTERS}, input_spec)
            except ValueError:  # Nothing would be left of the image.
                continue
            return cut
    return {**params, "padding": "same", "blocks": 1, "last_pool": False}


def widest(params: Params, input_spec: InputSpec) -> int:
    """The most filters with which the net stays under the default bounds; ``FEWEST_FILTERS`` if it never does."""
    low, high = FEWEST_FILTERS, MOST_FILTERS
    while low < high:
        filters = (low + high + 1) // 2
        size = cost({**params, "filters": filters}, input_spec)
        flops = MOST_FLOPS_A_PIXEL * input_spec.height * input_spec.width
        if size.parameters <= MOST_PARAMETERS and size.flops <= flops:
            low = filters
        else:
            high = filters - 1
    return low


def _moments(images: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """The exact mean and variance of each channel, from counts of the 256 values, a few images at a time."""
    import numpy as np

    channels = images.shape[-1]
    counts = np.zeros((channels, 256))
    step = max(1, 1_000_000 // images[0].size)
    for start in range(0, len(images), step):
        pixels = np.asarray(images[start : start + step])
        for channel in range(channels):
            counts[channel] += np.bincount(pixels[..., channel].ravel(), minlength=256)
    weights = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256)
    mean = weights @ values
    # At least 1: a channel that is constant in training must not blow up whatever differs from it later.
    return mean, np.maximum(weights @ values**2 - mean**2, 1.0)
