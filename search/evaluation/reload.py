"""``python -m search.evaluation.reload MODEL NPZ``: does the exported file say what was scored?

Runs in a process of its own in which nothing of the model was ever built: Keras, numpy and the file must do.
Exit status 0: it does; 1: it does not, and the last line says in what.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.errors import StudyStopped

if TYPE_CHECKING:
    import numpy.typing as npt

SECONDS = 900
TOLERANCE = 1e-4
# A GPU's libraries may choose other kernels in another process, and round to 10 bits (TF32).
TOLERANCE_GPU = 2e-2


def check_reload(model: Path, stored: Path, backend: str) -> None:
    """Run this module in a fresh process.

    Args:
        model: The exported ``.keras`` file.
        stored: See ``compare``.
        backend: Keras's backend.

    Raises:
        StudyStopped: The file does not load there, or says something else.
    """
    run_fresh("search.evaluation.reload", [str(model), str(stored)], backend, "the exported file")


def run_fresh(module: str, arguments: Sequence[str], backend: str, what: str) -> None:
    """Run a module in a process that has imported nothing of ours yet.

    Args:
        module: Ends with exit status 0, or says in its last line of standard error what is wrong.
        arguments: Its command line.
        backend: Keras's, should it load Keras.
        what: It looks at, for the messages.

    Raises:
        StudyStopped: It ended otherwise, or not in time.
    """
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # On a GPU the search may still hold most of the memory.
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    }
    command = [sys.executable, "-m", module, *arguments]
    try:
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise StudyStopped(
            f"{what} did not load in a fresh process in {SECONDS} s; nothing exported"
        ) from None
    if ended.returncode:
        reason = (ended.stderr.strip().splitlines() or [f"exit status {ended.returncode}"])[-1]
        raise StudyStopped(f"{what}, loaded in a fresh process, fails: {reason}; nothing exported")


def compare(model_file: str, stored_file: str) -> str:
    """What differs, or an empty text.

    Args:
        model_file: The exported ``.keras`` file.
        stored_file: ``.npz`` with ``reload_images`` ``(N, H, W, C)``, uint8, and the ``reload_logits``
            ``(N, classes)`` that the scoring job computed for them.
    """
    import keras
    import numpy as np

    from search.evaluation.forward import logits
    from search.training import backends

    tolerance = TOLERANCE if backends.current().use_device(None) == "cpu" else TOLERANCE_GPU
    model = keras.models.load_model(model_file)
    with np.load(stored_file) as stored:
        images, expected = stored["reload_images"], stored["reload_logits"]
    return difference(logits(model, images), expected, tolerance)


def difference(found: "npt.NDArray[Any]", expected: "npt.NDArray[Any]", tolerance: float) -> str:
    """What differs between two models' logits ``(N, classes)`` of the same images, or an empty text."""
    import numpy as np

    from search.evaluation.scores import log_probabilities

    if found.shape != expected.shape or not np.isfinite(found).all():
        return f"outputs of shape {found.shape}, or not all finite, where {expected.shape} were expected"
    said, right = np.exp(log_probabilities(found)), np.exp(log_probabilities(expected))
    most = float(np.abs(said - right).max())
    if not most <= tolerance:
        return f"probabilities differ by up to {most:.2g}, more than {tolerance:.0e}"
    # Two classes nearer to each other than the tolerance may change places; any other change is a fault.
    margin = np.diff(np.sort(right, axis=1)[:, -2:], axis=1)[:, 0]
    changed = int(((said.argmax(1) != right.argmax(1)) & (margin > 2 * tolerance)).sum())
    return f"{changed} of {len(found)} images change their class" if changed else ""


def main(arguments: list[str]) -> int:
    """The command's body: the exit status."""
    problem = compare(*arguments)
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
