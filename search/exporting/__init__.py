"""From a trial to a folder that can be trusted: model, scores on the test images, pictures, and how it all came about.

``scoring_job`` is the one place that opens the test images. A new file format goes into ``formats``, and what loads
it in a fresh process into ``verification``.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.exporting.builder import build_export as build_export
    from search.exporting.export import Export as Export
    from search.exporting.request import ExportRequest as ExportRequest

__getattr__ = lazily(__name__, builder="build_export", export="Export", request="ExportRequest")
