"""`tlkit extract`: rows in order with what belongs to them, the same wherever they are asked for."""

import csv
import json
import os
import shutil

import h5py
import numpy as np
import pytest
from helpers import program
from PIL import Image
from pyarrow import parquet

from tlkit.architectures.pretrained import build_pretrained
from tlkit.architectures.registry.lookup import get_architecture
from tlkit.architectures.submodel import submodel
from tlkit.data.images.preprocessor import ImagePreprocessor
from tlkit.utils.text import escape_control_chars

pytestmark = pytest.mark.usefixtures("toy")

TOY = ["--arch", "toy"]


@pytest.fixture
def folder(tmp_path, noise):
    """Seven pictures."""
    for number in range(7):
        noise(tmp_path / "in" / f"{number}.png", number)
    return tmp_path / "in"


def read(path):
    """Features and file names of any of the formats."""
    if path.suffix == ".parquet":
        table = parquet.read_table(path)
        assert json.loads(table.schema.metadata[b"tlkit"])["provenance"]["layer"]
        return np.array(table["features"].to_pylist(), np.float32), table["file"].to_pylist()
    if path.suffix == ".h5":
        with h5py.File(path) as file:
            assert json.loads(file.attrs["provenance"])["layer"]
            return file["features"][()], [name.decode("utf-8", "surrogateescape") for name in file["files"]]
    beside = json.loads(path.with_name(f"{path.name}.json").read_text())
    if path.suffix == ".npy":
        return np.load(path, allow_pickle=False), beside["files"]
    with path.open(newline="", encoding="utf-8") as file:  # names that are not UTF-8 too
        rows = list(csv.reader(file))[1:]
    assert [row[0] for row in rows] == [escape_control_chars(name) for name in beside["files"]]
    return np.array([row[1:] for row in rows], np.float32), beside["files"]


def expected(files, layer=None, pooling="avg", size=(32, 32), name="toy"):
    row = get_architecture(name)
    model = build_pretrained(row, include_top=False, size=size).model
    model = submodel(model, layer or model.layers[-1].name, pooling)
    preprocessor = ImagePreprocessor(size, row.preprocessing)
    return model(
        preprocessor.to_model_input(np.stack([preprocessor.to_array(preprocessor.load(str(file))) for file in files])),
        training=False,
    ).numpy()


@pytest.mark.parametrize("ending", ["npy", "h5", "parquet", "csv"])
def test_rows_are_what_keras_says(tlkit, tmp_path, folder, ending):
    ran = tlkit("extract", folder / "3.png", folder, "-o", tmp_path / f"f.{ending}", *TOY, "--batch-size", 3)
    assert (ran.code, ran.err) == (0, "")
    features, files = read(tmp_path / f"f.{ending}")
    assert files == [str(folder / name) for name in ("3.png", *sorted(os.listdir(folder)))]
    assert features.dtype == np.float32
    np.testing.assert_allclose(features, expected(files), rtol=1e-3, atol=1e-5)
    assert sorted(os.listdir(tmp_path)) == sorted(
        {"in", f"f.{ending}"} | ({f"f.{ending}.json"} if ending in ("npy", "csv") else set())
    )


def test_the_formats_and_the_engines_agree(tlkit, tmp_path, folder):
    for ending in ("npy", "h5", "parquet", "csv"):
        tlkit("extract", folder, "-o", tmp_path / f"f.{ending}", *TOY)
    one, *others = (read(tmp_path / f"f.{ending}")[0] for ending in ("npy", "h5", "parquet", "csv"))
    for other in others:
        np.testing.assert_array_equal(one, other)
    assert tlkit("extract", folder, "-o", tmp_path / "k.npy", *TOY, "--engine", "keras").code == 0
    np.testing.assert_allclose(read(tmp_path / "k.npy")[0], one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        (["--layer", "block1_add"], (8,)),
        (["--layer", "block1_add", "--pooling", "max"], (8,)),
        (["--layer", "block1_add", "--pooling", "none"], (16, 16, 8)),
        (["--pooling", "none"], (8, 8, 16)),
    ],
)
def test_any_layer_pooled_or_as_a_map(tlkit, tmp_path, folder, options, shape):
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, *options, "--format", "json")
    assert ran.json["shape"] == [7, *shape]
    given = dict(zip(options[::2], options[1::2], strict=True))
    features, files = read(tmp_path / "f.npy")
    want = expected(files, given.get("--layer"), given.get("--pooling", "avg"))
    np.testing.assert_allclose(features, want, rtol=1e-3, atol=1e-4)


def test_a_layer_of_the_classifier(tlkit, tmp_path, folder):
    assert tlkit("extract", folder / "0.png", "-o", tmp_path / "p.npy", *TOY, "--layer", "predictions").code == 0
    named = tlkit("predict", folder / "0.png", *TOY, "--format", "json", "--top", "50").json[0]["predictions"]
    features, _ = read(tmp_path / "p.npy")
    assert sorted(features[0], reverse=True) == pytest.approx([score["probability"] for score in named])


@pytest.mark.every
def test_a_layer_of_vgg(tlkit, tmp_path, folder):
    ran = tlkit("extract", folder / "0.png", "-o", tmp_path / "v.npy", "--arch", "vgg19", "--layer", "block4_pool",
                "--weights", "none", "--pooling", "none", "--size", "64", "--format", "json")  # fmt: skip
    assert ran.json["shape"] == [1, 4, 4, 512]


def test_a_bad_picture_is_named_and_the_rows_stay_aligned(tlkit, tmp_path, folder):
    (folder / "2.png").write_bytes(b"no picture")
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, "--batch-size", "2", "--format", "json")
    assert ran.code == 3
    assert [item["input"] for item in ran.json["skipped"]] == [str(folder / "2.png")]
    assert "2.png" in ran.err
    features, files = read(tmp_path / "f.npy")
    assert files == [str(folder / f"{number}.png") for number in (0, 1, 3, 4, 5, 6)]
    np.testing.assert_allclose(features, expected(files), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("ending", ["npy", "h5", "parquet", "csv"])
def test_names_of_any_kind_travel(tlkit, tmp_path, noise, ending):
    names = [
        "a b.png",
        "new\nline.png",
        os.fsdecode(b"caf\xe9.png"),
        "caf\u00e9.png",
        "cafe\u0301.png",
        "\u202eright.png",
    ]
    for number, name in enumerate(names):
        noise(tmp_path / "in" / "x.png", number).rename(tmp_path / "in" / name)
    ran = tlkit("extract", tmp_path / "in", "-o", tmp_path / f"f.{ending}", *TOY)
    assert ran.code == 0
    features, files = read(tmp_path / f"f.{ending}")
    if ending == "parquet":  # whose strings are UTF-8
        assert str(tmp_path / "in" / r"caf\xe9.png") in files
        files = [name.replace(r"\xe9", os.fsdecode(b"\xe9")) for name in files]
    assert sorted(files) == sorted(str(tmp_path / "in" / name) for name in names)
    np.testing.assert_allclose(features, expected(files), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("how", "ending"),
    [
        ("SIGINT", "npy"),
        pytest.param("SIGKILL", "h5", marks=pytest.mark.every),
        pytest.param("SIGKILL", "npy", marks=pytest.mark.every),
    ],
)
def test_killed_it_goes_on_and_ends_the_same(tlkit, tmp_path, folder, how, ending):
    command = ["extract", folder, *TOY, "--batch-size", "2", "-o"]
    assert tlkit(*command, tmp_path / f"whole.{ending}").code == 0
    ran = program.run(*command, tmp_path / f"f.{ending}", fail_after=f"2:{how}")
    assert ran.returncode == (-9 if how == "SIGKILL" else 130), ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (tmp_path / f"f.{ending}").exists()
    again = tlkit(*command, tmp_path / f"f.{ending}", "--format", "json")
    assert again.json["computed"] == 3
    assert (tmp_path / f"f.{ending}").read_bytes() == (tmp_path / f"whole.{ending}").read_bytes()
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.every
def test_what_is_left_of_other_options_is_not_used(tlkit, tmp_path, folder):
    program.run("extract", folder, *TOY, "--batch-size", "2", "-o", tmp_path / "f.npy", fail_after="2:SIGKILL")
    assert list(tmp_path.glob("*.part"))
    ran = tlkit("extract", folder, *TOY, "--size", "70", "-o", tmp_path / "f.npy", "--format", "json")
    assert ran.json["computed"] == 7
    np.testing.assert_allclose(*(read(tmp_path / "f.npy")[0], expected(read(tmp_path / "f.npy")[1], size=(70, 70))),
                               rtol=1e-3, atol=1e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--layer", "block1_add"], "layer top_relu, not block1_add"),
        (["--pooling", "max"], "pooling avg, not max"),
        (["--size", "70"], "size 32x32, not 70x70"),
        (["--resize", "crop"], "resize squash, not crop"),
        (["--engine", "keras"], "engine openvino"),
        (["--precision", "bfloat16"], "precision float32, not bfloat16"),
        (["--weights", "none"], "weights"),
        (["--arch", "mobilenetv2", "--weights", "none"], "architecture toy, not mobilenetv2"),
    ],
)
def test_features_of_something_else_are_not_written_over(tlkit, tmp_path, folder, options, says):
    tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY)
    before = (tmp_path / "f.npy").read_bytes()
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, *options)
    assert ran.code == 1
    assert says in ran.err
    assert "--force" in ran.err
    assert (tmp_path / "f.npy").read_bytes() == before
    if options[0] == "--pooling":
        assert tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, *options, "--force").code == 0


def test_the_same_features_of_other_pictures_replace_the_old(tlkit, tmp_path, folder, noise):
    tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY)
    stat = (folder / "1.png").stat()
    noise(folder / "1.png", 99)
    os.utime(folder / "1.png", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, "--format", "json")
    assert ran.json["computed"] == 1
    features, files = read(tmp_path / "f.npy")
    np.testing.assert_allclose(features, expected(files), rtol=1e-3, atol=1e-5)


def test_bfloat16_says_what_it_costs(tlkit, tmp_path, folder):
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, "--precision", "bfloat16", "--format", "json")
    assert 1e-5 < ran.json["notes"]["relative_error"] < 0.2
    assert "bfloat16 vs float32" in ran.err
    assert read(tmp_path / "f.npy")[0].shape == (7, 16)


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        (["-o", "f.txt"], 2, "must end in"),
        (["-o", "none/f.npy"], 1, "no folder"),
        (["-o", "f.npy", *TOY, "--layer", "block3_ad"], 2, "Did you mean block3_add"),
        (["-o", "f.npy", "--layer", "predictions", "--pooling", "avg"], 2, "applies to feature maps"),
        (["-o", "f.npy", "--arch", "inceptionv4"], 2, "inceptionv3"),
        (["-o", "f.npy", "--model", "run", "--arch", "vgg16"], 2, "contradicts --model"),
        (["-o", "f.npy", "--size", "16"], 2, "at least"),
        ([], 2, "output is missing"),
    ],
)
def test_bad_options(tlkit, tmp_path, folder, monkeypatch, options, code, says):
    monkeypatch.chdir(tmp_path)
    ran = tlkit("extract", folder, *options)
    assert (ran.code, ran.out) == (code, "")
    assert says in ran.err
    assert os.listdir(tmp_path) == ["in"]


def test_nothing_that_can_be_read_writes_nothing(tlkit, tmp_path):
    ran = tlkit("extract", tmp_path / "nothing.png", "-o", tmp_path / "f.npy", *TOY)
    assert ran.code == 1
    assert "there is no such file" in ran.err
    assert not (tmp_path / "f.npy").exists()


def test_a_file_that_is_no_features_is_not_written_over(tlkit, tmp_path, folder):
    np.save(tmp_path / "f.npy", np.arange(3))
    ran = tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY)
    assert ran.code == 2
    assert np.load(tmp_path / "f.npy").tolist() == [0, 1, 2]
    assert tlkit("extract", folder, "-o", tmp_path / "f.npy", *TOY, "--force").code == 0


@pytest.mark.every
def test_large_jpegs_give_the_features_of_the_whole_picture(tlkit, tmp_path, chelsea):
    """They are decoded at a fraction of their size; that must not matter."""
    large = Image.fromarray(chelsea).resize((2400, 1600), Image.Resampling.LANCZOS)
    large.save(tmp_path / "large.jpg", quality=95)
    Image.open(tmp_path / "large.jpg").save(tmp_path / "large.png")
    tlkit("extract", tmp_path / "large.jpg", tmp_path / "large.png", "-o", tmp_path / "f.npy")
    (jpeg, png), _ = read(tmp_path / "f.npy")
    assert np.linalg.norm(jpeg - png) < 0.02 * np.linalg.norm(png)
    assert (jpeg != png).any()


def test_inspect_knows_the_file(tlkit, tmp_path, folder):
    tlkit("extract", folder, "-o", tmp_path / "f.h5", *TOY)
    found = tlkit("inspect-h5", tmp_path / "f.h5", "--format", "json").json
    assert found["dialect"] == "tlkit-features"
    shutil.rmtree(folder)


def test_random_weights_are_drawn_by_the_seed(tlkit, tmp_path, folder):
    one, again, other = (tmp_path / f"{name}.npy" for name in "abc")
    for path, seed in ((one, 0), (again, 0), (other, 1)):
        tlkit("extract", folder, "-o", path, *TOY, "--weights", "none", "--seed", seed)
    assert one.read_bytes() == again.read_bytes() != other.read_bytes()


@pytest.mark.parametrize("engine", [pytest.param("keras", marks=pytest.mark.every), "openvino"])
def test_a_full_disk_ends_with_1_and_nothing_else(tmp_path, folder, engine):
    """As a process of its own, because requests that are still under way must not bring it down when it ends."""
    command = ["extract", folder, *TOY, "--batch-size", "2", "--engine", engine, "-o", tmp_path / "f.npy"]
    ran = program.run(*command, fail_after="1:ENOSPC")
    assert ran.returncode == 1
    assert ran.stderr.splitlines()[0].startswith("Error: No space is left")
    assert len(ran.stderr.splitlines()) == 2
    assert (tmp_path / "f.npy.part").is_dir()


def test_broken_off_between_features_and_names_it_goes_on(tlkit, tmp_path, folder, monkeypatch):
    command = ["extract", folder, *TOY, "-o", tmp_path / "f.npy"]

    def dies(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("tlkit.commands.extract.write_json", dies)
    assert tlkit(*command).code == 130
    assert (tmp_path / "f.npy").exists()
    monkeypatch.undo()
    ran = tlkit(*command, "--format", "json")
    assert (ran.code, ran.json["computed"]) == (0, 0)
    assert read(tmp_path / "f.npy")[0].shape == (7, 16)


def test_files_of_others_stay(tlkit, tmp_path, folder):
    (tmp_path / "f.npy.json").write_text("{}")
    ran = tlkit("extract", folder, *TOY, "-o", tmp_path / "f.npy")
    assert (ran.code, (tmp_path / "f.npy.json").read_text()) == (2, "{}")
    (tmp_path / "g.npy.part").mkdir()
    (tmp_path / "g.npy.part" / "thesis.txt").write_text("precious")
    ran = tlkit("extract", folder, *TOY, "-o", tmp_path / "g.npy")
    assert ran.code == 1
    assert "thesis.txt" in ran.err
    assert (tmp_path / "g.npy.part" / "thesis.txt").read_text() == "precious"


def test_a_csv_of_somebody_stays_and_a_part_without_features_does_not(tlkit, tmp_path, folder, monkeypatch):
    command = ["extract", folder, *TOY, "-o", tmp_path / "f.csv"]
    assert tlkit(*command).code == 0
    (tmp_path / "f.csv").write_text("name,notes\n0.png,precious\n")  # beside the names of features
    assert tlkit(*command).code == 2
    assert "precious" in (tmp_path / "f.csv").read_text()

    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tlkit.features.store._write", full)
    assert tlkit("extract", folder, *TOY, "-o", tmp_path / "g.npy").code == 1
    assert sorted(os.listdir(tmp_path)) == ["f.csv", "f.csv.json", "in"]


@pytest.mark.parametrize("ending", ["npy", "h5"])
def test_a_row_that_changed_since_is_computed_again(tlkit, tmp_path, folder, ending):
    path = tmp_path / f"f.{ending}"
    tlkit("extract", folder, *TOY, "-o", path)
    before = path.read_bytes()
    if ending == "npy":
        features = np.load(path)
        features[2, 5] += 1
        np.save(path, features)
    else:
        with h5py.File(path, "r+") as file:
            file["features"][2, 5] += 1
    ran = tlkit("extract", folder, *TOY, "-o", path, "--format", "json")
    assert ran.json["computed"] == 1
    assert path.read_bytes() == before


def test_the_password_of_an_address_is_not_kept(tlkit, cat, tmp_path):
    ran = tlkit("extract", cat, "http://user:secret@127.0.0.1:9/cat.png", "-o", tmp_path / "x.npy", "--format", "json")
    assert ran.code == 3
    kept = (tmp_path / "x.npy.json").read_text("utf-8")
    assert "http://user:***@127.0.0.1:9/cat.png" in kept
    assert "secret" not in kept + ran.out + ran.err
