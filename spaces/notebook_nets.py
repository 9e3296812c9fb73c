"""The nets of the two notebooks that this project grew from, as values of the parameters of ``cnn_wide``.

Each can be tried as a trial with fixed values, with Optuna's ``study.enqueue_trial``.
"""

from typing import Any

from spaces.contract import InputSpec

CIFAR10 = InputSpec(32, 32, 3, 10)
BEARS = InputSpec(128, 128, 3, 2)

_ONE_LAYER: dict[str, Any] = {
    "blocks": 1,
    "filters": 32,
    "growth": 2.0,
    "convolutions": 1,
    "kernel": 3,
    "padding": "valid",
    "batch_norm": False,
    "last_pool": True,
    "block_dropout": 0.0,
    "last_dropout": False,
    "head": "flatten",
    "dense_layers": 1,
    "dense_width": 128,
    "dense_dropout": 0.0,
    "dense_l2": 0.0,
    "standardize": False,
    "optimizer": "adam",
    "rate": 1.0,
    "schedule": "constant",
    "batch_size": 64,
    "label_smoothing": 0.0,
    "augmentation": 0.0,
}
_THREE_LAYERS = _ONE_LAYER | {
    "blocks": 3,
    "padding": "same",
    "last_pool": False,
    "head": "average",
    "dense_width": 2048,
}
_BEARS = _ONE_LAYER | {
    "blocks": 3,
    "convolutions": 2,
    "padding": "same",
    "block_dropout": 0.15,
    "dense_layers": 2,
    "dense_dropout": 0.25,
    "dense_l2": 0.001,
    "standardize": True,
    "batch_size": 32,
    "augmentation": 1.0,
}


def notebook_nets() -> dict[str, tuple[InputSpec, dict[str, Any]]]:
    """Every net of the notebooks that is not pretrained: by its name, the images that it is for and its values."""
    nets = {
        "one layer": (CIFAR10, _ONE_LAYER),
        "three layers": (CIFAR10, _THREE_LAYERS),
        "bears": (BEARS, _BEARS),
    }
    for filters in (16, 32, 64, 128, 256, 512, 1024):
        nets[f"{filters} filters"] = (CIFAR10, _ONE_LAYER | {"filters": filters})
    for width in (64, 128, 256, 512, 1024, 2048):
        nets[f"dense {width}"] = (CIFAR10, _ONE_LAYER | {"filters": 64, "dense_width": width})
    return {name: (input_spec, dict(values)) for name, (input_spec, values) in nets.items()}
