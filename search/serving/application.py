"""What may be asked of a model that is served: its page, what belongs to it, and ``POST /predict``.

Host, Origin and password have been checked before, by ``search.web.guard``.
"""

import json
import math
import re
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from search.data.examples import Examples
from search.serving.answering import NoAnswer
from search.serving.rate import Rate
from search.templates.loader import environment
from search.web.guard import Environ, StartResponse

# Of one picture's file: a photograph of a camera has up to 30 MB.
MOST_BYTES = 32_000_000
# A folder's first pictures at once, and then a lasting rate that two cores just about manage.
AT_ONCE, PER_SECOND = 60, 10
TOP = 5
AN_EXAMPLE = re.compile(r"/examples/(\d{1,9})\.jpg")
# The page loads nothing from elsewhere, and nothing of it runs that was not served here.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'"
)
STATUS = {
    200: "200 OK",
    400: "400 Bad Request",
    404: "404 Not Found",
    405: "405 Method Not Allowed",
    415: "415 Unsupported Media Type",
    422: "422 Unprocessable Content",
    429: "429 Too Many Requests",
    500: "500 Internal Server Error",
    503: "503 Service Unavailable",
}
HOW = "send the bytes of one picture's file as the body, as curl --data-binary @photo.jpg does"


@dataclass(frozen=True)
class Served:
    """The export that is served.

    Attributes:
        name: The name of its folder.
        labels: Its classes.
        size: Width and height of its input, in words.
        tested: What its test images came to, in words; empty where that is not known.
        unsure: The confidence below which an answer is unsure.
        examples: The training pictures that it holds, if any.
    """

    name: str
    labels: Sequence[str]
    size: str
    tested: str
    unsure: float
    examples: Examples | None


class Refused(Exception):
    """A request that is not answered: a status and, in the message, why."""

    def __init__(self, code: int, why: str, wait: float = 0.0) -> None:
        super().__init__(why)
        self.code, self.wait = code, wait


class DemoApplication:
    """A WSGI application.

    Args:
        served: The export.
        ask: Answers about the picture in a file; see ``search.serving.answering.Answerer.ask``.
        folder: Where pictures lie until they are answered.
        rate: How many pictures an address may send.
    """

    def __init__(
        self,
        served: Served,
        ask: Callable[[Path], dict[str, Any]],
        folder: Path,
        rate: Rate | None = None,
    ) -> None:
        self._served, self._ask, self._folder = served, ask, folder
        self._rate = rate or Rate(AT_ONCE, PER_SECOND)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        more: dict[str, str] = {}
        try:
            kind, body, more = self._answer(environ)
            code = 200
        except Refused as refused:
            code, kind, body = refused.code, "application/json", _json({"reason": str(refused)})
            if refused.wait:
                more = {"Retry-After": str(math.ceil(refused.wait))}
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **more}
        start_response(STATUS[code], list(headers.items()))
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: Environ) -> tuple[str, bytes, dict[str, str]]:
        """Content type, body and further headers of what is asked for."""
        path = str(environ.get("PATH_INFO", "")) or "/"
        reads = environ["REQUEST_METHOD"] in ("GET", "HEAD")
        if path == "/predict":
            if environ["REQUEST_METHOD"] != "POST":
                raise Refused(405, f"expected a POST; {HOW}")
            return "application/json", _json(self._predict(environ)), {}
        if not reads:
            raise Refused(405, "only POST /predict takes anything")
        if path == "/":
            page = environment().get_template("demo.html").render(served=self._served, most_bytes=MOST_BYTES)
            return "text/html; charset=utf-8", page.encode(), {"Content-Security-Policy": POLICY}
        if path in ("/demo.css", "/demo.js"):
            kind = "text/css" if path.endswith("css") else "text/javascript"
            text = environment().get_template(path[1:]).render()
            return f"{kind}; charset=utf-8", text.encode(), {}
        found, examples = AN_EXAMPLE.fullmatch(path), self._served.examples
        if found and examples and int(found[1]) < len(examples.pictures):
            return "image/jpeg", examples.pictures[int(found[1])], {"Cache-Control": "private, max-age=3600"}
        raise Refused(404, "there is no such page")

    def _predict(self, environ: Environ) -> dict[str, Any]:
        most = _top(environ)
        if str(environ.get("CONTENT_TYPE", "")).lower().startswith("multipart/"):
            raise Refused(415, f"this is a form; {HOW}")
        if wait := self._rate.wait_for(str(environ.get("REMOTE_ADDR", ""))):
            raise Refused(429, f"more than {PER_SECOND} pictures a second; wait {wait:.1f} s", wait)
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix="picture-") as file:
            size = 0
            # The guard and the server have bounded its length.
            while part := environ["wsgi.input"].read(1 << 16):
                size += file.write(part)
            if not size:
                raise Refused(400, f"the body is empty; {HOW}")
            file.flush()
            try:
                answer = self._ask(Path(file.name))
            except NoAnswer as error:
                raise Refused(503 if error.busy else 500, str(error)) from None
        if answer["error"]:
            raise Refused(422, f"this cannot be read: {answer['error']}")
        return {
            "class": answer["class"],
            "confidence": answer["confidence"],
            "unsure": answer["confidence"] < self._served.unsure,
            **({} if answer["unlike"] is None else {"unlike": answer["unlike"]}),
            "top": answer["top"][:most],
            "alike": answer["alike"],
        }


def _top(environ: Environ) -> int:
    """How many of the likeliest classes are asked for, by ``?top=K``."""
    given = parse_qs(str(environ.get("QUERY_STRING", "")), keep_blank_values=True)
    if unknown := set(given) - {"top"}:
        raise Refused(400, f"?{sorted(unknown)[0]}: unknown; expected ?top=K or nothing")
    texts = given.get("top", [str(TOP)])
    if len(texts) > 1 or not re.fullmatch(r"[0-9]{1,6}", texts[0]) or not int(texts[0]):
        raise Refused(400, f"?top={'&top='.join(texts)}: expected a whole number of 1 or more, once")
    return int(texts[0])


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False) + "\n").encode()
