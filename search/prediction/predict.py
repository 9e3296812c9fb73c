"""The classes of image files, predicted by the model of an export."""

from collections.abc import Sequence
from pathlib import Path

from search.data.base import Say, log_line
from search.data.image_files import is_image, look_into
from search.errors import InputError
from search.formatting import count
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


def find_images(given: Sequence[Path], say: Say = log_line) -> list[Path]:
    """The image files that are given, and those in the folders that are given, found as for training.

    Args:
        given: Image files, which are taken as they are, and folders.
        say: Gets a line about what lies in the folders beside images.

    Returns:
        The files; those of a folder are sorted by their paths. One that is an image and cannot be opened here is among
        them, to be named when it is read.

    Raises:
        InputError: There is none, or a folder cannot be read.
    """
    found: list[Path] = []
    others: list[str] = []
    for path in given:
        if not path.is_dir():
            found.append(path)
            continue
        inside = look_into(path)
        for folder, why in inside.unreadable.items():
            raise InputError(f"{folder}: {why}")
        images = [file.path for file in inside.files if is_image(file.path)]
        others += sorted({file.path for file in inside.files}.difference(images))
        found.extend(map(Path, images))
        if words := inside.not_looked_into():
            say(f"warning: not looked into: {words}")
    if not found:
        names = ", ".join(map(str, given)) or "nothing"
        raise InputError(f"no images in {names}; expected image files or folders of them")
    if others:
        what = count(len(others), "file that is no image", "files that are no images")
        say(f"warning: skipped {what} (the first is {others[0]})")
    return found
