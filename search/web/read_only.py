"""A page that only reads shows nothing that changes: what it would refuse is not offered."""

from collections.abc import Callable, Iterable
from typing import Any

from search.web.guard import Application, Environ, Headers, StartResponse, is_page

# What optuna-dashboard (0.21) puts on its buttons that write: they have neither a name nor a class of their own.
ICONS = (
    "AddBox",  # a new study
    "Delete",
    "DriveFileRenameOutline",
    "Edit",
    "ModeEdit",
    "StopCircle",  # the end of a running trial
    "RestoreFromTrash",
    "Undo",
    "UploadFile",
)
_ICON = ", ".join(f'svg[data-testid="{icon}Icon"]' for icon in ICONS)
STYLE = (
    f'<style>button:has(:is({_ICON})), .MuiCard-root:has(> button svg[data-testid="UploadFileIcon"]), '
    'button[aria-label="skip trial"] { display: none !important; }</style>'
).encode()
# By which a browser would be told that it has the page already, as it was with --allow-changes.
CONDITIONS = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE")


def hiding_changes(application: Application) -> Application:
    """An application whose pages do not show the buttons that change anything."""

    def answer(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET" or not is_page(str(environ.get("PATH_INFO", ""))):
            return application(environ, start_response)
        asked = {name: value for name, value in environ.items() if name not in CONDITIONS}
        asked["HTTP_ACCEPT_ENCODING"] = "identity"
        given: list[Any] = []

        def start(status: str, headers: Headers, *more: Any) -> Callable[[bytes], None]:
            given[:] = status, headers, *more
            return lambda written: None

        found: Any = application(asked, start)
        try:
            body = b"".join(found).replace(b"</head>", STYLE + b"</head>", 1)
        finally:
            getattr(found, "close", lambda: None)()
        status, headers, *more = given
        kept = [
            (name, value)
            for name, value in headers
            if name.lower() not in ("content-length", "last-modified", "etag")
        ]
        start_response(status, [*kept, ("Content-Length", str(len(body)))], *more)
        return [body]

    return answer
