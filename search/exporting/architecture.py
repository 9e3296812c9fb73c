"""``model_summary.txt`` and ``architecture.png``: the layers of the exported net, as Keras shows them; and its cost."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.process.channel import Channel
    from search.process.fork_server import ForkServer


SUMMARY, PICTURE = "model_summary.txt", "architecture.png"
# Of the table, in columns.
WIDTH = 110
DPI = 96


def describe(payload: dict[str, Any], channel: "Channel") -> None:
    """Write both files, and count what the net costs: the job of a child.

    Args:
        payload: ``model`` (its file) and ``folder`` (for both files).
        channel: Gets ``done`` with ``note``, why there is no picture, empty where there is one; and ``flops``, see
            ``forward_flops``, None where that would leave out too much.
    """
    import keras

    from search.training.model_flops import forward_flops, uncounted

    model = keras.models.load_model(payload["model"])
    folder = Path(payload["folder"])
    lines: list[str] = []
    # Keras prints through rich, which cuts the table at the terminal's width, and takes 80 where there is none.
    os.environ["COLUMNS"] = str(WIDTH)
    frozen = any(not layer.trainable for layer in model.layers)
    model.summary(line_length=WIDTH, print_fn=lines.append, show_trainable=frozen, expand_nested=True)
    (folder / SUMMARY).write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    note = plot(model, folder / PICTURE)
    channel.send({"kind": "done", "note": note, "flops": None if uncounted(model) else forward_flops(model)})


def plot(model: Any, path: Path) -> str:
    """Draw the model.

    Returns:
        What is missing for that, and how to install it; empty where it was drawn.
    """
    import keras

    if find_spec("pydot") is None:
        return "pydot: run python -m pip install pydot"
    try:
        keras.utils.plot_model(
            model,
            str(path),
            show_shapes=True,
            show_layer_names=True,
            show_layer_activations=True,
            expand_nested=True,
            dpi=DPI,
        )
    except ImportError:  # Keras's way to say that dot does not run
        return "graphviz's dot: apt install graphviz, or brew install graphviz"
    return ""


def describe_in_child(server: "ForkServer", model: Path, folder: Path, log: Path) -> tuple[str, int | None]:
    """Run ``describe`` in a child.

    Returns:
        A line for a person where there is no picture, empty where there is one; and operations of one image's forward
        pass, None where the net has layers whose operations cannot be counted.

    Raises:
        TrialFailed: The child crashed, or memory ran out.
    """
    payload = {"model": str(model), "folder": str(folder)}
    with server.start("search.exporting.architecture:describe", payload, log, 1) as child:
        done = child.result()
    return f"no {PICTURE}: it needs {done['note']}" if done["note"] else "", done["flops"]
