"""The page in a real browser: what people do there, in light and dark, by mouse, keyboard and on a phone."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from search.serving.rate import Rate

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"
VIOLATIONS = (
    "axe.run().then(found => found.violations.map(one => one.id + ': ' + one.nodes.map(n => n.html).join()))"
)
# What a browser gives a page whose user drops files, or pastes one.
DROP = """([names, kind]) => {
    const data = new DataTransfer();
    for (const name of names) {
        const canvas = document.createElement("canvas");
        canvas.width = canvas.height = 4;
        const bytes = atob(canvas.toDataURL("image/png").split(",")[1]);
        data.items.add(new File([Uint8Array.from(bytes, (one) => one.charCodeAt(0))], name, {type: "image/png"}));
    }
    document.dispatchEvent(kind === "drop" ? new DragEvent("drop", {dataTransfer: data, cancelable: true})
        : new ClipboardEvent("paste", {clipboardData: data}));
}"""
Open = Callable[..., Any]
pytestmark = pytest.mark.slow


@pytest.fixture
def opened(browser: Any, address: Callable[..., str]) -> Iterator[Open]:
    """Open the page; it has what it asked others for and complained of as ``strangers`` and ``complained``."""
    contexts = []

    def open_page(scheme: str = "light", width: int = 1280, rate: Rate | None = None, **settings: Any) -> Any:
        size = {"width": width, "height": 900}
        contexts.append(browser.new_context(color_scheme=scheme, viewport=size, **settings))
        contexts[-1].set_default_timeout(60_000)
        page, own = contexts[-1].new_page(), address(rate=rate)
        page.strangers, page.complained = [], []
        page.on(
            "request",
            lambda one: (
                None if one.url.startswith((own, "data:", "blob:")) else page.strangers.append(one.url)
            ),
        )
        page.on("console", lambda message: page.complained.append(message.text))
        page.on("pageerror", lambda error: page.complained.append(str(error)))
        page.goto(own)
        return page

    yield open_page
    for context in contexts:
        context.close()


def choose(page: Any, *files: Path) -> None:
    """Choose pictures by the button's dialog, and wait until all are answered."""
    page.set_input_files("#files", [str(file) for file in files])
    page.wait_for_selector("#status[aria-busy='false']")


def status(page: Any) -> str:
    return str(page.locator("#status").inner_text())


def test_one_picture_shows_its_class_bars_and_what_it_resembles(opened: Open, photos: Path) -> None:
    page = opened()
    choose(page, photos / "bright.png")
    assert page.locator(".card h3").inner_text() == "<b>bright</b> 98.0\N{NO-BREAK SPACE}%"
    assert status(page) == "bright.png: <b>bright</b>, 98.0\N{NO-BREAK SPACE}%."
    assert page.locator(".bars li").all_inner_texts()[1].split() == ["dark", "2.0", "%"]
    width = "getComputedStyle(document.querySelector('.bars .share')).getPropertyValue('--share')"
    assert page.evaluate(width) == "98.0%"
    alike = page.get_by_alt_text("Training picture of <b>bright</b>")
    page.wait_for_function("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    assert alike.is_visible()
    assert page.locator(".unsure").count() == 0
    assert (page.strangers, page.complained) == ([], [])


def test_picture_that_the_model_is_unsure_of_says_so(opened: Open, photos: Path) -> None:
    page = opened()
    choose(page, photos / "grey.png")
    assert "? " in page.locator(".card h3").inner_text().replace("\N{NO-BREAK SPACE}", " ")
    assert page.locator(".unsure").is_visible()
    assert status(page).endswith(", unsure.")


def test_picture_that_is_nothing_like_the_training_images_says_so(opened: Open, photos: Path) -> None:
    page = opened()
    choose(page, photos / "white.png")
    assert page.locator(".unsure").inner_text().startswith("Nothing like the training images")
    assert status(page).endswith(", nothing like the training images.")


def test_several_pictures_make_a_grid_with_counts(opened: Open, photos: Path) -> None:
    page = opened()
    choose(
        page, *(photos / name for name in ("dark.png", "bright.png", "grey.png", "broken.png", "notes.txt"))
    )
    assert status(page) == (
        "4 pictures: 1 dark, 1 <b>bright</b>, 1 unsure, 1 without an answer; 1 file skipped that is no picture."
    )
    places = [card.bounding_box() for card in page.locator(".card").all()]
    assert len({round(place["y"]) for place in places[:3]}) == 1
    assert "not an image" in page.locator(".wrong").inner_text()
    assert not page.locator(".bars").first.is_visible()


def test_folder_is_gone_through(opened: Open, photos: Path) -> None:
    page = opened()
    page.set_input_files("#folder", str(photos))
    page.wait_for_selector("#status[aria-busy='false']")
    names = page.locator(".card .name").all_inner_texts()
    there = ("bright", "broken", "dark", "grey", "white")
    assert sorted(names) == [f"{photos.name}/{name}.png" for name in there]


@pytest.mark.parametrize("kind", ["drop", "paste"])
def test_pictures_can_be_dropped_and_pasted(opened: Open, kind: str) -> None:
    page = opened()
    page.evaluate(DROP, [["a.png"], kind])
    page.wait_for_selector("#status[aria-busy='false']")
    assert page.locator(".card .name").all_inner_texts() == ["a.png"]


def test_page_waits_where_the_server_asks_it_to(opened: Open, photos: Path) -> None:
    page = opened(rate=Rate(1, 2))
    choose(page, photos / "dark.png", photos / "bright.png", photos / "dark.png")
    assert status(page) == "3 pictures: 2 dark, 1 <b>bright</b>."


def test_clear_takes_all_away(opened: Open, photos: Path) -> None:
    page = opened()
    choose(page, photos / "dark.png", photos / "bright.png")
    page.get_by_role("button", name="Clear").click()
    assert (status(page), page.locator(".card").count()) == ("No picture yet.", 0)
    assert page.evaluate("document.activeElement.id") == "choose"


def test_keyboard_reaches_everything(opened: Open, photos: Path) -> None:
    page = opened()
    choose(page, photos / "dark.png", photos / "bright.png")
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.textContent"))
    assert reached[:4] == ["Skip to the pictures", "Choose pictures", "Choose a folder", "Clear"]
    page.keyboard.press("Enter")
    assert page.locator("details[open] .bars").count() == 1
    # The dialog itself is the browser's; that it is asked for is the page's.
    page.evaluate(
        "document.querySelector('#files').addEventListener('click', (event) => {"
        " event.preventDefault(); document.title = 'asked'; })"
    )
    page.locator("#choose").focus()
    page.keyboard.press("Enter")
    assert page.title() == "asked"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("names", [[], ["grey.png"], ["dark.png", "grey.png", "broken.png"]])
def test_page_passes_every_check_of_axe(opened: Open, photos: Path, scheme: str, names: list[str]) -> None:
    page = opened(scheme, bypass_csp=True)
    if names:
        choose(page, *(photos / name for name in names))
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    page.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    assert page.evaluate(VIOLATIONS) == []


@pytest.mark.parametrize("width", [320, 768])
@pytest.mark.parametrize("names", [["grey.png"], ["dark.png", "grey.png", "broken.png"]])
def test_page_is_no_wider_than_a_phone(opened: Open, photos: Path, width: int, names: list[str]) -> None:
    page = opened(width=width)
    choose(page, *(photos / name for name in names))
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
