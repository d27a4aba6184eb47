"""Files of labels as users have them: the names in order, or one line that says what is wrong."""

import codecs
import json

import pytest

from tlkit.architectures.labels import read_labels
from tlkit.errors import ConfigError

GOOD = {
    "lines": ("a.txt", "cat\n dog \nfox\n\n\n"),
    "windows": ("a.txt", "\ufeffcat\r\ndog\r\nfox"),
    "numbered": ("a.txt", "0 cat\n1 dog\n2 fox\n"),
    "numbered in another order": ("a.txt", "2: fox\n0: cat\n1: dog\n"),
    "numbered, with tabs": ("a.txt", "0\tcat\n1\tdog\n2\tfox"),
    "name to number": ("a.json", '{"dog": 1, "cat": 0, "fox": 2}'),
    "number to name": ("a.json", '{"0": "cat", "2": "fox", "1": "dog"}'),
    "JSON in a .txt": ("a.txt", '\n {"0": "cat", "1": "dog", "2": "fox"}'),
    "list": ("a.json", '["cat", "dog", "fox"]'),
    "Teachable Machine": ("metadata.json", '{"tfjsVersion": "1.3", "imageSize": 224, "labels": ["cat", "dog", "fox"]}'),
    "Hugging Face": ("config.json", '{"id2label": {"0": "cat", "1": "dog", "2": "fox"}, "label2id": {"cat": 0}}'),
    "table": ("a.csv", "id,name\n0,cat\n1,dog\n2,fox\n"),
    "table in another order": ("a.csv", "name;more;class_id\nfox;x;2\ncat;x;0\ndog;x;1\n"),
    "table of numbered labels": ("a.csv", "label,name\n0,cat\n1,dog\n2,fox\n"),
    "table of numbered classes": ("a.csv", "class,label\ncat,0\nfox,2\ndog,1\n"),
    "table of names": ("a.csv", 'name,plural\ncat,cats\ndog,"dogs, packs"\nfox,foxes\n'),
    "one column": ("a.csv", "label\ncat\ndog\nfox\n"),
    "one column without a header": ("a.csv", "cat\ndog\nfox\n"),
    "no header": ("a.csv", "0,cat\n1,dog\n2,fox\n"),
    "of pandas": ("a.csv", ",name\n0,cat\n1,dog\n2,fox\n"),
    "table in a .txt": ("a.txt", "Index\tName\n0\tcat\n1\tdog\n2\tfox\n"),
}


@pytest.mark.parametrize("kind", GOOD)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_names_are_read_in_the_order_of_the_outputs(tmp_path, kind, encoding):
    name, text = GOOD[kind]
    (tmp_path / name).write_bytes(
        text.removeprefix("\ufeff").encode(encoding) if encoding == "utf-16" else text.encode()
    )
    assert read_labels(str(tmp_path / name), 3) == [(label, label) for label in ("cat", "dog", "fox")]


@pytest.mark.parametrize(
    "names",
    [["가위", "바위", "보"], ["1 euro", "2 euro", "5 euro"], ["1 euro", "2 euro", "3 euro"], ["10", "2", "0"],
     ["tench, Tinca tinca", "goldfish, Carassius auratus", "class, other"], ["class", "name", "id"],
     ["2 cats", "no cat", "a cat"]],
)  # fmt: skip
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_names_that_look_like_something_else_are_names(tmp_path, names, encoding):
    (tmp_path / "a.txt").write_text("\n".join(names), encoding)
    assert [name for _, name in read_labels(str(tmp_path / "a.txt"), 3)] == names


def test_keras_s_own_class_index_gives_both_names(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"1": ["n01443537", "goldfish"], "0": ["n01440764", "tench"]}))
    assert read_labels(str(tmp_path / "a.json"), 2) == [("n01440764", "tench"), ("n01443537", "goldfish")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "cat\n\ndog\n", "empty name for class 1"),
        ("a.txt", "", "names 0 classes, but the network has 3"),
        ("a.txt", "cat,dog,fox", "names 1 class, but the network has 3"),
        ("a.txt", "cat\ndog\ncat", "the same name: cat"),
        ("a.txt", "0 cat\n1 dog\n2 cat", "the same name: cat"),
        ("a.txt", "0 cat\n1 dog\n3 fox", "numbers of .* are 0 to 3; they should be 0 to 2"),
        ("a.txt", "3 fox\n1 cat\n2 dog", "are 1 to 3; they should be 0 to 2"),
        ("a.txt", "0 cat\n1 dog\n1 fox", "repeat 1"),
        ("a.json", '{"cat": 0, "dog": 1, "fox": 3}', "are 0 to 3"),
        ("a.json", '{"cat": 1, "dog": 2, "fox": 3}', "are 1 to 3"),
        ("a.json", '{"cat": 0, "dog": 1, "dog": 2}', "the same name: dog"),
        ("a.json", '{"0": "cat", "1": "dog", "1": "fox"}', "repeat 1"),
        ("a.json", '{"0": "cat", "1": "", "2": "fox"}', "empty name for class 1"),
        ("a.json", '{"cat": "a", "dog": "b", "fox": "c"}', "neither names to class numbers nor"),
        ("a.json", '{"cat": true, "dog": false}', "neither names"),
        ("a.json", "{}", "neither names"),
        ("a.json", '["cat", 3, "fox"]', "holds 3 where a name should be"),
        ("a.json", '["cat", {"id": 1, "name": "dog"}, "fox"]', "where a name should be"),
        ("a.json", '["cat", "dog"', "not valid JSON"),
        ("a.json", "[" * 100_000, "not valid JSON"),
        ("a.csv", "id,name\n0,cat\n1,dog\n", "names 2 classes"),
        ("a.csv", "id,name\n0,cat\n1\n2,fox\n", "another number of columns in line 3"),
        ("a.csv", "id,name\n0,cat\nx,dog\n2,fox\n", "column id"),
        ("a.csv", "id,name\n0,cat\n1,\n2,fox\n", "empty name for class 1"),
        ("a.csv", "code,animal\n0,cat\n1,dog\n2,fox\n", "no column of names in its header: code, animal"),
        ("a.txt", b"K\xe4se\nBrot\n\xd6l\n", r"not UTF-8 text \(line 1\)"),
        ("a.txt", "cat\ndog\nfox".encode("utf-16-le"), "zero bytes"),
        ("a.txt", codecs.BOM_UTF16_LE + b"\x00\xd8x", "not UTF-16"),
        ("a.txt", b"x" * (16 * 2**20 + 1), "more than 16 MB"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(tmp_path, name, text, says):
    (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ConfigError, match=says) as caught:
        read_labels(str(tmp_path / name), 3)
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_what_cannot_be_read_is_named(tmp_path):
    for path in (tmp_path, tmp_path / "nothing.txt"):
        with pytest.raises(ConfigError, match=f"Cannot read the labels {path}"):
            read_labels(str(path), 3)
