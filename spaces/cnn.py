"""The default space: eight parameters, all always active, around a recipe that is good before any search.

The net is a frozen 2x2 convolution that whitens patches, then blocks of [Conv 3x3, MaxPool 2, BatchNorm, silu, Conv
3x3, BatchNorm, silu], a global maximum, one dense layer, dropout and the logits. It follows Page's and Jordan's nets
for CIFAR-10 (airbench94, https://arxiv.org/abs/2404.00498), in plain Keras layers, and is trained by Muon. What was
tried of the recipe, one thing at a time: ``benchmarks/recipe.py``.
"""

from typing import TYPE_CHECKING, Any

from spaces.arithmetic import CostCounter
from spaces.contract import Cost, InputSpec, Params
from spaces.recipe import Recipe

if TYPE_CHECKING:
    import keras
    import numpy as np
    import optuna

VERSION = 2
FILTERS = (16, 96)
# How often the default is to see its images, about; see ``first``.
PASSES = 10
MOST_BLOCKS = 6
MOST_FILTERS = 512
PATCH = 2
# What ``rate`` multiplies: of kernels (the part of them that a step changes), and of all other weights.
KERNEL_RATE = 0.12
RATE = 0.3
# What the last layer is given is made so much smaller, so that it learns more slowly than the others (as airbench's).
LOGIT_SCALE = 1 / 9
SMALLEST_BATCH = 16
MOST_PATCHES = 500_000
# It is added to the variances of the patches before they are divided by, so that noise is not blown up.
WHITENING_EPSILON = 5e-4


def sample(trial: "optuna.trial.BaseTrial", input_spec: InputSpec) -> dict[str, Any]:
    """Sample one configuration; the image size decides the range of the depth."""
    return sample_of(trial, input_spec, FILTERS)


def sample_of(
    trial: "optuna.trial.BaseTrial", input_spec: InputSpec, filters: tuple[int, int]
) -> dict[str, Any]:
    """Sample one configuration whose first block has from the one to the other of ``filters``."""
    deepest = _deepest(input_spec)
    return {
        "blocks": trial.suggest_int("blocks", max(1, deepest - 2), deepest),
        "filters": trial.suggest_int("filters", *filters, log=True),
        "growth": trial.suggest_float("growth", 1.0, 2.0, step=0.25),
        "dense_width": trial.suggest_int("dense_width", 32, 512, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "rate": trial.suggest_float("rate", 0.25, 4.0, log=True),
        "steps": trial.suggest_int("steps", 16, 160, log=True),
        "augmentation": trial.suggest_float("augmentation", 0.0, 2.0),
    }


def cost(params: Params, input_spec: InputSpec) -> Cost:
    """The cost of the net that ``build`` makes."""
    counter = CostCounter.of(input_spec).conv(_patch_filters(input_spec), PATCH, "valid", bias=False)
    counter.parameters = 0  # The whitening is computed, not trained.
    for filters in _filters(params):
        counter.conv(filters, 3, bias=False).pool().batch_norm()
        counter.conv(filters, 3, bias=False).batch_norm()
    return counter.global_pool().dense(params["dense_width"]).dense(input_spec.classes).cost()


def build(params: Params, input_spec: InputSpec) -> "keras.Model":
    """Build the net, from raw pixels ``(N, H, W, C)``, 0 to 255, to logits ``(N, classes)``, float32."""
    from keras import Input, Model, layers

    def norm(x: Any) -> Any:
        # A short training has too few steps for Keras's default momentum of 0.99.
        return layers.Activation("silu")(layers.BatchNormalization(momentum=0.8, epsilon=1e-5)(x))

    inputs = Input((input_spec.height, input_spec.width, input_spec.channels))
    x = layers.Normalization()(inputs)
    x = layers.Conv2D(
        _patch_filters(input_spec),
        PATCH,
        use_bias=False,
        trainable=False,
        activation="silu",
        name="whitening",
    )(x)
    for filters in _filters(params):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = norm(layers.MaxPooling2D()(x))
        x = norm(layers.Conv2D(filters, 3, padding="same", use_bias=False)(x))
    x = layers.GlobalMaxPooling2D()(x)
    x = layers.Dense(params["dense_width"], activation="silu")(x)
    if params["dropout"]:
        x = layers.Dropout(params["dropout"])(x)
    x = layers.Rescaling(LOGIT_SCALE)(x)
    # float32 also under mixed precision: a softmax over half-precision logits loses small probabilities.
    return Model(inputs, layers.Dense(input_spec.classes, dtype="float32")(x))


def recipe(params: Params, input_spec: InputSpec) -> Recipe:
    """Muon, with the configuration's learning rate and augmentation, and at most ``steps`` steps a pass.

    A pass over five times as many images has as many steps then, of batches that are about five times as large, so that
    a rate that was found on a part of the images is right for all of them.
    """
    return Recipe(
        optimizer="muon",
        kernel_rate=KERNEL_RATE * params["rate"],
        learning_rate=RATE * params["rate"],
        weight_decay=1e-3,
        batch_size=SMALLEST_BATCH,
        most_steps=params["steps"],
        label_smoothing=0.1,
        augmentation=params["augmentation"],
        both_views=True,
    )


def adapt(model: "keras.Model", images: "np.ndarray") -> None:
    """Set the mean, the variance and the whitening filters from training images ``(N, H, W, C)``, uint8."""
    from keras import layers

    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            mean, deviation = images.mean((0, 1, 2)), images.std((0, 1, 2)) + 1e-3
            layer.adapt_mean.assign(mean)
            layer.adapt_variance.assign(deviation**2)
            layer.finalize_state()
    model.get_layer("whitening").set_weights([whitening_filters(images, mean, deviation)])


def whitening_filters(images: "np.ndarray", mean: "np.ndarray", deviation: "np.ndarray") -> "np.ndarray":
    """Filters whose responses to the patches of standardized images are uncorrelated and have variance 1.

    They are the eigenvectors of the patches' covariance, each divided by the root of its eigenvalue, and their
    negatives.

    Args:
        images: Training images ``(N, H, W, C)``, uint8.
        mean: The mean of each channel, ``(C,)``.
        deviation: The standard deviation of each channel, ``(C,)``.

    Returns:
        Filters ``(2, 2, C, 8 * C)``, float32.
    """
    import numpy as np

    pixels = images.shape[1] * images.shape[2]
    images = images[:: max(1, len(images) * pixels // MOST_PATCHES)]  # Enough of them for a small covariance.
    images = ((images - mean) / deviation).astype("float32")
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    # From (N, H', W', C, 2, 2) to one row a patch, in a kernel's order: height, width, channel.
    patches = np.moveaxis(windows, 3, 5).reshape(-1, PATCH * PATCH * images.shape[-1])
    variances, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = vectors / np.sqrt(np.maximum(variances, 0.0) + WHITENING_EPSILON)
    both: np.ndarray = np.concatenate([filters, -filters], axis=1)
    return both.reshape(PATCH, PATCH, images.shape[-1], -1).astype("float32")


def first(input_spec: InputSpec) -> list[dict[str, Any]]:
    """The default configuration, and the same net wider and narrower.

    The more compute there is for an image, the larger the best net. Nets of 32 filters were the best where they make 8
    passes over the images (CIFAR-10, 10 TFLOP on 10,000 images), and those of 64, which make 8, where nets of 32 make
    33 (0.18 PFLOP on 45,000; docs/measurements.md). So the default has 32 filters, unless it would make less than half
    or more than twice ``PASSES``; then it is as wide as makes about so many. A net's cost grows with the square of its
    width: with compute for 33 passes of 32 filters it has 32 * sqrt(33 / 10) = 58, in multiples of 8 56.
    """
    default = {
        "blocks": max(1, _deepest(input_spec) - 1),
        "filters": 32,
        "growth": 2.0,
        "dense_width": 128,
        "dropout": 0.1,
        "rate": 1.0,
        "steps": 50,
        "augmentation": 1.0,
    }
    ratio = input_spec.compute / (3 * cost(default, input_spec).flops * PASSES)
    if ratio and not 0.5 <= ratio <= 2:
        default["filters"] = _width(default["filters"] * ratio**0.5)
    others = {_width(default["filters"] * times) for times in (1.75, 0.6)} - {default["filters"]}
    return [default, *({**default, "filters": filters} for filters in sorted(others, reverse=True))]


def _width(filters: float) -> int:
    """The nearest width of the space that fills vector units."""
    return min(max(round(filters / 8) * 8, FILTERS[0]), FILTERS[1])


def _deepest(input_spec: InputSpec) -> int:
    """How many times what the whitening leaves can be halved until one pixel is left; at most ``MOST_BLOCKS``."""
    side = min(input_spec.height, input_spec.width) - PATCH + 1
    return max(1, min(MOST_BLOCKS, side.bit_length() - 1))


def _filters(params: Params) -> list[int]:
    """The filters of each block, in multiples of 8, which suit vector units."""
    growing = (params["filters"] * params["growth"] ** index for index in range(params["blocks"]))
    return [min(MOST_FILTERS, round(filters / 8) * 8) for filters in growing]


def _patch_filters(input_spec: InputSpec) -> int:
    return 2 * PATCH * PATCH * input_spec.channels
