"""What a Keras model costs: counted on the built net, where no space has said it beforehand."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import keras

# The weights of a layer that are multiplied at each position of its output.
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")
# Layers that multiply what they are given by itself, or the same weights a number of times that no shape tells.
BEYOND = (
    "AdditiveAttention", "Attention", "BaseConvLSTM", "Bidirectional", "Dot", "GroupedQueryAttention",
    "MultiHeadAttention", "RNN", "TimeDistributed",
)  # fmt: skip
# Layers with weights of several axes that are looked up, added or multiplied once a number.
LIGHT = ("Embedding", "PReLU")
# Functions of keras.ops in a net that multiply matrices.
PRODUCTS = ("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose", "Dot", "Einsum", "Inner", "Matmul", "Outer",
    "Tensordot", "Vdot", "DotProductAttention")  # fmt: skip


def forward_flops(model: "keras.Model") -> int:
    """Floating-point operations of one image's forward pass, 2 for each multiply-add, as ``spaces.arithmetic`` counts.

    Counted are convolutions and dense layers, those of nets within the net too; whatever else a net does
    (normalisation, activations, pooling) is a few percent of that. What is more and not counted, ``uncounted`` names. A
    layer multiplies each number of its kernel once at each position of its output, a transposed convolution at each of
    its input. One pass of a black image shows how many positions there are, since a net within may take images of any
    size.

    Args:
        model: Takes images of a known size, ``(N, H, W, C)``, or features ``(N, F)``.
    """
    counts: list[int] = []
    with ExitStack() as counted:
        for layer in _leaves(model):
            if _kernel_numbers(layer):
                _count_calls(layer, counts, counted)
        model(np.zeros((1, *model.input_shape[1:]), "float32"), training=False)
    return sum(counts)


def uncounted(model: "keras.Model") -> list[str]:
    """The classes of what a net may spend much on and ``forward_flops`` does not count, such as ``LSTM``, each once.

    They are attention and recurrent layers, matrix products of ``keras.ops``, and layers of other kinds whose weights
    have several axes. An operation inside a layer of the user's own class cannot be seen.
    """
    found = {type(layer).__name__: None for layer in model._flatten_layers() if _is_beyond(layer)}
    for net in (model, *(layer for layer in model._flatten_layers() if getattr(layer, "layers", None))):
        for operation in getattr(net, "operations", ()):
            name = type(operation).__name__
            if name in PRODUCTS and not hasattr(operation, "weights"):
                found[name] = None
    return list(found)


def built_cost(model: "keras.Model") -> dict[str, Any]:
    """What a built net costs, to be compared with what its space says.

    Returns:
        ``built_parameters``, the trainable ones; ``built_flops``, see ``forward_flops``; and ``uncounted``.
    """
    flops, beyond = 0, uncounted(model)
    try:
        flops = forward_flops(model)
    except Exception as error:  # It can be trained all the same, perhaps in batches of another size alone.
        beyond.append(f"a net of one image ({type(error).__name__})")
    return {
        "built_parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "built_flops": flops,
        "uncounted": beyond,
    }


def _count_calls(layer: Any, counts: list[int], until: ExitStack) -> None:
    """Have a layer add the operations of each of its calls to ``counts``, until the stack is left."""
    call = layer.call

    def counted(*args: Any, **kwargs: Any) -> Any:
        found, (x, *_) = call(*args, **kwargs), (*args, *kwargs.values())
        if hasattr(found, "shape"):  # Not of a recurrent layer's cell, which gives its states, too.
            counts.append(2 * _multiplications(layer, x.shape, found.shape))
        return found

    layer.call = counted
    until.callback(delattr, layer, "call")  # What is left is the method of its class.


def _multiplications(layer: Any, given: Sequence[int], found: Sequence[int]) -> int:
    """How often a call of a layer multiplies, from the shapes of its input and its output."""
    # Of an einsum, such as "abc,cd->abd": each index of either side meets all others.
    if hasattr(layer, "equation"):
        inputs, _, kernel = layer.equation.partition("->")[0].partition(",")
        new = [size for index, size in zip(kernel, layer.kernel.shape, strict=True) if index not in inputs]
        return int(np.prod([*given[1:], *new]))
    shape = given if "Transpose" in type(layer).__name__ else found
    first = getattr(layer, "data_format", None) == "channels_first"
    return _kernel_numbers(layer) * int(np.prod(shape[2:] if first else shape[1:-1]))


def _kernel_numbers(layer: Any) -> int:
    """How many numbers its kernels have; 0 where it has none."""
    kernels = (getattr(layer, name, None) for name in KERNELS)
    return sum(int(np.prod(kernel.shape)) for kernel in kernels if kernel is not None)


def _is_beyond(layer: Any) -> bool:
    names = _kinds(layer)
    if names & set(BEYOND):
        return True
    if getattr(layer, "layers", None) or names & set(LIGHT) or type(layer).__name__.endswith("Normalization"):
        return False
    own = [weight for weight in layer._trainable_variables if len(weight.shape) > 1]
    return bool(own) and not _kernel_numbers(layer)


def _leaves(model: "keras.Model") -> Iterator[Any]:
    """The layers of a net and of the nets within it, each once; not wrappers, which show what is within."""
    leaves = (layer for layer in model._flatten_layers() if not getattr(layer, "layers", None))
    return (layer for layer in leaves if "Wrapper" not in _kinds(layer))


def _kinds(layer: Any) -> set[str]:
    """The names of its class and of all classes that this is one of."""
    return {kind.__name__ for kind in type(layer).__mro__}
