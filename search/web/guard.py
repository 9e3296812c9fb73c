"""Who may ask a page of ours, and for what: checked before its application, which need check none of it.

It guards against other pages in the same browser (a forged request, DNS rebinding) as much as against other people.
"""

import base64
import binascii
import hmac
import html
import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]

SAFE = ("GET", "HEAD")
READ_ONLY = "this dashboard only reads; start it with --allow-changes to edit"
MOST_BYTES = 4_000_000
PAGE_OF_A_STUDY = re.compile(r"/dashboard/studies/(\d+)(?:/|$)")
A_STUDY = re.compile(r"/api/studies/(\d+)/?")
NUMBER = re.compile(r"-?\d+")
LARGEST_KEY = 2**31 - 1  # Of a study or trial in Postgres.
WRONG_SECONDS = 0.5
# optuna-dashboard's own for its page is kept; these are for all else, and for files that others may have written.
OF_A_PAGE = "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
OF_THE_REST = f"default-src 'none'; {OF_A_PAGE}"
OF_A_FILE = f"sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; {OF_A_PAGE}"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
DROPPED = {"server", "access-control-allow-origin"}
STATUS = {
    400: "400 Bad Request",
    401: "401 Unauthorized",
    403: "403 Forbidden",
    404: "404 Not Found",
    409: "409 Conflict",
    413: "413 Content Too Large",
    421: "421 Misdirected Request",
    503: "503 Service Unavailable",
}
RETRY_SECONDS = 5
EVERYWHERE = ("0.0.0.0", "::")


@dataclass(frozen=True)
class Rules:
    """Who may ask for what.

    Attributes:
        names: Names by which this host may be called, in lower case, without ports.
        password: The password that a browser must give; None for none.
        allow_changes: Whether anything but reading is allowed.
        most_bytes: Of a request's body.
    """

    names: frozenset[str]
    password: str | None = field(default=None, repr=False)
    allow_changes: bool = False
    most_bytes: int = MOST_BYTES


class Guard:
    """WSGI middleware that lets only allowed requests through.

    Args:
        application: The application that is guarded.
        rules: Who may ask for what.
        trouble: Returns why the page could not be filled just now; empty where it could.
        busy: Returns, by a study's key, who is at work on it, so that it must not be deleted; empty where nobody is.
        wait: Called with seconds after a wrong password.
    """

    def __init__(
        self,
        application: Application,
        rules: Rules,
        trouble: Callable[[], str] = lambda: "",
        wait: Callable[[float], None] = time.sleep,
        busy: Callable[[int], str] = lambda study_id: "",
    ) -> None:
        self._application, self._rules, self._trouble, self._wait = application, rules, trouble, wait
        self._busy = busy

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer, or have it answered."""
        path = str(environ.get("PATH_INFO", "")) or "/"

        def start(status: str, headers: Headers, *more: Any) -> Any:
            return start_response(status, _secured(status, headers, path), *more)

        refused = self._refused(environ)
        if refused is not None:
            return _refuse(start, *refused, page=is_page(path))
        if is_page(path) and (why := self._trouble()):
            return _refuse(start, 503, why, page=True)
        environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")  # optuna-dashboard (0.21) fails without.
        return self._application(environ, start)

    def _refused(self, environ: Environ) -> tuple[int, str] | None:
        rules, host = self._rules, str(environ.get("HTTP_HOST", ""))
        if not _is_ours(_name_of(host), rules.names):
            return 421, "this host is not called so; use the address that the command has printed"
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and _place_of(origin) != host.lower():
            return 403, "this was asked for by another site's page"
        if rules.password is not None and not _knows(rules.password, environ):
            if "HTTP_AUTHORIZATION" in environ:
                self._wait(WRONG_SECONDS)
            return 401, "a password is needed; any user name will do"
        if environ["REQUEST_METHOD"] not in SAFE:
            if not rules.allow_changes:
                return 403, READ_ONLY
            if environ.get("HTTP_SEC_FETCH_SITE", "same-origin") not in ("same-origin", "none"):
                return 403, "this was asked for by another site's page"
        path = str(environ.get("PATH_INFO", ""))
        if any(NUMBER.fullmatch(part) and not _is_key(part) for part in path.split("/")):
            return 404, "no study or trial has such a number"
        after = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True).get("after", [])
        if not all(map(NUMBER.fullmatch, after)):  # optuna-dashboard (0.21) fails at such a one.
            return 400, "after= is no whole number; expected that of the trials that are known"
        if path.rstrip("/").endswith("/rename"):
            return (
                403,
                "a study that is renamed here loses its workers and files; make a new one with search.run",
            )
        if int(environ.get("CONTENT_LENGTH") or 0) > rules.most_bytes:
            return 413, f"expected no more than {rules.most_bytes:,} bytes"
        # Here: optuna-dashboard (0.21) removes the study's files before it asks the database.
        study = A_STUDY.fullmatch(path) if environ["REQUEST_METHOD"] == "DELETE" else None
        if study is not None and (who := self._busy(int(study[1]))):
            return 409, f"not deleted: {who}"
        return None


def _knows(password: str, environ: Environ) -> bool:
    kind, _, coded = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    try:
        given = base64.b64decode(coded, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        given = b""
    same = hmac.compare_digest(given, password.encode())
    return same and kind.lower() == "basic"


def _name_of(host: str) -> str:
    """The name in a Host header, without its port: a tunnel may have another."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ours(name: str, names: frozenset[str]) -> bool:
    """Whether this host is called so; on all its addresses (0.0.0.0) any address will do, as rebinding needs a name."""
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return not names.isdisjoint(EVERYWHERE)


def _place_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _is_key(number: str) -> bool:
    return len(number) <= len(str(LARGEST_KEY)) and 0 <= int(number) <= LARGEST_KEY


def is_page(path: str) -> bool:
    """Whether an address is that of a page of optuna-dashboard, which its script fills."""
    return path == "/" or path == "/dashboard" or path.startswith("/dashboard/")


def _needed_soon(path: str) -> Headers:
    """Have the browser ask for a study's trials while it still reads the page's script, which asks for them last."""
    found = PAGE_OF_A_STUDY.match(path)
    if found is None:
        return []
    return [("Link", f"</api/studies/{found[1]}?after=0>; rel=preload; as=fetch; crossorigin=anonymous")]


def _secured(status: str, headers: Headers, path: str) -> Headers:
    given = {name.lower(): value for name, value in headers}
    kept = [(name, value) for name, value in headers if name.lower() not in DROPPED]
    if path.startswith("/artifacts/"):
        policy = OF_A_FILE
    elif "content-security-policy" in given:
        policy = f"{given['content-security-policy']};{OF_A_PAGE}"
    else:
        policy = OF_THE_REST
    kept = [(name, value) for name, value in kept if name.lower() != "content-security-policy"]
    added = {**ALWAYS, "Content-Security-Policy": policy}
    if "cache-control" not in given:
        # What is shown changes, and is not for whoever uses the browser next.
        added["Cache-Control"] = "private, max-age=3600" if path.startswith("/static/") else "no-store"
    if status.startswith("503"):
        added["Retry-After"] = str(RETRY_SECONDS)
    soon = _needed_soon(path) if status.startswith("200") else []
    return [*kept, *added.items(), *soon]


def _refuse(start: StartResponse, code: int, why: str, *, page: bool) -> Sequence[bytes]:
    headers = [("WWW-Authenticate", 'Basic realm="search", charset="UTF-8"')] if code == 401 else []
    if page:
        # As the page itself fills and refreshes by script, this one comes back by itself.
        refresh = f'<meta http-equiv="refresh" content="{RETRY_SECONDS}">' if code == 503 else ""
        text = (
            f'<!doctype html><html lang="en"><meta charset="utf-8">{refresh}<title>{STATUS[code]}</title>'
            f"<h1>{STATUS[code]}</h1><p>{html.escape(why)}</p></html>"
        )
        kind = "text/html; charset=utf-8"
    else:
        text, kind = json.dumps({"reason": why}), "application/json"
    body = text.encode()
    start(STATUS[code], [*headers, ("Content-Type", kind), ("Content-Length", str(len(body)))])
    return [body]
