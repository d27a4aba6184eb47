"""The site: built without a warning, and read from disk in a browser, on a phone, in the dark, without a network."""

import re
import subprocess
import sys

import pytest
from helpers import chromium
from helpers.pages import ROOT

from tlkit.cli import COMMANDS

pytestmark = pytest.mark.every

in_a_browser = pytest.mark.skipif(chromium.PROGRAM is None, reason="needs Chromium")


def build(kind, folder):
    words = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-b", kind, ROOT / "docs", folder]
    done = subprocess.run(words, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return build("html", tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def page():
    with chromium.browser() as opened:
        yield opened


def pages(site):
    return sorted(site.rglob("*.html"))


@in_a_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_no_page_scrolls_sideways_or_asks_the_network(site, page, width):
    for path in pages(site):
        page.open(path.as_uri(), width)
        assert page.run("document.documentElement.scrollWidth") <= width, path.name
        assert page.run("[...document.images].every((image) => image.naturalWidth > 0)"), path.name
    assert page.complaints() == []
    assert {url.partition(":")[0] for url in page.requested()} <= {"file", "data"}


@in_a_browser
@pytest.mark.parametrize("word", ["freeze", "inspect-h5"])
def test_the_search_finds_pages_without_a_server(site, page, word):
    page.open(f"{(site / 'search.html').as_uri()}?q={word}", 400)
    assert page.until("document.querySelectorAll('#search-results li').length > 1")


@in_a_browser
def test_it_is_dark_where_the_reader_wants_it(site, page):
    def brightness(*, dark):
        page.open((site / "index.html").as_uri(), dark=dark)
        colour = page.run("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3]))

    assert brightness(dark=True) < 150 < 600 < brightness(dark=False)


@in_a_browser
def test_the_keyboard_reaches_the_text_first(site, page):
    page.open((site / "start" / "index.html").as_uri())
    page.press("Tab", 9)
    assert "content" in page.run("document.activeElement.textContent").lower()


@in_a_browser
@pytest.mark.parametrize("width", [400, 1280])
def test_what_the_keyboard_reaches_is_in_view(site, page, width):
    page.open((site / "start" / "install.html").as_uri(), width)
    style = "Object.assign(document.createElement('style'), {textContent: '* { transition: none !important; }'})"
    page.run(f"document.head.append({style})")
    for _ in range(page.run("document.querySelectorAll('a, button, input').length")):
        page.press("Tab", 9)
        left, right, opacity, name = page.run(
            "(({left, right}, element) => [left, right, getComputedStyle(element).opacity, element.outerHTML])"
            "(document.activeElement.getBoundingClientRect(), document.activeElement)"
        )
        assert 0 <= left <= right <= width, name
        assert opacity == "1", name


def test_every_command_has_a_manual_page(tmp_path):
    written = {path.name for path in build("man", tmp_path).glob("*.1")}
    assert written >= {"tlkit.1", *(f"tlkit-{name}.1" for name in COMMANDS)}
