"""``tlkit weights pack`` and ``unpack``: from one machine to another, and archives that somebody else made."""

import hashlib
import io
import json
import shutil
import tarfile

import pytest
from cli.published import published, write_weights

from tlkit.architectures.pretrained import choose_weights
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.cli import main
from tlkit.downloads import bundle as bundle
from tlkit.downloads import locate as sources
from tlkit.downloads.folders import weights_folder

ROW = get_architecture("efficientnetlite0")
NAME = published("mobilenet", top=False)


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """``both.tar`` of Lite0, from its package, and of a MobileNet that was in the cache; ``small.tar`` of that."""
    folder = tmp_path_factory.mktemp("archives")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("TLKIT_CACHE_DIR", str(folder / "here"))
        write_weights(weights_folder() / NAME, "mobilenet", top=False)
        for name, names in (("both.tar", ["mobilenet", "efficientnet-lite0"]), ("small.tar", ["mobilenet"])):
            command = ["weights", "pack", *names, "--no-top", "-o", str(folder / name)]
            assert not main(command, standalone_mode=False)
    return folder


@pytest.fixture
def here(archives, monkeypatch):
    """The machine where the archives were packed."""
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(archives / "here"))


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Another machine: no packages, and no cache yet."""
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "there"))
    monkeypatch.setattr(sources, "find_spec", lambda module: None)
    return tmp_path / "there" / "weights"


@pytest.fixture
def both(archives):
    return archives / "both.tar"


@pytest.fixture
def small(archives, tmp_path):
    return shutil.copy(archives / "small.tar", tmp_path / "small.tar")


def members(path):
    with tarfile.open(path, "r:") as file:
        return {member.name: file.extractfile(member).read() for member in file}


def write(path, contents):
    """A tar of ``(name or TarInfo, bytes)``."""
    with tarfile.open(path, "w:", format=tarfile.USTAR_FORMAT) as file:
        for member, data in contents:
            member = tarfile.TarInfo(member) if isinstance(member, str) else member
            member.size = member.size or len(data)
            file.addfile(member, io.BytesIO(data))


def test_what_is_packed_is_found_by_every_command_elsewhere(tlkit, both, elsewhere):
    ran = tlkit("weights", "unpack", both, "--format", "json")
    assert ran.code == 0
    assert ran.json["folder"] == str(elsewhere)
    assert [(one["name"], one["status"]) for one in ran.json["files"]] == [
        (ROW.with_top.name, "installed"),
        (NAME, "installed"),
    ]
    assert choose_weights(ROW, include_top=True).path == elsewhere / ROW.with_top.name
    assert choose_weights(get_architecture("mobilenet"), include_top=False).path == elsewhere / NAME
    assert tlkit("weights", "verify").code == 0
    again = tlkit("weights", "unpack", both)
    assert [line.split()[0] for line in again.out.splitlines()] == ["there", "there"]


def test_the_manifest_says_what_is_in_it_and_the_bytes_are_always_the_same(tlkit, both, here, tmp_path):
    contents = members(both)
    assert list(contents) == ["manifest.json", ROW.with_top.name, NAME]
    manifest = json.loads(contents["manifest.json"])
    assert (manifest["format"], manifest["version"]) == ("tlkit-weights", 1)
    lite, net = manifest["files"]
    assert lite["digest"] == f"sha256:{lite['sha256']}" == ROW.with_top.digest
    assert net == {
        "name": NAME, "architecture": "mobilenet", "top": "no", "sha256": net["sha256"],
        "bytes": len(contents[NAME]), "digest": None,
    }  # fmt: skip
    tlkit("weights", "pack", "efficientnetlite0", "mobilenet", "--no-top", "-o", tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == both.read_bytes()


def test_pack_refuses_before_it_writes(tlkit, small, here, tmp_path, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    assert "exists" in tlkit("weights", "pack", "mobilenet", "-o", small).err
    assert "must end in .tar" in tlkit("weights", "pack", "mobilenet", "-o", tmp_path / "w.zip").err
    assert "no folder" in tlkit("weights", "pack", "mobilenet", "-o", tmp_path / "no" / "w.tar").err
    ran = tlkit("weights", "pack", "mobilenet", "-o", tmp_path / "both.tar")
    assert ran.code == 1
    assert f"{published('mobilenet', top=True)} is missing" in ran.err
    assert "is not written: 1 of 2 files" in ran.err
    assert not (tmp_path / "both.tar").exists()


def test_a_different_file_that_is_there_stays_unless_forced(tlkit, both, elsewhere):
    write_weights(elsewhere / NAME, "mobilenet", top=True)
    before = (elsewhere / NAME).read_bytes()
    ran = tlkit("weights", "unpack", both)
    assert ran.code == 1
    assert f"{elsewhere / NAME} is there and differs" in ran.err
    assert "--force" in ran.err
    assert [path.name for path in elsewhere.iterdir()] == [NAME]
    assert (elsewhere / NAME).read_bytes() == before
    forced = tlkit("weights", "unpack", both, "--force").out.splitlines()
    assert [line.split()[0] for line in forced] == ["installed", "replaced"]
    assert (elsewhere / NAME).read_bytes() == members(both)[NAME]


def changed(archive, item, /, **values):
    """The manifest with other values for a file."""
    manifest = json.loads(members(archive)["manifest.json"])
    next(one for one in manifest["files"] if one["name"] == item).update(values)
    return manifest


def with_manifest(edit):
    def make(path):
        contents = members(path)
        manifest = edit(path)
        text = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
        write(path, {**contents, "manifest.json": text}.items())

    return make


def with_members(edit):
    def make(path):
        write(path, edit(list(members(path).items())))

    return make


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def renamed(name):
    """The MobileNet file under another name, in the manifest too."""

    def make(path):
        contents = members(path)
        text = json.dumps(changed(path, NAME, name=name)).encode()
        others = [(key, value) for key, value in contents.items() if key not in ("manifest.json", NAME)]
        write(path, [("manifest.json", text), *others, (name, contents[NAME])])

    return make


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def other_network(path):
    """A sound archive of a MobileNetV2 that calls itself MobileNet."""
    data = write_weights(path.with_name("v2.h5"), "mobilenetv2", top=False).read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    text = json.dumps(changed(path, NAME, sha256=sha256, bytes=len(data))).encode()
    write(path, {**members(path), "manifest.json": text, NAME: data}.items())


def sparse(path):
    """A member of a few bytes that a tar program makes a gigabyte of."""
    with tarfile.open(path, "w:", format=tarfile.PAX_FORMAT) as file:
        info = member(NAME, size=4)
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "1000000000"}
        file.addfile(info, io.BytesIO(b"0\n0\n"))


ATTACKS = {
    "a path": (renamed("../evil.h5"), "evil.h5 is no published weights file"),
    "an absolute path": (renamed("/tmp/evil.h5"), "evil.h5 is no published weights file"),
    "a folder in the name": (renamed(f"x/{NAME}"), "is no published weights file"),
    "a terminal sequence": (renamed("\x1b[31mx"), "\\x1b[31mx is no published weights file"),
    "an unknown name": (renamed("evil.h5"), "evil.h5 is no published weights file"),
    "another known name": (renamed(published("mobilenet", top=True)), "what tlkit knows otherwise"),
    "a symbolic link": (
        with_members(lambda all: [*all[:-1], (member(NAME, tarfile.SYMTYPE, "/etc/passwd"), b"")]), "a symbolic link"
    ),
    "a hard link": (with_members(lambda all: [*all, (member("x", tarfile.LNKTYPE, NAME), b"")]), "is a link"),
    "a folder": (with_members(lambda all: [*all, (member("x", tarfile.DIRTYPE), b"")]), "is a folder"),
    "a device": (with_members(lambda all: [*all, (member("x", tarfile.CHRTYPE), b"")]), "is a device"),
    "an extra member": (with_members(lambda all: [*all, ("x", b"x")]), "of which the manifest says nothing"),
    "a member twice": (with_members(lambda all: [*all, all[-1]]), "twice"),
    "a missing member": (with_members(lambda all: all[:-1]), "it does not hold"),
    "the manifest last": (with_members(lambda all: [*all[1:], all[0]]), "does not begin with manifest.json"),
    "the manifest twice": (with_members(lambda all: [*all, all[0]]), "manifest.json, of which the manifest says"),
    "a name twice": (
        with_manifest(lambda path: {**(m := changed(path, NAME)), "files": [*m["files"], m["files"][-1]]}), "twice"
    ),
    "another size": (with_manifest(lambda path: changed(path, NAME, bytes=5)), "the manifest says 5"),
    "a size that is none": (with_manifest(lambda path: changed(path, NAME, bytes=True)), "not described"),
    "another hash": (with_manifest(lambda path: changed(path, NAME, sha256="0" * 64)), "SHA-256"),
    "another digest": (with_manifest(lambda path: changed(path, NAME, digest="md5:0")), "knows otherwise"),
    "a key more": (with_manifest(lambda path: changed(path, NAME, path="/etc")), "not described"),
    "another version": (with_manifest(lambda path: {**changed(path, NAME), "version": 2}), "version 2"),
    "no JSON": (with_manifest(lambda path: b"{"), "no JSON"),
    "deep JSON": (with_manifest(lambda path: b"[" * 100_000), "no JSON"),
    "a large manifest": (with_manifest(lambda path: b" " * 1_000_001), "its manifest has 1.0 MB"),
    "a flipped bit": (flipped, "is damaged: its SHA-256 is not what the manifest says"),
    "another network": (other_network, "it is not of mobilenet without its classifier"),
    "a sparse file": (sparse, "an extended header"),
    "cut": (lambda path: path.write_bytes(path.read_bytes()[:-20_000]), "cut short"),
    "cut at the end": (lambda path: path.write_bytes(path.read_bytes()[:-1024]), "cut short"),
    "something behind": (lambda path: path.write_bytes(path.read_bytes() + b"x"), "something follows"),
    "text": (lambda path: path.write_text("text" * 1000), "it is no tar archive"),
    "empty": (lambda path: path.write_bytes(b""), "it is no tar archive"),
    "compressed": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(600)), "it is compressed"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_archive_that_is_not_as_it_should_be_changes_nothing(tlkit, small, elsewhere, tmp_path, attack):
    make, says = ATTACKS[attack]
    make(small)
    before = sorted(tmp_path.rglob("*"))
    ran = tlkit("weights", "unpack", small, "--force")
    assert ran.code == 1, ran.out
    assert says in ran.err
    assert len(ran.err.splitlines()) == 2
    assert [path for path in sorted(tmp_path.rglob("*")) if path not in before and path.is_file()] == []


def test_a_member_of_another_published_digest_is_refused(tlkit, both, elsewhere, tmp_path):
    """The manifest agrees with what the archive holds, and with the table; the bytes are not the published ones."""
    data = b"x" * 100
    sha256 = hashlib.sha256(data).hexdigest()
    text = json.dumps(changed(both, ROW.with_top.name, sha256=sha256, bytes=100)).encode()
    bad = tmp_path / "bad.tar"
    write(bad, {**members(both), "manifest.json": text, ROW.with_top.name: data}.items())
    assert "is not the published file" in tlkit("weights", "unpack", bad).err
    assert not elsewhere.exists()


def test_a_full_disk_leaves_nothing(tlkit, both, elsewhere, monkeypatch):
    real = bundle.OpenArchive.copy

    def full(self, item, target):
        if item.name == NAME:
            raise OSError(28, "No space left on device")
        real(self, item, target)

    monkeypatch.setattr(bundle.OpenArchive, "copy", full)
    ran = tlkit("weights", "unpack", both)
    assert ran.code == 1
    assert f"Cannot write to {elsewhere}: No space left" in ran.err
    assert list(elsewhere.iterdir()) == []


def test_what_is_in_the_weights_folder_for_a_package_is_checked(tlkit, elsewhere):
    elsewhere.mkdir(parents=True)
    (elsewhere / ROW.with_top.name).write_bytes(b"something else")
    ran = tlkit("weights", "path", "efficientnetlite0")
    assert ran.code == 1
    assert f"{elsewhere / ROW.with_top.name} is damaged: its digest is" in ran.err
