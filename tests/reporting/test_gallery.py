"""Pages of check and compare: names are no markup, nothing comes from the network, all can be read."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

import tlkit.reporting
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.reporting.gallery import Gallery, GalleryPage, Shown, write_gallery
from tlkit.reporting.plots import draw_comparison

NAME = "<script>alert(1)</script>"


def written(tmp_path, rows=3):
    file = tmp_path / "a-file-whose-name-is-much-longer-than-a-thumbnail-is-wide.png"
    Image.new("RGB", (200, 90), "green").save(file)
    shown = Shown(str(file), f"{'folder/' * 12}{file.name}", f"a note of {NAME}")
    plot = draw_comparison([("a", 1.0, 0.9, (0.8, 1.0)), ("b", 20, 0.8, (0.7, 0.9))])
    page = GalleryPage(
        title=NAME, preprocessor=ImagePreprocessor((8, 8), "none"), highlights=[(NAME, "1"), ("images", "1,000")],
        warnings=[NAME], plots=[(NAME, plot, NAME)],
        table=("class", "train"), rows=[(NAME, "10"), ("b", "20")],
        galleries=[Gallery(NAME, NAME, ((shown, shown),) * rows), Gallery("one", "row", ((shown,) * 130,))],
        skipped=[(NAME, NAME)], arguments={"--size": "– (the architecture's)"}, versions={"tlkit": "1"},
        command="tlkit check " + "/folder" * 30,
    )  # fmt: skip
    write_gallery(page, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_names_do_not_become_markup_and_nothing_is_fetched(tmp_path):
    text = written(tmp_path)
    assert "<script" not in text
    assert text.replace("<wbr>", "").count("&lt;script&gt;") >= 8
    assert set(re.findall(r'(?:src|href)="([^"]{0,10})', text)) == {"data:image"}
    assert "url(" not in text


def test_every_picture_says_what_it_is_and_what_does_not_fit_is_counted(tmp_path):
    text = written(tmp_path, rows=70)
    assert all(re.search(r'alt="[^"]+"', tag) for tag in re.findall(r"<img[^>]*>", text))
    assert "And 20 more" in text  # two images in each of ten rows
    assert "And 10 more" in text
    assert text.count("<figure>") == 120 + 120


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_the_contrast_of_wcag_aa_in_both_themes():
    style = (Path(tlkit.reporting.__file__).parent / "base.html.jinja").read_text()
    themes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(themes) == 2
    for theme in themes:
        for text, behind in (("text", "paper"), ("text", "box"), ("text", "warning"), ("muted", "paper")):
            assert contrast(theme[text], theme[behind]) >= 4.5, (text, behind)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
@pytest.mark.parametrize("width", [400, pytest.param(1280, marks=pytest.mark.every)])
def test_in_a_browser_it_does_not_scroll_sideways(tmp_path, width):
    written(tmp_path)
    # a frame, because a window of headless chromium is at least 500 pixels wide
    (tmp_path / "frame.html").write_text(f"""<iframe id=f src="page.html" style="border:0;width:{width}px;height:900px">
        </iframe><script>f.onload = () => {{
            const page = f.contentDocument.documentElement;
            const pictures = [...f.contentDocument.images];
            document.title = [page.scrollWidth, pictures.length, pictures.every(each => each.naturalWidth > 0)].join();
        }}</script>""")
    dump = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--allow-file-access-from-files",
         f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width + 100},1000", "--virtual-time-budget=5000",
         "--dump-dom", (tmp_path / "frame.html").as_uri()],
        capture_output=True, text=True, timeout=120,
    ).stdout  # fmt: skip
    seen, pictures, loaded = re.search(r"<title>(.*?)</title>", dump)[1].split(",")
    assert int(seen) <= width
    assert (int(pictures), loaded) == (127, "true")
