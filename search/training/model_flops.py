"""What a Keras model costs: counted on the built net, where no space has said it beforehand."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

# The weights of a layer that are multiplied at each position of its output.
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def forward_flops(model: "keras.Model") -> int:
    """Floating-point operations of one image's forward pass, 2 for each multiply-add, as ``spaces.arithmetic`` counts.

    Counted are convolutions and dense layers, those of nets within the net too; whatever else a net does
    (normalisation, activations, pooling) is a few percent of that. A layer multiplies each number of its kernel once at
    each position of its output, a transposed convolution at each of its input. One pass of a black image shows how many
    positions there are, since a net within may take images of any size.

    Args:
        model: Takes images of a known size, ``(N, H, W, C)``, or features ``(N, F)``.
    """
    counts: list[int] = []
    with ExitStack() as counted:
        for layer in _leaves(model):
            if numbers := _kernel_numbers(layer):
                _count_calls(layer, numbers, counts, counted)
        model(np.zeros((1, *model.input_shape[1:]), "float32"), training=False)
    return sum(counts)


def _count_calls(layer: Any, numbers: int, counts: list[int], until: ExitStack) -> None:
    """Have a layer add the operations of each of its calls to ``counts``, until the stack is left."""
    call, transposed = layer.call, "Transpose" in type(layer).__name__

    def counted(x: Any, *args: Any, **kwargs: Any) -> Any:
        found = call(x, *args, **kwargs)
        counts.append(2 * numbers * int(np.prod((x if transposed else found).shape[1:-1])))
        return found

    layer.call = counted
    until.callback(delattr, layer, "call")  # What is left is the method of its class.


def _kernel_numbers(layer: Any) -> int:
    """How many numbers its kernels have; 0 where it has none."""
    kernels = (getattr(layer, name, None) for name in KERNELS)
    return sum(int(np.prod(kernel.shape)) for kernel in kernels if kernel is not None)


def _leaves(model: "keras.Model") -> Iterator[Any]:
    """The layers of a net and of the nets within it, each once."""
    return (layer for layer in model._flatten_layers() if not getattr(layer, "layers", None))
