"""The report in a real browser: it asks nobody for anything, and can be read by everybody, in light and dark."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
VIOLATIONS = (
    "axe.run().then(found => found.violations.map(one => one.id + ': ' + one.nodes.map(n => n.html).join()))"
)
# Of each box that may scroll: whether it does, and whether it says so.
SCROLLING = (
    "[...document.querySelectorAll('.scroll')].map(one => [one.scrollWidth > one.clientWidth, "
    "parseFloat(getComputedStyle(one, '::after').height) > 10])"
)
Open = Callable[..., Any]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(odd_page: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study that has everything, with names that would like to be markup."""
    file = tmp_path_factory.mktemp("whole") / "report.html"
    file.write_text(odd_page, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def bare(new_study, report, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a study that has hardly begun."""
    file = tmp_path_factory.mktemp("bare") / "report.html"
    file.write_text(report(new_study(["pruned"])), encoding="utf-8")
    return file


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Open a file from disk; the page has what it asked for and complained of as ``asked`` and ``complained``."""
    contexts = []

    def open_file(file: Path, scheme: str = "light", width: int = 1280, **settings: Any) -> Any:
        size = {"width": width, "height": 900}
        contexts.append(browser.new_context(color_scheme=scheme, viewport=size, offline=True, **settings))
        page = contexts[-1].new_page()
        page.asked, page.complained = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complained.append(message.text))
        page.on("pageerror", lambda error: page.complained.append(str(error)))
        page.on("dialog", lambda dialog: page.complained.append(dialog.message))
        page.goto(file.as_uri())
        return page

    yield open_file
    for context in contexts:
        context.close()


def test_page_asks_nobody_for_anything_and_complains_of_nothing(opened: Open, whole: Path) -> None:
    page = opened(whole)
    page.evaluate(OPEN_ALL)
    page.wait_for_load_state("networkidle")
    assert [url for url in page.asked if not url.startswith("data:")] == [whole.as_uri()]
    assert page.complained == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["whole", "bare"])
def test_page_passes_every_check_of_axe(
    opened: Open, request: pytest.FixtureRequest, name: str, scheme: str
) -> None:
    page = opened(request.getfixturevalue(name), scheme, bypass_csp=True)
    page.evaluate(OPEN_ALL)
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    assert page.evaluate(VIOLATIONS) == []


def test_every_section_and_picture_is_shown(opened: Open, whole: Path) -> None:
    page = opened(whole)
    links = page.locator("nav a").all()
    assert len(links) == 13
    for link in links:
        section = page.locator(str(link.get_attribute("href")))
        assert section.locator("h2").is_visible()
        assert len(section.inner_text()) > 40
    loaded = "[...document.images].map(one => one.complete && one.naturalWidth > 0)"
    assert page.evaluate(loaded) == [True, True]
    assert all(drawing.is_visible() for drawing in page.locator("figure svg").all())


@pytest.mark.parametrize("width", [360, 768])
def test_page_is_no_wider_than_a_phone(opened: Open, whole: Path, width: int) -> None:
    page = opened(whole, width=width)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_tables_that_scroll_say_so_and_no_others(opened: Open, whole: Path) -> None:
    page = opened(whole, width=360)
    page.evaluate(OPEN_ALL)
    # What has just been opened gets its timeline with one of the next frames.
    page.wait_for_function(f"{SCROLLING}.every(([scrolls, says]) => scrolls === says)")
    assert {scrolls for scrolls, _ in page.evaluate(SCROLLING)} == {True, False}


def test_keyboard_skips_to_the_report_and_opens_what_is_folded(opened: Open, whole: Path) -> None:
    page = opened(whole)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the report"
    assert page.locator(".skip").bounding_box()["x"] >= 0
    page.keyboard.press("Enter")
    assert page.url.endswith("#main")
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert page.locator("details").first.get_attribute("open") is not None


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_page_and_drawings_follow_the_readers_scheme(
    opened: Open, whole: Path, scheme: str, dark: bool
) -> None:
    page = opened(whole, scheme)
    ground, letters = (
        brightness(page, "body", "background-color"),
        brightness(page, "figure svg text", "fill"),
    )
    assert (ground < 60, letters > 180) == (dark, dark)


def test_print_is_black_on_white_whatever_the_scheme(opened: Open, whole: Path) -> None:
    page = opened(whole, "dark")
    page.emulate_media(media="print")
    assert brightness(page, "body", "background-color") == 255
    assert brightness(page, "figure svg text", "fill") == 0
    assert not page.locator("nav").is_visible()
    assert page.pdf().startswith(b"%PDF")


def brightness(page: Any, selector: str, what: str) -> float:
    """Mean of red, green and blue, 0 to 255."""
    colour = f"getComputedStyle(document.querySelector('{selector}')).getPropertyValue('{what}')"
    red, green, blue = page.evaluate(f"{colour}.match(/[0-9]+/g).slice(0, 3).map(Number)")
    return float(red + green + blue) / 3
