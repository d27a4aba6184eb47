"""The report page: markup of names, layout on a phone, what it lists."""

import html
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from tlkit.config import EvaluateConfig
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.reporting.metrics import Evaluation
from tlkit.reporting.page import Page, draw_section, write_page

CLASSES = ("a_rather_long_class_name_of_the_kind_that_data_sets_have", "mammal", "vehicle")
EPOCH = {"loss": 1.0, "accuracy": 0.5, "val_loss": 1.2, "val_accuracy": 0.4}


def page_of(tmp_path, **contents):
    """Write a page with every section; return its text."""
    file = tmp_path / "some folder" / "a-file-whose-name-is-much-longer-than-a-thumbnail-is-wide.png"
    file.parent.mkdir()
    Image.new("RGB", (40, 30)).save(file)
    evaluation = Evaluation(CLASSES, np.array([0, 1]), np.array([[0.1, 0.8, 0.1], [0.1, 0.9, 0.0]]))
    phase = {"name": "head", "epochs": 1, "best_epoch": 1, "seconds": 3.0, "val_accuracy": 0.4, "interval": [0.2, 0.6]}
    page = {
        "title": "Run x",
        "preprocessor": ImagePreprocessor((8, 8), "none"),
        "highlights": [("validation accuracy", "0.500")],
        "sections": [draw_section("validation", evaluation, (str(file), "missing.png"))],
        "history": [("head", [EPOCH])],
        "phases": [phase],
        "balance": {split: dict.fromkeys(CLASSES, 1234) for split in ("train", "validation", "test")},
        "arguments": EvaluateConfig(run="/" + "runs/" * 30, data="/data").effective(engine="keras"),
        "versions": {"keras": "3.15.1"},
        "skipped": [("/" + "folder/" * 30 + "x.png", "it is not an image in a supported format")],
        "command": "tlkit evaluate " + "/folder" * 30,
        **contents,
    }
    write_page(Page(**page), tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_names_from_folders_do_not_become_markup(tmp_path):
    name = "<script>alert(1)</script>"
    evaluation = Evaluation((name, "b"), np.array([0, 1]), np.array([[0.2, 0.8], [0.3, 0.7]]))
    text = page_of(
        tmp_path, title=name, highlights=[(name, name)], sections=[draw_section(name, evaluation, (name, "b.png"))],
        warnings=[name], skipped=[(name, name)], command=name, arguments={name: name}, balance={name: {name: 1}},
    )  # fmt: skip
    assert "<script" not in text
    # a line may break after the slash of a path
    assert text.replace("<wbr>", "").count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 12


def test_it_is_one_file_without_network_or_script(tmp_path):
    text = page_of(tmp_path)
    assert set(re.findall(r'(?:src|href)="([^"]{0,10})', text)) == {"data:image"}
    assert "<script" not in text
    assert "url(" not in text


def test_options_are_listed_as_the_user_types_them(tmp_path):
    text = page_of(tmp_path, arguments=EvaluateConfig(run="/r", data="/d").effective(engine="keras"))
    cells = dict(re.findall(r"<code>(.*?)</code></td><td[^>]*>(.*?)</td>", html.unescape(text.replace("<wbr>", ""))))
    assert cells == {
        "RUN": "/r", "DATA": "/d", "--split": "– (test, else validation)",
        "--batch-size": "– (8 with OpenVINO; 16 with Keras, 128 on a GPU)",
        "--report": "–", "--force": "no", "--foreign": "–", "--tta": "no",
        "--engine": "keras", "--precision": "float32", "--threads": "– (one per usable processor)",
        "--backend": "– (KERAS_BACKEND's or keras.json's, else tensorflow)", "--device": "auto",
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_on_a_phone_the_page_does_not_scroll_sideways(tmp_path):
    page_of(tmp_path)
    # a frame, because a window of headless chromium is at least 500 pixels wide
    (tmp_path / "frame.html").write_text("""<iframe id=f src="page.html" style="border:0;width:400px;height:4000px">
        </iframe><script>f.onload = () => {
            const page = f.contentDocument, lines = cell => {
                const range = page.createRange(); range.selectNodeContents(cell); return range.getClientRects().length
            };
            document.title = page.scrollingElement.scrollWidth + " "
                + Math.max(...[...page.querySelectorAll("td.number")].map(lines))
        }</script>""")
    shown = subprocess.run(
        [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--allow-file-access-from-files", "--window-size=600,4000", "--virtual-time-budget=3000", "--dump-dom",
            f"--user-data-dir={tmp_path / 'profile'}", (tmp_path / "frame.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    width, lines = re.search(r"<title>(\d+) (\d+)</title>", shown.stdout).groups()
    assert int(width) <= 400
    assert lines == "2"  # an accuracy, and its interval
