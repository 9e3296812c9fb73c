"""An export that answers in a browser and to programs, with no database.

``application`` has what may be asked for; ``answering`` keeps the loaded model, in a process of its own; ``demo``
serves both behind the guard of the dashboard (``search.web.guard``).
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.serving.demo import serve_demo as serve_demo

__getattr__ = lazily(__name__, demo="serve_demo")
