"""`tlkit inspect-h5` and `tlkit convert-h5` as a person meets them."""

import os
import subprocess
import sys

import dialects
import h5py
import networks
import numpy as np
import pytest
from reference import forward

NETWORK = networks.small()
WRITERS = {
    "keras0-weights": dialects.write_nb_layers,
    "keras1-weights": dialects.write_keras1,
    "keras2-weights": dialects.write_keras2,
    "keras1-model": dialects.write_full_keras1,
    "keras2-model": dialects.write_full_keras2,
    "keras3-legacy-model": dialects.write_full_keras3h5,
    "keras3-weights": dialects.write_keras3_weights,
    "keras-archive": dialects.write_keras_archive,
}


@pytest.mark.parametrize("dialect", WRITERS)
def test_a_file_is_told_by_its_content(tlkit, tmp_path, dialect):
    path = WRITERS[dialect](tmp_path / "file.bin", NETWORK)
    found = tlkit("inspect-h5", path, "--format", "json").json
    assert found["dialect"] == dialect
    shapes = [tensor["shape"] for layer in found["layers"] for tensor in layer["tensors"]]
    wanted = [weight.size for layer in NETWORK for weight in layer.weights.values()]
    sizes = [int(np.prod(shape)) for shape in shapes]
    # folders named by class say no order across classes
    assert (sorted(sizes) == sorted(wanted)) if dialect == "keras3-weights" else sizes == wanted
    assert found["totals"]["parameters"] == sum(wanted)
    text = tlkit("inspect-h5", path).out
    assert found["title"] in text and f"{sum(wanted):,} parameters" in text
    assert tlkit("inspect-h5", path, "--format", "csv").out.count("\n") > len(wanted)


def test_statistics(tlkit, tmp_path):
    values = np.array([[np.nan, 0, -3], [np.inf, 0, 5]], np.float32)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = values
        file.create_dataset("never", (50_000_000, 50_000_000), "f4", chunks=(1000, 1000))
    found = {
        item["path"]: item
        for item in tlkit("inspect-h5", tmp_path / "x.h5", "--stats", "--format", "json").json["objects"]
    }
    stats = found["/a"]["stats"]
    assert (stats["least"], stats["greatest"], stats["nan"], stats["infinite"], stats["zero"]) == (-3, "inf", 1, 1, 2)
    assert stats["mean"] == pytest.approx(0.5)
    assert "nothing is stored" in found["/never"]["stats"]["note"]


def test_links_are_shown_and_never_opened(tmp_path):
    """The target is a named pipe: opening it would wait for ever."""
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["outside"] = h5py.ExternalLink("pipe.h5", "/x")
        file["soft"] = h5py.SoftLink("/outside/deeper")
        file.create_dataset("raw", (4,), "f4", external=[(str(tmp_path / "pipe.h5"), 0, 16)])
        layout = h5py.VirtualLayout((4,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "pipe.h5"), "x", (4,))
        file.create_virtual_dataset("virtual", layout)
        file.attrs["esc\x1b[2J"] = "a\nb\u202e"
    done = subprocess.run(
        [sys.executable, "-m", "tlkit", "inspect-h5", tmp_path / "x.h5", "--stats"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    for words in (
        "external link to pipe.h5:/x",
        "soft link to /outside/deeper",
        "float32, external",
        "float32, virtual",
    ):
        assert words in done.stdout
    assert r"esc\x1b[2J" in done.stdout and r"a\nb\u202e" in done.stdout


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="memory is read from /proc")
@pytest.mark.parametrize("kind", ["groups", "deep", "cycle"])
def test_files_without_end_end(tmp_path, kind):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file
        for number in range({"groups": 20_000, "deep": 2_000, "cycle": 1}[kind]):
            made = group.create_group(f"g{number}")
            group = made if kind == "deep" else group
        if kind == "cycle":
            file["g0/up"] = file["/"]
            file["g0/self"] = file["g0"]
    # resident memory of the reading process itself; ru_maxrss would be that of whoever started it
    code = (
        "import sys; from tlkit.config import InspectConfig; from tlkit.recipes.inspect_h5 import _inspect\n"
        "_inspect(InspectConfig(file=sys.argv[1], stats=True))\n"
        "status = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
        "print(int(status['VmHWM'].split()[0]) // 1024, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.h5"], capture_output=True, text=True, timeout=120, check=True
    )
    megabytes, tensorflow = done.stdout.split()
    assert int(megabytes) < 200
    assert tensorflow == "False"


@pytest.mark.parametrize("content", [b"", b"words", b"\x89HDF\r\n\x1a\n" + b"\0" * 99, b"PK\x03\x04" + b"\0" * 50])
def test_what_is_no_such_file_is_refused_in_one_line(tlkit, tmp_path, content):
    (tmp_path / "x.h5").write_bytes(content)
    ran = tlkit("inspect-h5", tmp_path / "x.h5")
    assert ran.code == 1
    assert ran.err.startswith("Error: ") and ran.err.count("\n") == 1


def test_whether_it_loads_and_how(tlkit, tmp_path):
    from tlkit.architectures.build import build
    from tlkit.architectures.table import get_architecture

    model = build(get_architecture("mobilenetv2"), include_top=False, size=(32, 32))
    model.save_weights(tmp_path / "base.weights.h5")
    fits = tlkit("inspect-h5", tmp_path / "base.weights.h5", "--arch", "mobilenetv2", "--format", "json")
    assert fits.code == 0
    with_top, without = fits.json["loading"]["ways"]
    assert not with_top["loads"] and [layer["layer"] for layer in with_top["missing"]] == ["predictions"]
    assert without["loads"] and "--arch mobilenetv2 --weights" in without["commands"][0]
    other = tlkit("inspect-h5", tmp_path / "base.weights.h5", "--arch", "vgg16")
    assert other.code == 1
    assert "Does not load into vgg16" in other.out and "block1_conv1" in other.out

    done = tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "again.weights.h5", "--arch", "mobilenetv2")
    assert done.code == 0, done.err
    copy = build(get_architecture("mobilenetv2"), include_top=False, size=(32, 32))
    copy.load_weights(tmp_path / "again.weights.h5")
    assert all(np.array_equal(a, b) for a, b in zip(copy.get_weights(), model.get_weights(), strict=True))
    refused = tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "again.weights.h5", "--arch", "mobilenetv2")
    assert refused.code == 2 and "--force" in refused.err
    assert tlkit("convert-h5", tmp_path / "base.weights.h5", tmp_path / "v.weights.h5", "--arch", "vgg16").code == 1
    assert not (tmp_path / "v.weights.h5").exists()


def test_damage_anywhere_ends_in_a_result_or_one_line(tmp_path):
    """2,000 tries; a batch of them reads in one child process, as the command does with each."""
    from tlkit.config import InspectConfig
    from tlkit.errors import TlkitError
    from tlkit.h5.guard import guarded
    from tlkit.recipes.inspect_h5 import _inspect, inspect_h5

    files = [write(tmp_path / f"{number}.bin", NETWORK) for number, write in enumerate(WRITERS.values())]
    random = np.random.default_rng(0)

    def broken(number):
        data = bytearray(files[number % len(files)].read_bytes())
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        path = tmp_path / "batch" / f"{number}.h5"
        path.write_bytes(bytes(data))
        return InspectConfig(file=str(path), stats=number % 2 == 0)

    def read(configs):
        ends = 0
        for config in configs:
            try:
                _inspect(config)
            except TlkitError as error:
                assert "\n" not in error.message
            ends += 1
        return ends

    (tmp_path / "batch").mkdir()
    for start in range(0, 2000, 50):
        configs = [broken(number) for number in range(start, start + 50)]
        try:
            assert guarded(lambda configs=configs: read(configs), tmp_path) == 50
        except TlkitError:  # HDF5 ended the child: the caller lives, and says of which file it was
            for config in configs:
                try:
                    inspect_h5(config)
                except TlkitError as error:
                    assert "\n" not in error.message


def test_a_model_file_predicts(tlkit, tmp_path, cat):
    from tlkit.models.load import load_model

    for name, write in (("a.h5", dialects.write_full_keras2), ("b.keras", dialects.write_keras_archive)):
        path = write(tmp_path / name, NETWORK)
        picture = networks.picture(NETWORK)
        got = load_model(path).model(picture[None].astype("float32")).numpy()[0]
        np.testing.assert_allclose(got, forward(NETWORK, picture), atol=1e-5)
        asked = tlkit("predict", "--model", path, cat)
        assert asked.code == 2 and "--preprocess" in asked.err
        (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n")
        ran = tlkit(
            "predict",
            "--model",
            path,
            "--preprocess",
            "unit",
            "--labels",
            tmp_path / "labels.txt",
            cat,
            "--format",
            "json",
        )
        assert {item["name"] for item in ran.json[0]["predictions"]} == {"one", "two", "three"}
