"""A report in a real browser without a network: drawn, keyboard reachable, legible, silent."""

import re
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from evolve.journal import Journal
from evolve.report import save
from evolve.run import JOURNAL
from tests.conftest import require_browser
from tests.recorded import Made, record

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

pytestmark = pytest.mark.browser

HOSTILE = "</script></pre><img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
LEAST_CONTRAST = 4.5
CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const words = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !element.getClientRects().length) continue;
    const inSvg = element.closest("svg");
    const ink = light(rgba(inSvg ? getComputedStyle(element).fill : getComputedStyle(element).color));
    const under = light(ground(inSvg ? inSvg.parentElement : element));
    const ratio = (Math.max(ink, under) + 0.05) / (Math.min(ink, under) + 0.05);
    found.push([ratio, element.tagName + "." + element.className + ": " + element.textContent.slice(0, 40)]);
  }
  return found;
}"""
NAMELESS = """() => [...document.querySelectorAll("button, a[href], summary, [tabindex='0'], meter")]
  .filter((each) => each.getClientRects().length)
  .filter((each) => !(each.textContent.trim() || each.getAttribute("aria-label") || each.labels?.length))
  .map((each) => each.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    require_browser()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of a report over two tasks, with failures, a long change and words that try to break out."""
    folder = tmp_path_factory.mktemp("report")
    code = "// a kernel\n#include <stdint.h>\nvoid kernel(int64_t n)\n{\n    for (int i = 0; i < 7; i++) {}\n}\n"
    made = [
        Made(code, 1.5, technique="tiling", feedback="not vectorised: line 5"),
        Made(code.replace("7", "8"), 3.0, parent=1, technique="unroll", recalled=["exp-1"]),
        Made(HOSTILE, None, parent=1, technique=HOSTILE, feedback=HOSTILE),
        Made(code.replace("7", "9") + "x" * 900, 2.0, parent=2),
        Made(code, 4.0, task="theirs/dot"),
    ]
    run = record(folder, made)
    journal = Journal.open(run.folder / JOURNAL)
    path = save(run, journal, folder / "report.html")
    journal.close()
    return path.as_uri()


@pytest.fixture(params=["light", "dark"])
def page(request: pytest.FixtureRequest, browser: "Browser", address: str) -> Iterator["Page"]:
    """The report, open in either theme; whatever it loads but itself, or complains of, fails the test."""
    context = browser.new_context(color_scheme=request.param, reduced_motion="reduce", offline=True)
    context.set_default_timeout(5000)
    opened = context.new_page()
    asked: list[str] = []
    said: list[str] = []

    def noticed(message: "ConsoleMessage") -> None:
        said.append(f"{message.type}: {message.text}")

    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", noticed)
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.goto(address)
    yield opened
    context.close()
    assert [url for url in asked if url != address and not url.startswith("data:")] == []
    assert said == []


def test_the_curves_are_drawn_and_in_sight(page: "Page") -> None:
    for chart in ("#courses .wide .curve_marks path", "#task-0 .curve_marks path"):
        curve = page.locator(chart).first
        assert re.match(r"M[\d.,-]+[HVL]", curve.get_attribute("d") or "")
        box = curve.bounding_box()
        assert box is not None
        assert box["width"] > 50
    assert page.locator('#task-0 .points [aria-label^="attempt "]').count() == 4


def test_a_change_is_opened_and_closed_by_keys_alone(page: "Page") -> None:
    page.locator("#task-0 .code pre").focus()
    for _ in range(6):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.parentElement.id") == "a2":
            break
    change = page.locator("#a2 .diff")
    assert not change.is_visible()
    page.keyboard.press("Enter")
    assert change.is_visible()
    assert "+" in change.locator(".add").first.inner_text()
    page.keyboard.press("Enter")
    assert not change.is_visible()


def test_an_attempt_is_reached_from_its_point_by_keys(page: "Page") -> None:
    page.locator("#task-0 .points").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert "Attempt 2 unroll" in page.locator("#tip").inner_text()
    page.keyboard.press("Enter")
    page.wait_for_function("document.activeElement.parentElement.id === 'a2'")
    assert page.locator("#a2 .diff").is_visible()
    assert not page.locator("#tip").is_visible()


def test_the_theme_follows_the_system_and_the_button(page: "Page") -> None:
    def ground() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    before = ground()
    page.get_by_role("button", name="light and dark").click()
    assert ground() != before
    page.get_by_role("button", name="light and dark").click()
    assert ground() == before


def test_every_word_can_be_read_and_everything_that_is_used_has_a_name(page: "Page") -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    faint = [f"{ratio:.1f} {what}" for ratio, what in page.evaluate(CONTRAST) if ratio < LEAST_CONTRAST]
    assert faint == []
    assert page.evaluate(NAMELESS) == []


def test_the_focus_can_be_seen(page: "Page") -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_nothing_that_others_wrote_runs(page: "Page") -> None:
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert "taken" not in page.title()
    assert page.locator("img").count() == 0
    assert page.get_by_text(HOSTILE).first.is_visible()


def test_a_narrow_screen_scrolls_in_one_direction_only(page: "Page") -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert page.locator("#courses .narrow").is_visible()
    assert not page.locator("#courses .wide").is_visible()


def test_without_javascript_only_buttons_and_tips_are_missing(browser: "Browser", address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("#task-0 .curve_marks path").first.is_visible()
    assert page.get_by_role("button").count() == 0
    page.locator("#a1 > summary").click()
    assert page.locator("#a1 .diff").is_visible()
    context.close()
