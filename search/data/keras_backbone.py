"""Make a backbone's file; run as a script by ``backbones``, in a process of its own.

It imports nothing of ours, so that it runs from wherever the package lies. Its last line of output are the facts, as
JSON; whatever is wrong is the last line of its errors.
"""

import hashlib
import json
import socket
import sys
from typing import Any

# What the families of keras.applications want done to pixels from 0 to 255, in layers that any Keras can load.
CAFFE_MEANS = (103.939, 116.779, 123.68)  # of blue, green and red
TORCH_MEANS, TORCH_DEVIATIONS = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

SIZES = (8, 16, 24, 32, 48, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256, 320)


def main(said: str, way: str, out: str) -> None:
    """Write the net from raw pixels to pooled features to ``out``.

    Args:
        said: A name of ``keras.applications``, whose weights are downloaded if Keras has not cached them; or a file.
        way: What its pixels want: ``tf``, ``torch``, ``caffe``, or ``raw`` where the net does it by itself.
        out: The ``.keras`` file to write.
    """
    import keras

    keras.config.set_image_data_format("channels_last")
    application = getattr(keras.applications, said, None)
    if application is not None:
        net = application(include_top=False, weights="imagenet", input_shape=(None, None, 3))
    else:
        net = keras.models.load_model(said, compile=False)
    side = _side(net)
    inputs = keras.Input((side or None, side or None, 3))
    x = net(preprocess(inputs, way))
    if len(x.shape) == 4:
        x = keras.layers.GlobalAveragePooling2D()(x)
    if len(x.shape) != 2 or x.shape[1] is None:
        raise ValueError(
            f"its output has shape {tuple(x.shape)}: expected feature maps (N, h, w, F) or features (N, F)"
        )
    model = keras.Model(inputs, x, name="backbone")
    model.trainable = False
    model.save(out)
    facts: dict[str, Any] = {"features": int(x.shape[1]), "parameters": int(net.count_params()), "side": side}
    facts["least"] = side or _least(model)
    if application is not None:
        facts["digest"] = _digest(said, net)
    print(json.dumps(facts))


def preprocess(x: Any, way: str) -> Any:
    """Layers after which RGB pixels from 0 to 255 are what a family's ``preprocess_input`` makes of them."""
    from keras import layers, ops

    if way == "tf":
        return layers.Rescaling(1 / 127.5, -1.0)(x)
    if way == "torch":
        scale = [1 / (255 * deviation) for deviation in TORCH_DEVIATIONS]
        offset = [-mean / deviation for mean, deviation in zip(TORCH_MEANS, TORCH_DEVIATIONS, strict=True)]
        return layers.Rescaling(scale, offset)(x)
    if way == "caffe":
        return layers.Rescaling(1.0, [-mean for mean in CAFFE_MEANS])(ops.flip(x, axis=-1))
    return x


def _side(net: Any) -> int:
    """The only size that the net takes; 0 for any."""
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise ValueError(f"{len(net.inputs)} inputs and {len(net.outputs)} outputs: expected one of each")
    shape = tuple(net.inputs[0].shape)
    if len(shape) != 4 or shape[3] != 3:
        raise ValueError(f"its input has shape {shape}: expected RGB images (N, H, W, 3)")
    if shape[1] != shape[2]:
        raise ValueError(f"its input has shape {shape}: expected squares, or any size")
    return int(shape[1] or 0)


def _least(model: Any) -> int:
    """The smallest of some sizes that its layers do not shrink to nothing."""
    for size in SIZES:
        try:
            model.compute_output_shape((1, size, size, 3))
        except ValueError:
            continue
        return size
    return SIZES[-1]


def _digest(name: str, net: Any) -> str:
    """Of name and weights: what Keras publishes under a name may change."""
    digest = hashlib.sha256(name.encode())
    for weight in net.get_weights():
        digest.update(weight.tobytes())
    return digest.hexdigest()[:32]


if __name__ == "__main__":
    socket.setdefaulttimeout(30)  # a network that answers nothing would hold us for ever
    main(*sys.argv[1:])
