"""What an export says of pictures; no database is needed."""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.prediction.loader import read_export as read_export
    from search.prediction.predict import predict_images as predict_images

__getattr__ = lazily(__name__, loader="read_export", predict="predict_images")
