"""What all commands share: flags made of the settings, one-line errors, exit codes, values such as 2h or 1PFLOP.

The options themselves are defined in ``search.config``; the commands lie at the root of ``search``.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.cli.app import main as main
    from search.cli.app import make_app as make_app

__getattr__ = lazily(__name__, app="main make_app")
