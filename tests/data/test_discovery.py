import os
import subprocess
from collections import Counter

import pyarrow
import pytest
from pyarrow import parquet

from tlkit.data.discovery import expand_inputs, is_url, near_names, search, walk_files
from tlkit.data.modality import IMAGE
from tlkit.errors import DataError


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def below(root):
    return [os.path.relpath(path, root) for path in walk_files(str(root), IMAGE)]


def test_images_are_found_at_every_level_in_order(tmp_path):
    touch(tmp_path, "b.jpg", "a/2.PNG", "a/10.png", "c.webp", "notes.txt", "labels.csv")
    assert below(tmp_path) == ["a/10.png", "a/2.PNG", "b.jpg", "c.webp"]


STARTS = {
    "jpeg": b"\xff\xd8\xff\xe0", "png": b"\x89PNG\r\n\x1a\n", "gif": b"GIF89a", "webp": b"RIFF\1\0\0\0WEBPVP8 ",
    "bmp": b"BM" + bytes(12) + b"\x28\0\0\0", "tiff": b"MM\0*\0\0\0\x08", "ppm": b"P6 # made by hand\n10 10 255\n",
    "avif": b"\0\0\0\x1cftypavif", "heic": b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic",
}  # fmt: skip


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_file_that_starts_like_an_image_is_one_whatever_its_name(tmp_path, start):
    for name in ("IMG_1", "IMG_2.jpg-large", "IMG_3.dat"):
        (tmp_path / name).write_bytes(start)
    left_out = Counter()
    assert len(list(walk_files(str(tmp_path), IMAGE, left_out))) == 3
    assert not left_out


def test_what_is_no_image_is_counted_by_its_ending(tmp_path):
    contents = {
        "a.txt": "BMW is a car", "b.TXT": "P5 is a format", "c.xml": "<a/>", "d": "words", "Thumbs.db": "",
        "e.mp4": "\0\0\0\x18ftypisom", "f.wav": "RIFF....WAVE", ".DS_Store": "", "g.json": "{}",
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "gone").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    left_out = Counter()
    assert list(walk_files(str(tmp_path), IMAGE, left_out)) == []
    assert left_out == {".txt": 2, ".xml": 1, "": 3, ".mp4": 1, ".wav": 1, ".db": 1, ".json": 1}


def test_images_that_cannot_be_read_are_found_with_the_reason(tmp_path):
    touch(tmp_path, "a.cr2", "b.jxl", "c.svg", "d.tga")
    (tmp_path / "e.NEF").write_bytes(STARTS["tiff"])
    found = dict(search(str(tmp_path), IMAGE, Counter()))
    assert [os.path.basename(path) for path in found] == ["a.cr2", "b.jxl", "c.svg", "d.tga", "e.NEF"]
    assert all("which tlkit does not read" in reason for reason in found.values())


def test_a_link_to_nothing_does_not_suggest_itself(tmp_path):
    (tmp_path / "photo.jpg").symlink_to("nowhere.jpg")
    assert near_names(str(tmp_path / "photo.jpg")) is None
    touch(tmp_path, "photos.jpg")
    assert near_names(str(tmp_path / "photo.jpg")) == "Did you mean photos.jpg?"


def test_hidden_files_are_skipped(tmp_path):
    touch(tmp_path, "._a.jpg", ".ipynb_checkpoints/a.jpg", "__MACOSX/a.jpg", ".hidden.png", "a.jpg")
    assert below(tmp_path) == ["a.jpg"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    touch(tmp_path, "x.jpg/inside.png")
    assert below(tmp_path) == ["x.jpg/inside.png"]
    assert expand_inputs([str(tmp_path / "x.jpg")], IMAGE) == [str(tmp_path / "x.jpg" / "inside.png")]


def test_loops_of_links_end(tmp_path):
    touch(tmp_path, "a/1.jpg")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "other").symlink_to(tmp_path / "a", target_is_directory=True)
    assert below(tmp_path) == ["a/1.jpg"]


def test_folders_that_link_to_each_other_are_walked_once(tmp_path):
    for name in "abcdefgh":
        touch(tmp_path, f"{name}/{name}.jpg")
        for other in "abcdefgh":
            (tmp_path / name / f"to-{other}").symlink_to(tmp_path / other)
    assert sorted(path.split("/")[-1] for path in below(tmp_path)) == [f"{name}.jpg" for name in "abcdefgh"]


def test_a_link_to_a_folder_elsewhere_is_followed(tmp_path):
    touch(tmp_path, "elsewhere/1.jpg", "data/0.jpg")
    (tmp_path / "data" / "more").symlink_to(tmp_path / "elsewhere")
    assert below(tmp_path / "data") == ["0.jpg", "more/1.jpg"]


def test_very_deep_folders(tmp_path, monkeypatch):
    depth = 1200  # more than Python's recursion limit
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    os.chdir(tmp_path)
    try:
        assert list(walk_files("d", IMAGE)) == []
    finally:  # pytest's own clean-up is recursive
        subprocess.run(["rm", "-rf", "d"], check=True)


@pytest.mark.parametrize("name", ["two words.jpg", "line\nbreak.jpg", "é.jpg", "é.jpg", "‮.jpg"])
def test_odd_names_are_found(tmp_path, name):
    touch(tmp_path, name)
    assert below(tmp_path) == [name]


def test_names_that_are_not_utf8_are_found(tmp_path):
    raw = os.fsencode(tmp_path) + b"/\xff\xfe.jpg"
    with open(raw, "wb"):
        pass
    (found,) = walk_files(str(tmp_path), IMAGE)
    assert os.fsencode(found) == raw


def test_inputs_are_in_order_and_include_missing_ones(tmp_path):
    touch(tmp_path, "d/1.jpg", "d/2.jpg", "empty/notes.txt", "z.bin")
    folder, file, empty = str(tmp_path / "d"), str(tmp_path / "z.bin"), str(tmp_path / "empty")
    assert expand_inputs([file, "https://host/x.jpg", folder, "nothing.jpg", empty], IMAGE) == [
        file, "https://host/x.jpg", os.path.join(folder, "1.jpg"), os.path.join(folder, "2.jpg"), "nothing.jpg", empty,
    ]  # fmt: skip


def test_a_parquet_file_is_a_list_of_images(tmp_path):
    rows = {"label": ["a", "b", "c"], "file": ["d/1.jpg", "https://host/x.jpg", "nothing.jpg"]}
    parquet.write_table(pyarrow.table(rows), tmp_path / "list.parquet")
    parquet.write_table(pyarrow.table({"whatever": ["d/1.jpg"]}), tmp_path / "one.PARQUET")
    found = expand_inputs([str(tmp_path / "list.parquet"), "y.jpg", str(tmp_path / "one.PARQUET")], IMAGE)
    one = str(tmp_path / "d" / "1.jpg")
    assert found == [one, "https://host/x.jpg", str(tmp_path / "nothing.jpg"), "y.jpg", one]
    for table, says in (
        (pyarrow.table({"a": ["x"], "b": ["y"]}), "has the columns a, b, and none of them is known to hold images"),
        (pyarrow.table({"path": ["x", None]}), "line 2: it has no path"),
        (None, "cannot be read"),
    ):
        (tmp_path / "bad.parquet").write_bytes(b"PAR1 and no more")
        if table is not None:
            parquet.write_table(table, tmp_path / "bad.parquet")
        with pytest.raises(DataError, match=says):
            expand_inputs([str(tmp_path / "bad.parquet")], IMAGE)


def test_what_is_a_url():
    assert all(
        map(
            is_url,
            ["http://a/b", "HTTPS://a", "ftp://a", "file:///etc/passwd", "data:image/png;base64,xx"],
        )
    )
    assert not any(map(is_url, ["a.jpg", "/a:b.jpg", "C:\\a.jpg", "./data/a.jpg"]))
