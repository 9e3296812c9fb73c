"""A tracker that follows a study's trials, as it is typed: ``tensorboard``, or ``mlflow:http://127.0.0.1:5000``."""

import os
import re
from importlib.util import find_spec
from typing import NamedTuple

from search.config.interpreter import to_install
from search.config.value_types import as_path
from search.errors import InputError

TENSORBOARD, MLFLOW = "tensorboard", "mlflow"
# By tracker, the package that is imported.
PACKAGES = {TENSORBOARD: "tensorboard", MLFLOW: "mlflow"}
MLFLOW_ADDRESS = "MLFLOW_TRACKING_URI"


class TrackerWord(NamedTuple):
    """A tracker and where it is told to write.

    Attributes:
        name: One of ``PACKAGES``.
        where: A folder for TensorBoard, empty for one in the study's own; a tracking URI for MLflow.
    """

    name: str
    where: str


def parse_tracker(flag: str, word: str) -> TrackerWord:
    """The tracker that a word names.

    Args:
        flag: Named in the message.
        word: What was given.

    Raises:
        InputError: There is no such tracker, it is not installed, it is not said where it shall write, or its
            folder is in the home of a user who is unknown here.
    """
    name, colon, where = word.partition(":")
    if name not in PACKAGES or (colon and not where):
        raise InputError(
            f"{flag} {shown(word)}: expected tensorboard, tensorboard:FOLDER, mlflow:URI, or mlflow for the URI in "
            f"{MLFLOW_ADDRESS}"
        )
    if find_spec(PACKAGES[name]) is None:
        raise InputError(f"{flag} {name}: not installed here; {to_install(name)}, or leave it out")
    if name == TENSORBOARD and where:
        where = str(as_path(flag, where))
    if name == MLFLOW:
        if shown(where) != where:
            raise InputError(
                f"{flag} {shown(word)}: every user of this host can read the password (ps); put the address into "
                f"{MLFLOW_ADDRESS} and give {flag} mlflow"
            )
        where = where or os.environ.get(MLFLOW_ADDRESS, "")
        if not re.match(r"databricks|[a-z0-9+]+:", where):
            raise InputError(
                f"{flag} {word}: expected a URI, such as mlflow:http://127.0.0.1:5000 of a server or "
                f"mlflow:sqlite:///mlflow.db, a file, or one in {MLFLOW_ADDRESS}"
            )
    return TrackerWord(name, where)


def shown(address: str) -> str:
    """An address, or a word that holds one, without the name and the password in it."""
    return re.sub(r"://[^/@]*:[^/@]*@", "://", address)
