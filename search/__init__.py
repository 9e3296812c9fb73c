"""Hyperparameter search for Keras image classifiers: ``from search import run_study``.

The functions behind the commands, found when first asked for: importing ``search`` imports nothing heavy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from search.data import prepare
    from search.export import export_study
    from search.life import run_study
    from search.predict import predict_images

__all__ = ["export_study", "predict_images", "prepare", "run_study"]

_HOME = {
    "export_study": "search.export",
    "predict_images": "search.predict",
    "prepare": "search.data",
    "run_study": "search.life",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'search' has no attribute {name!r}; it offers {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
