"""The classes of image files, predicted by the model of an export."""

from collections.abc import Sequence
from pathlib import Path

from search.data.folder import IMAGE_ENDINGS
from search.errors import InputError
from search.prediction.loader import batches, classify, quiet_stderr, read_export, read_temperature
from search.prediction.output import Prediction


def predict_images(model: Path, images: Sequence[Path]) -> list[Prediction]:
    """Classify image files with an export.

    Args:
        model: The folder of an export.
        images: Image files of any size; they become pixels as the training images did.

    Returns:
        One prediction a file, in the order given.

    Raises:
        InputError: ``model`` is no export, or there are no images.
    """
    labels, shape = read_export(model)
    temperature = read_temperature(model)
    if not images:
        raise InputError("no images given; expected image files or folders of them")
    with quiet_stderr():
        import keras

        try:
            net = keras.models.load_model(model / "model.keras")
        except (OSError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"--model {model}: model.keras cannot be loaded ({reason}); export it again"
            ) from None
    return [
        prediction
        for batch in batches(images, shape)
        for prediction in classify(net, batch, labels, shape, temperature)
    ]


def find_images(given: Sequence[Path]) -> list[Path]:
    """The image files that are given, and those in the folders that are given, at any depth and sorted by name.

    Raises:
        InputError: There is none.
    """
    found: list[Path] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = (
            file for file in path.rglob("*") if file.name.lower().endswith(IMAGE_ENDINGS) and file.is_file()
        )
        found.extend(sorted(file for file in inside if not file.name.startswith(".")))
    if not found:
        names = ", ".join(map(str, given)) or "nothing"
        raise InputError(
            f"no images in {names}; expected image files or folders of them ({', '.join(sorted(IMAGE_ENDINGS))})"
        )
    return found
