"""What is answered, and what is refused with which status."""

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from search.serving.answering import NoAnswer
from search.serving.rate import Rate

Address = Callable[..., str]


def ask(
    address: str, path: str = "/", method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, Any, dict[str, str]]:
    """Status, body (of JSON its value) and headers."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    try:
        connection.request(
            method, path, body, {name.replace("_", "-"): value for name, value in headers.items()}
        )
        answer = connection.getresponse()
        text, found = answer.read(), dict(answer.getheaders())
        is_json = found.get("Content-Type") == "application/json"
        return answer.status, json.loads(text) if is_json else text, found
    finally:
        connection.close()


def predict(address: str, body: bytes, query: str = "", **headers: str) -> tuple[int, Any, dict[str, str]]:
    return ask(address, f"/predict{query}", "POST", body, **headers)


def test_picture_is_answered_as_json(address: Address, photos: Path) -> None:
    status, answer, _ = predict(address(), (photos / "dark.png").read_bytes())
    assert (status, answer["class"], answer["unsure"]) == (200, "dark", False)
    assert [one["class"] for one in answer["top"]] == ["dark", "<b>bright</b>"]
    assert answer["confidence"] == answer["top"][0]["confidence"] == pytest.approx(1 - 5 / 255)
    assert answer["alike"][0]["picture"] == "/examples/1.jpg"
    assert set(answer) == {"class", "confidence", "unsure", "unlike", "top", "alike"}


def test_picture_that_is_nothing_like_the_training_images_is_told_where_the_export_can_tell(
    address: Address, photos: Path
) -> None:
    known, strange = ((photos / name).read_bytes() for name in ("dark.png", "white.png"))
    place = address()
    assert [predict(place, picture)[1]["unlike"] for picture in (known, strange)] == [False, True]
    none = {"class": "dark", "confidence": 0.9, "error": "", "unlike": None, "top": [], "alike": []}
    assert "unlike" not in predict(address(lambda file: none), strange)[1]


def test_answer_of_little_confidence_is_unsure(address: Address, photos: Path) -> None:
    assert predict(address(), (photos / "grey.png").read_bytes())[1]["unsure"] is True


def test_likeliest_classes_are_as_many_as_are_asked_for(address: Address, photos: Path) -> None:
    assert len(predict(address(), (photos / "dark.png").read_bytes(), "?top=1")[1]["top"]) == 1


def test_pictures_do_not_stay(address: Address, photos: Path, tmp_path: Path) -> None:
    predict(address(), (photos / "dark.png").read_bytes())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("query", "body", "headers", "status", "why"),
    [
        ("", b"", {}, 400, "the body is empty"),
        ("?top=0", b"x", {}, 400, "?top=0: expected a whole number of 1 or more"),
        ("?k=3", b"x", {}, 400, "?k: unknown"),
        ("", b"no picture", {}, 422, "this cannot be read: not an image"),
        ("?top=2&top=3", b"x", {}, 400, "?top=2&top=3: expected a whole number of 1 or more, once"),
        ("?top=%D9%A3", b"x", {}, 400, "?top=\u0663: expected a whole number"),
        ("", b"--x", {"Content_Type": "multipart/form-data; boundary=x"}, 415, "--data-binary"),
        ("", b"--x", {"Content_Type": "Multipart/Form-Data; boundary=x"}, 415, "--data-binary"),
        ("", b"x", {"Origin": "https://evil.example"}, 403, "another site's page"),
        ("", b"x", {"Sec_Fetch_Site": "cross-site"}, 403, "another site's page"),
        ("", b"x", {"Host": "evil.example"}, 421, "not called so"),
        ("", bytes(32_000_001), {}, 413, "expected no more than 32,000,000 bytes"),
    ],
)
def test_request_that_cannot_be_is_refused(
    address: Address, query: str, body: bytes, headers: dict[str, str], status: int, why: str
) -> None:
    found, answer, _ = predict(address(), body, query, **headers)
    assert found == status
    assert why in str(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("POST", "/", 405),
        ("DELETE", "/examples/1.jpg", 405),
        ("GET", "/examples/2.jpg", 404),
        ("GET", "/../demo.py", 404),
        ("GET", "/examples/..%2f1.jpg", 404),
        ("HEAD", "/", 200),
    ],
)
def test_paths_and_methods_are_few(address: Address, method: str, path: str, status: int) -> None:
    assert ask(address(), path, method)[0] == status


def test_example_is_a_jpeg(address: Address) -> None:
    status, body, headers = ask(address(), "/examples/0.jpg")
    assert (status, headers["Content-Type"], body[:2]) == (200, "image/jpeg", b"\xff\xd8")


def test_page_names_classes_as_words_and_allows_nothing_from_elsewhere(address: Address) -> None:
    _, body, headers = ask(address())
    assert b"dark, &lt;b&gt;bright" in body
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")


def test_address_that_asks_for_too_much_has_to_wait(address: Address, photos: Path) -> None:
    place, picture = address(rate=Rate(2, 0.01)), (photos / "dark.png").read_bytes()
    assert [predict(place, picture)[0] for _ in range(3)] == [200, 200, 429]
    _, answer, headers = predict(place, picture)
    assert 90 <= int(headers["Retry-After"]) <= 100
    assert "wait" in answer["reason"]
    assert ask(place)[0] == 200


def test_model_without_an_answer_is_no_end(address: Address, photos: Path) -> None:
    def fail(file: Path) -> dict[str, Any]:
        raise NoAnswer("the model gave no answer (killed)")

    status, answer, _ = predict(address(fail), (photos / "dark.png").read_bytes())
    assert (status, answer["reason"]) == (500, "the model gave no answer (killed)")


def test_model_that_is_busy_says_when_to_ask_again(address: Address, photos: Path) -> None:
    def wait(file: Path) -> dict[str, Any]:
        raise NoAnswer("too many pictures wait", busy=True)

    status, _, headers = predict(address(wait), (photos / "dark.png").read_bytes())
    assert (status, headers["Retry-After"]) == (503, "5")


def test_password_is_asked_for(address: Address) -> None:
    place = address(password="a good password")
    assert ask(place)[0] == 401
    assert ask(place, Authorization="Basic bWU6YSBnb29kIHBhc3N3b3Jk")[0] == 200
