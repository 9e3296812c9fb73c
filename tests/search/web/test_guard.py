import base64
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from search.web.guard import MOST_BYTES, WRONG_SECONDS, Guard, Rules

PASSWORD = "a good password"
NAMES = frozenset({"127.0.0.1", "localhost", "::1"})
CHANGES = ("POST", "PUT", "DELETE", "PATCH")


class Asked:
    """A guarded page that says ``hello``, and what it answered last."""

    def __init__(self, names: frozenset[str] = NAMES, **rules: Any) -> None:
        self.reached: list[str] = []
        self.encodings: list[str] = []
        self.waited: list[float] = []
        self.trouble = ""
        self._guard = Guard(
            self._application, Rules(names, **rules), lambda: self.trouble, self.waited.append
        )

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        self.reached.append(environ["PATH_INFO"])
        self.encodings.append(environ["HTTP_ACCEPT_ENCODING"])
        start_response("200 OK", [("Server", "bottle"), ("Access-Control-Allow-Origin", "*")])
        return [b"hello"]

    def ask(self, method: str = "GET", path: str = "/api/studies/1", **headers: str) -> int:
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "HTTP_HOST": "127.0.0.1:8080", **headers}
        answer: list[Any] = []
        self.body = b"".join(self._guard(environ, lambda status, given: answer.extend([status, given])))
        self.headers = dict(answer[1])
        return int(answer[0].split()[0])


def basic(password: str, user: str = "me") -> dict[str, str]:
    return {"HTTP_AUTHORIZATION": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "LOCALHOST", "localhost.:9000", "[::1]:8080"])
def test_host_by_its_own_name_is_answered(host: str) -> None:
    assert Asked().ask(HTTP_HOST=host) == 200


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost@evil.example", "[::1"],
)
def test_host_by_another_name_is_refused(host: str) -> None:
    asked = Asked()
    assert asked.ask(HTTP_HOST=host) == 421
    assert not asked.reached


@pytest.mark.parametrize("method", ["GET", *CHANGES])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://127.0.0.1:9999", "null", "", "http://["])
def test_foreign_origin_is_refused(method: str, origin: str) -> None:
    asked = Asked(allow_changes=True)
    assert asked.ask(method, HTTP_ORIGIN=origin) == 403
    assert not asked.reached


@pytest.mark.parametrize("method", CHANGES)
def test_change_is_refused_where_it_is_not_allowed(method: str) -> None:
    asked = Asked()
    assert asked.ask(method) == 403
    assert b"--allow-changes" in asked.body
    assert not asked.reached


@pytest.mark.parametrize("method", CHANGES)
def test_change_from_the_page_itself_is_passed_on_where_it_is_allowed(method: str) -> None:
    own = {"HTTP_ORIGIN": "http://127.0.0.1:8080", "HTTP_SEC_FETCH_SITE": "same-origin"}
    assert Asked(allow_changes=True).ask(method, **own) == 200


def test_change_that_a_foreign_page_sends_without_an_origin_is_refused() -> None:
    assert Asked(allow_changes=True).ask("POST", HTTP_SEC_FETCH_SITE="cross-site") == 403


def test_password_opens_for_any_user() -> None:
    assert Asked(password=PASSWORD).ask(**basic(PASSWORD, "anybody")) == 200


def test_missing_password_is_asked_for_at_once() -> None:
    asked = Asked(password=PASSWORD)
    assert asked.ask(path="/dashboard") == 401
    assert asked.headers["WWW-Authenticate"].startswith("Basic")
    assert not asked.reached
    assert not asked.waited


@pytest.mark.parametrize(
    "given",
    [
        basic("wrong"),
        basic(PASSWORD + " "),
        basic(""),
        {"HTTP_AUTHORIZATION": "Basic !!!"},
        {"HTTP_AUTHORIZATION": "Bearer " + basic(PASSWORD)["HTTP_AUTHORIZATION"].split()[1]},
        {"HTTP_AUTHORIZATION": PASSWORD},
    ],
)
def test_wrong_password_is_refused_after_a_while(given: dict[str, str]) -> None:
    asked = Asked(password=PASSWORD)
    assert asked.ask(**given) == 401
    assert asked.waited == [WRONG_SECONDS]
    assert not asked.reached


def test_password_does_not_show() -> None:
    assert PASSWORD not in repr(Rules(NAMES, PASSWORD))


def test_request_that_is_too_large_is_refused() -> None:
    asked = Asked(allow_changes=True)
    assert asked.ask("POST", CONTENT_LENGTH=str(MOST_BYTES + 1)) == 413
    assert asked.ask("POST", CONTENT_LENGTH=str(MOST_BYTES)) == 200


@pytest.mark.parametrize("number", [2**31, 10**30, -1, -(10**30), f"{0:020}{10**20}"])
def test_number_that_no_database_takes_for_a_key_is_not_found(number: int | str) -> None:
    asked = Asked()
    assert asked.ask(path=f"/api/studies/{number}") == 404
    assert not asked.reached


@pytest.mark.parametrize(
    ("query", "status"), [("after=abc", 400), ("after=", 400), ("after=3", 200), ("", 200)]
)
def test_place_in_the_list_of_trials_is_a_whole_number(query: str, status: int) -> None:
    assert Asked().ask(QUERY_STRING=query) == status


@pytest.mark.parametrize("path", ["/dashboard/studies/7", "/dashboard/studies/7/trials"])
def test_page_of_a_study_has_its_trials_asked_for_at_once(path: str) -> None:
    asked = Asked()
    asked.ask(path=path)
    assert asked.headers["Link"].startswith("</api/studies/7?after=0>; rel=preload;")


@pytest.mark.parametrize("path", ["/dashboard", "/api/studies/7", "/dashboard/studies/x"])
def test_other_answers_have_nothing_asked_for(path: str) -> None:
    asked = Asked()
    asked.ask(path=path)
    assert "Link" not in asked.headers


def test_page_that_is_refused_has_nothing_asked_for() -> None:
    asked = Asked(password=PASSWORD)
    assert asked.ask(path="/dashboard/studies/7") == 401
    assert "Link" not in asked.headers


def test_client_that_names_no_encoding_is_told_apart_from_one_that_takes_gzip() -> None:
    """optuna-dashboard looks into the header without asking whether there is one."""
    asked = Asked()
    asked.ask(path="/favicon.ico")
    assert asked.encodings == ["identity"]
    asked.ask(path="/favicon.ico", HTTP_ACCEPT_ENCODING="gzip")
    assert asked.encodings == ["identity", "gzip"]


def test_answers_have_the_headers_that_keep_other_sites_out() -> None:
    asked = Asked()
    asked.ask()
    assert {"Server", "Access-Control-Allow-Origin"}.isdisjoint(asked.headers)
    assert asked.headers["X-Content-Type-Options"] == "nosniff"
    assert asked.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in asked.headers["Content-Security-Policy"]
    assert asked.headers["Cache-Control"] == "no-store"


def test_refusals_have_them_too() -> None:
    asked = Asked()
    asked.ask("POST")
    assert asked.headers["X-Content-Type-Options"] == "nosniff"


def test_files_run_no_script() -> None:
    asked = Asked()
    asked.ask(path="/artifacts/1/2/3")
    assert asked.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")


def test_page_says_that_the_database_is_away_and_comes_back() -> None:
    asked = Asked()
    asked.trouble = "the database <does> not answer"
    assert asked.ask(path="/dashboard/studies/1") == 503
    assert asked.headers["Retry-After"] == "5"
    assert b"&lt;does&gt;" in asked.body
    assert b'http-equiv="refresh"' in asked.body
    asked.trouble = ""
    assert asked.ask(path="/dashboard/studies/1") == 200


def test_any_address_will_do_on_all_addresses_but_no_other_name() -> None:
    asked = Asked(NAMES | {"0.0.0.0"})
    assert asked.ask(HTTP_HOST="192.168.1.5:8080") == 200
    assert asked.ask(HTTP_HOST="evil.example:8080") == 421
    assert Asked().ask(HTTP_HOST="192.168.1.5:8080") == 421


def test_renaming_is_refused_where_changes_are_allowed_too() -> None:
    assert Asked(allow_changes=True).ask("POST", "/api/studies/1/rename") == 403
