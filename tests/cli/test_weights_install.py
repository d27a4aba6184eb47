"""``tlkit weights pull -o`` and ``install``: from one machine to another, and folders that somebody else made."""

import os
import shutil

import pytest
from cli.published import published, write_weights

from tlkit.architectures.pretrained import choose_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.cli import main
from tlkit.downloads import locate as locating
from tlkit.downloads.locate import weights_folder

LITE0 = get_architecture("efficientnetlite0")
NAME = published("mobilenet", top=False)


@pytest.fixture(scope="module")
def pulled(tmp_path_factory):
    """A folder with Lite0, from its package, and a MobileNet, from the cache."""
    folder = tmp_path_factory.mktemp("pulled")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TLKIT_CACHE_DIR", str(folder / "cache"))
        write_weights(weights_folder() / NAME, "mobilenet", top=False)
        command = ["weights", "pull", "mobilenet", "efficientnet-lite0", "--no-top", "-o", str(folder / "out" / "w")]
        assert not main(command, standalone_mode=False)
    return folder / "out" / "w"


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another machine: no packages, no network, and no cache yet."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setattr("tlkit.downloads.download.PAUSE_SECONDS", 0)
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "there"))
    monkeypatch.setattr(locating, "find_spec", lambda module: None)
    return tmp_path / "there" / "tlkit" / "weights"


@pytest.fixture
def folder(pulled, tmp_path):
    """A copy of the folder, to spoil."""
    return shutil.copytree(pulled, tmp_path / "w")


def test_pull_collects_plain_files_and_nothing_else(pulled):
    assert sorted(path.name for path in pulled.iterdir()) == sorted([LITE0.with_top.name, NAME])


@pytest.mark.every
def test_pull_into_a_folder_again_keeps_what_is_good_there(tlkit, folder, elsewhere):
    write_weights(folder / NAME, "mobilenetv2", top=False)
    write_weights(elsewhere / NAME, "mobilenet", top=False)
    command = ["weights", "pull", "mobilenet", "efficientnetlite0", "--no-top", "-o", folder]
    refused = tlkit(*command)  # what is there under that name may be somebody's own
    assert refused.code == 3
    assert f"{folder / NAME} exists" in refused.err and "--force" in refused.err
    ran = tlkit(*command, "--force")
    assert ran.out.split() == ["copied", str(folder / NAME), "present", str(folder / LITE0.with_top.name)]
    assert tlkit("weights", "verify", folder).code == 0


def test_pull_names_what_cannot_be_had_and_collects_the_rest(tlkit, tmp_path, elsewhere):
    write_weights(elsewhere / NAME, "mobilenet", top=False)
    ran = tlkit("weights", "pull", "mobilenet", "-o", tmp_path / "out")
    assert ran.code == 3
    assert f"{published('mobilenet', top=True)}, cannot be downloaded" in ran.err
    assert [path.name for path in (tmp_path / "out").iterdir()] == [NAME]


def test_pull_into_something_that_is_no_folder(tlkit, tmp_path):
    (tmp_path / "file").touch()
    ran = tlkit("weights", "pull", "efficientnetlite0", "-o", tmp_path / "file")
    assert ran.code == 1
    assert f"Cannot create the folder {tmp_path / 'file'}" in ran.err


@pytest.mark.every
def test_what_is_installed_is_found_by_every_command(tlkit, pulled, elsewhere):
    ran = tlkit("weights", "install", pulled, "--format", "json")
    assert ran.code == 0
    assert [(one["file"], one["status"], one["path"]) for one in ran.json] == [
        (name, "installed", str(elsewhere / name)) for name in sorted([LITE0.with_top.name, NAME])
    ]
    assert choose_weights(LITE0, include_top=True).path == elsewhere / LITE0.with_top.name
    assert choose_weights(get_architecture("mobilenet"), include_top=False).path == elsewhere / NAME
    assert tlkit("weights", "verify").code == 0
    again = tlkit("weights", "install", pulled)
    assert [line.split()[0] for line in again.out.splitlines()] == ["present", "present"]


def test_the_folder_is_a_mirror_too(pulled, elsewhere, monkeypatch):
    monkeypatch.setenv(locating.MIRROR_VARIABLE, str(pulled))
    assert choose_weights(LITE0, include_top=True).path == pulled / LITE0.with_top.name
    assert not elsewhere.exists()


@pytest.mark.every
def test_a_different_file_stays_unless_forced(tlkit, pulled, elsewhere):
    write_weights(elsewhere / NAME, "mobilenet", top=True)
    before = (elsewhere / NAME).read_bytes()
    ran = tlkit("weights", "install", pulled)
    assert ran.code == 1
    assert f"{elsewhere / NAME} exists and differs" in ran.err
    assert "--force" in ran.err
    assert [path.name for path in elsewhere.iterdir()] == [NAME]
    assert (elsewhere / NAME).read_bytes() == before
    forced = tlkit("weights", "install", pulled, "--force").out.splitlines()
    assert [line.split()[0] for line in forced] == ["installed", "replaced"]
    assert (elsewhere / NAME).read_bytes() == (pulled / NAME).read_bytes()


def test_a_link_in_the_target_is_replaced_and_never_followed(tlkit, pulled, elsewhere, tmp_path):
    elsewhere.mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    (elsewhere / NAME).symlink_to(tmp_path / "precious")
    assert "exists and differs" in tlkit("weights", "install", pulled).err
    assert tlkit("weights", "install", pulled, "--force").code == 0
    assert not (elsewhere / NAME).is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"


def link(folder):
    """The file of a MobileNet, good, but outside the folder."""
    (folder / NAME).rename(folder.parent / "outside.h5")
    (folder / NAME).symlink_to(folder.parent / "outside.h5")


def directory(folder):
    (folder / NAME).unlink()
    (folder / NAME).mkdir()


def pipe(folder):
    (folder / NAME).unlink()
    os.mkfifo(folder / NAME)


def flip(folder):
    """One bit of Lite0."""
    path = folder / LITE0.with_top.name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(folder):
    for path in folder.iterdir():
        path.unlink()


SPOILED = {
    "a link": (link, f"{NAME} is not a regular file"),
    "a folder": (directory, f"{NAME} is not a regular file"),
    "a pipe": (pipe, f"{NAME} is not a regular file"),
    "an unknown name": (lambda folder: (folder / "evil.h5").touch(), "evil.h5 is not a published weights file"),
    "a terminal sequence": (
        lambda folder: (folder / "\x1b[31mx").touch(), "\\x1b[31mx is not a published weights file"
    ),
    "a flipped bit": (flip, f"{LITE0.with_top.name} is damaged or another file: its digest is"),
    "another network": (
        lambda folder: write_weights(folder / NAME, "mobilenetv2", top=False), "it is not of mobilenet without"
    ),
    "cut": (lambda folder: os.truncate(folder / NAME, 20_000), "cut short"),
    "text": (lambda folder: (folder / NAME).write_text("text" * 1000), "is damaged or another file"),
    "nothing": (empty, "it holds no weights files"),
    "no folder": (shutil.rmtree, "cannot be read: No such file or directory"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILED)
def test_a_folder_that_is_not_as_it_should_be_changes_nothing(tlkit, folder, elsewhere, name):
    spoil, expected = SPOILED[name]
    spoil(folder)
    ran = tlkit("weights", "install", folder, "--force")
    assert ran.code == 1, ran.out
    assert expected in ran.err
    assert len(ran.err.splitlines()) <= 2
    assert not elsewhere.exists()


def test_files_of_the_system_are_passed_over(tlkit, folder, elsewhere):
    (folder / ".DS_Store").touch()
    assert tlkit("weights", "install", folder).code == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted([LITE0.with_top.name, NAME])


def test_a_full_disk_leaves_nothing(tlkit, pulled, elsewhere, monkeypatch):
    real = shutil.copyfile

    def full(source, target):
        real(source, target)
        if source.name == NAME:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    ran = tlkit("weights", "install", pulled)
    assert ran.code == 1
    assert f"Cannot write to {elsewhere}: No space left" in ran.err
    assert list(elsewhere.iterdir()) == []


def test_a_file_that_changes_while_it_is_copied_is_not_installed(tlkit, folder, elsewhere, monkeypatch):
    real = shutil.copyfile

    def swap(source, target):
        real(source, target)
        if source.name == NAME:
            write_weights(target, "mobilenet", top=True)

    monkeypatch.setattr(shutil, "copyfile", swap)
    ran = tlkit("weights", "install", folder)
    assert ran.code == 1
    assert "changed while it was copied" in ran.err
    assert list(elsewhere.iterdir()) == []


def test_too_little_space_is_known_before_anything_is_written(tlkit, pulled, elsewhere, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    ran = tlkit("weights", "install", pulled)
    assert ran.code == 1
    assert "has 1.0 kB free" in ran.err
    assert list(elsewhere.iterdir()) == []


def test_a_damaged_file_in_the_weights_folder_is_not_used(tlkit, elsewhere):
    elsewhere.mkdir(parents=True)
    (elsewhere / LITE0.with_top.name).write_bytes(b"something else")
    ran = tlkit("weights", "path", "efficientnetlite0")
    assert ran.code == 1
    assert f"{elsewhere / LITE0.with_top.name} is damaged: its digest is" in ran.err
