"""The page, in a browser."""

import base64
import json

import pytest
from helpers import chromium
from helpers.chromium import browser

pytestmark = [
    pytest.mark.usefixtures("toy"),
    pytest.mark.every,
    pytest.mark.skipif(chromium.PROGRAM is None, reason="no Chromium is installed"),
]
CLASSIFIED = "/^\\d+ classified/.test(document.getElementById('status').textContent)"


@pytest.fixture(scope="module")
def page():
    with browser() as opened:
        yield opened


def transfer(page, event, target, **files):
    """Drop files on the page, or paste them."""
    encoded = [(name.replace("_", "."), base64.b64encode(data).decode()) for name, data in files.items()]
    key = "clipboardData" if event == "ClipboardEvent" else "dataTransfer"
    page.run(
        f"(() => {{ const files = new DataTransfer(); for (const [name, data] of {json.dumps(encoded)})"
        " files.items.add(new File([Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))], name));"
        f" document.dispatchEvent(new {event}('{target}', {{ {key}: files, bubbles: true }})); }})()"
    )


def cards(page):
    return page.run(
        "[...document.querySelectorAll('.card')].map((card) => ["
        "card.querySelector('.file').textContent, card.querySelector('.note').textContent,"
        "...[...card.querySelectorAll('.scores li')].map((row) => row.textContent)])"
    )


def test_dropped_images_are_classified(server, page, brick, photograph):
    page.open(server.url)
    page.until("document.title.startsWith('run')")
    transfer(page, "DragEvent", "drop", brick_png=brick, cat_jpg=photograph, words_png=b"words")
    page.until(CLASSIFIED)
    found = cards(page)
    assert [card[0] for card in found] == ["brick.png", "cat.jpg", "words.png"]
    best = server.post("/predict", brick).json[0]["predictions"][0]
    assert found[0][2] == f"{best['name']}{100 * best['probability']:.1f}%"
    assert found[2][1:] == ["It is not an image in a supported format."]
    known = [server.post("/predict", data).json[0]["known"] for data in (brick, photograph)]
    assert [card[1].startswith("Unknown") for card in found[:2]] == [not one for one in known]
    assert page.run("document.getElementById('status').textContent") == "2 classified, 1 failed."


def test_a_pasted_image_is_classified(server, page, brick):
    page.open(server.url)
    transfer(page, "ClipboardEvent", "paste", brick_png=brick)
    page.until(CLASSIFIED)
    assert cards(page)[0][0] == "brick.png"


def test_it_works_by_keyboard(server, page, brick):
    page.open(server.url)
    page.run("document.getElementById('files').click = () => { window.chosen = true; }")
    page.press("Tab", 9)
    assert page.run("document.activeElement.id") == "choose"
    page.press("Enter", 13, "\r")
    page.until("window.chosen")
    transfer(page, "DragEvent", "drop", brick_png=brick)
    page.until(CLASSIFIED)
    for expected in ("camera", "clear", "why"):
        page.press("Tab", 9)
        assert page.run("document.activeElement.id || document.activeElement.className") == expected
    page.press("Enter", 13, "\r")
    page.until("document.querySelector('.heat') && document.querySelector('.heat').naturalWidth === 32")
    assert "covering" in page.run("document.querySelector('.heat').alt")
    page.run("document.getElementById('clear').click()")
    assert (cards(page), page.run("document.activeElement.id")) == ([], "choose")


def test_a_photo_of_the_camera_is_classified(server, page):
    page.open(server.url)
    page.run("document.getElementById('camera').click()")
    page.until("document.getElementById('viewer').open && document.getElementById('video').videoWidth")
    page.run("document.getElementById('take').click()")
    page.until(CLASSIFIED)
    assert cards(page)[0][0] == "photo.jpg"
    assert page.run("[document.getElementById('viewer').open, document.getElementById('video').srcObject]") == [
        False,
        None,
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_it_fits_a_phone(server, page, brick, photograph, dark):
    page.open(server.url, 400, dark=dark)
    transfer(page, "DragEvent", "drop", **{"a" * 120 + "_png": brick, "cat_jpg": photograph})
    page.until(CLASSIFIED)
    assert page.run("document.documentElement.scrollWidth") <= 400
    small = page.run(
        "[...document.querySelectorAll('button')].filter((button) => button.offsetParent)"
        ".filter((button) => button.offsetHeight < 44).map((button) => button.textContent)"
    )
    assert small == []
    colour = page.run("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(","))) < 200) == dark


def test_it_asks_nobody_else_and_breaks_no_policy(server, page, brick):
    page.events.clear()
    page.open(server.url)
    transfer(page, "DragEvent", "drop", brick_png=brick)
    page.until(CLASSIFIED)
    page.run("document.querySelector('.why').click()")
    page.until("document.querySelector('.heat')")
    assert page.requested()
    assert [url for url in page.requested() if not url.startswith((server.url, f"blob:{server.url}", "data:"))] == []
    assert page.complaints() == []
    assert page.run("fetch('https://example.org').then(() => 'allowed', () => 'refused')") == "refused"
