"""A private Postgres server in one folder, for whoever has none at hand: found, made, started, stopped, backed up.

``server`` is the life of it; ``folder`` says where its files lie and what is refused; ``programs`` finds the binaries
and whom they run as.
"""

from typing import TYPE_CHECKING

from search import lazily

if TYPE_CHECKING:
    from search.postgres.backup import back_up as back_up
    from search.postgres.server import server_status as server_status
    from search.postgres.server import start_server as start_server
    from search.postgres.server import stop_server as stop_server

__getattr__ = lazily(__name__, server="server_status start_server stop_server", backup="back_up")
