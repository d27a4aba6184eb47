import csv

import pytest

from tlkit.utils.text import close_matches, csv_line, did_you_mean, join_truncated, shorten, without_secrets

FORMULAS = ["=1+1", "+49", "-unknown-", "@home", '=HYPERLINK("http://x",1)', " =1", "\uff1d1", "=1;2"]


@pytest.mark.parametrize("text", FORMULAS)
@pytest.mark.parametrize("delimiter", ",;")  # a spreadsheet where the comma is the decimal sign splits at semicolons
def test_no_cell_begins_as_a_formula(text, delimiter):
    cells = next(csv.reader([csv_line(["a", text, f"b;{text}", 2])], delimiter=delimiter))
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_guarded_cell_shows_its_text(text):
    assert next(csv.reader([csv_line([text])])) == [f"'{text}"]


def test_other_cells_are_read_back_as_they_were():
    cells = ["photo.png", "a,b", 'say "x"', "a;b", "it's", "", "\u00e9", "a=b", "1-2"]
    assert next(csv.reader([csv_line(cells)])) == cells
    assert csv_line([-1, -0.5, None, True, "x"]) == "-1,-0.5,,True,x\n"
    assert csv_line(["caf\udce9", "a\tb\nc", "\t=1"]) == "caf\\udce9,a\\tb\\nc,\\t=1\n"


@pytest.mark.parametrize(
    ("word", "known", "near"),
    [
        ("nope", ["perm", "imagenet"], []),
        ("nope.png", ["perm.png", "none.png"], ["none.png"]),  # the ending both have is nothing close
        ("a.png", ["b.png", "c.png"], []),
        ("googlenet", ["mobilenet"], []),
        ("vgg61", ["vgg16", "vgg19"], ["vgg16"]),
        ("imagnet", ["imagenet", "none"], ["imagenet"]),
        ("efficientnet", ["efficientnetlite0", "efficientnetb0"], ["efficientnetlite0", "efficientnetb0"]),
        ("average", ["avg", "max", "none"], ["avg"]),
        ("IMG_1.JPG", ["img_1.jpg"], ["img_1.jpg"]),
        ("cafe\u0301.png", ["caf\u00e9.png"], ["caf\u00e9.png"]),
        ("a.png", ["a.png"], []),  # a dangling link is no advice
        ("", ["a", "ab"], []),
    ],
)
def test_only_close_names_are_suggested(word, known, near):
    assert close_matches(word, known) == near


def test_the_hint_names_each_once():
    assert did_you_mean("vgg", ["vgg16", "vgg16", "vgg19"]) == "Did you mean vgg16 or vgg19?"
    assert did_you_mean("x", ["vgg16"]) is None


def test_long_names_lose_their_middle():
    assert shorten("a" * 239 + "b") == "a" * 23 + "\u2026" + "a" * 15 + "b"
    assert len(shorten("x" * 240, 24)) == 24
    assert shorten("cat\n") == "cat\\n"
    assert max(map(len, join_truncated(["x" * 240, "y"]).split(", "))) == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pw@host/a?b=c", "https://user:***@host/a?***"),
        ("http://token@host:1/", "http://***@host:1/"),
        ("http://user:p@s/s@host/x", "http://***@host/x"),
        ("get http://u:p@a/ or https://b/c?d and mail me@c", "get http://u:***@a/ or https://b/c?*** and mail me@c"),
        ("/a/b@c?d", "/a/b@c?d"),
        ("s3://bucket/key", "s3://bucket/key"),
    ],
)
def test_what_is_shown_to_others_gives_no_access(text, shown):
    assert without_secrets(text) == shown
    assert without_secrets(shown) == shown
