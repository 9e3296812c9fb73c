"""Hyperparameter search for Keras image classifiers: ``from search import run_study``.

At the root lie the commands (``python -m search.run``); the rooms beside them are described in
``docs/architecture.md``. Two laws shape them: the process that talks to the database never loads a deep-learning
framework, and the search never sees the test images. Importing ``search`` imports nothing heavy: its functions are
found when first asked for.
"""

# ruff: noqa: E402

from search.hidden_modules import refuse_hidden_modules

refuse_hidden_modules()  # Before an import takes what is hidden.

import logging
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.data.preparation import prepare
    from search.prediction.predict import predict_images
    from search.reporting.report import report_study
    from search.study.listing import list_studies
    from search.workflows.export import export_study
    from search.workflows.run import run_study

__all__ = ["export_study", "list_studies", "predict_images", "prepare", "report_study", "run_study"]


def lazily(package: str, **modules: str) -> Callable[[str], Any]:
    """A package's ``__getattr__`` (PEP 562): a name is imported when it is first asked for.

    The two laws and a ``--help`` that comes at once depend on packages that import nothing by themselves.

    Args:
        package: Its full name.
        modules: For each module of the package, the names that it offers, separated by spaces.
    """
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def get(name: str) -> Any:
        if name not in homes:
            offered = ", ".join(sorted(homes))
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it offers {offered}")
        return getattr(import_module(f"{package}.{homes[name]}"), name)

    return get


# Back to the line's begin, and all of it gone.
CLEARED = "\r\x1b[K"


def _typed_here(text: str) -> Any:
    return import_module(f"{__name__}.config.interpreter").as_typed_here(text)


class _Lines(logging.Handler):
    """Shows what this program says as plain lines, on whatever is standard output at that moment.

    As Optuna's does it stands on our own loggers alone; who wants other lines takes it off:
    ``logging.getLogger("search").handlers.clear()``.
    """

    # Seconds of silence after which a file or a pipe gets a line that is only for passing.
    patience = 30.0

    def __init__(self) -> None:
        super().__init__()
        self._said, self._stands = time.monotonic(), False

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        line: str = _typed_here(f"{prefix}{record.getMessage()}")
        passing = getattr(record.msg, "passing", False)
        in_place = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        if passing and not in_place and time.monotonic() - self._said < self.patience:
            return
        before = CLEARED if self._stands else ""
        self._said, self._stands = time.monotonic(), passing and in_place
        if self._stands:  # As much as fits: a line that the terminal wraps cannot be taken back.
            print(f"{before}{line[: shutil.get_terminal_size().columns - 1]}", end="", flush=True)
        else:
            print(f"{before}{line}", flush=True)


for _name in ("search", "spaces", "storage"):
    if not logging.getLogger(_name).handlers:
        logging.getLogger(_name).addHandler(_Lines())
        logging.getLogger(_name).setLevel(logging.INFO)
        # --verbose shows what libraries log; this is shown anyway.
        logging.getLogger(_name).propagate = False


# "data.preparation" is no keyword, but a module of this package all the same.
_find = lazily(
    __name__,
    **{
        "data.preparation": "prepare",
        "prediction.predict": "predict_images",
        "reporting.report": "report_study",
        "study.listing": "list_studies",
        "workflows.export": "export_study",
        "workflows.run": "run_study",
    },
)


def __getattr__(name: str) -> Any:
    found = _find(name)
    # What is called from here is called from Python, and speaks of arguments.
    return import_module(f"{__name__}.config.argument_words").of_arguments(found)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
