"""`tlkit bottleneck` and what finetune makes of it; tlkit's own cache."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pyarrow
import pytest
from helpers import program
from helpers.cases import one_in
from pyarrow import dataset, parquet

pytestmark = pytest.mark.usefixtures("toy")

TOY = ["--arch", "toy"]


@pytest.fixture
def data(tmp_path, noise):
    """Two classes, 6 + 3 pictures each."""
    for name, first in (("a", 0), ("b", 100)):
        for number in range(9):
            split = "train" if number < 6 else "validation"
            noise(tmp_path / "data" / split / name / f"{number}.png", first + number)
    return tmp_path / "data"


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_names_and_shapes_that_scripts_rely_on(tlkit, tmp_path, data):
    ran = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    assert (ran.code, ran.err) == (0, "")
    for split, count in (("train", 6), ("validation", 3)):
        features = np.load(tmp_path / "f" / f"bottleneck_features_{split}.npy", allow_pickle=False)
        labels = np.load(tmp_path / "f" / f"bottleneck_labels_{split}.npy", allow_pickle=False)
        facts = json.loads((tmp_path / "f" / f"bottleneck_{split}.json").read_text())
        assert features.shape == (2 * count, 16)
        assert labels.tolist() == [0] * count + [1] * count
        assert facts["classes"] == ["a", "b"]
        assert facts["files"] == sorted(os.path.relpath(path, data) for path in (data / split).rglob("*.png"))
        tlkit("extract", data / split, "-o", tmp_path / f"{split}.npy", *TOY)
        np.testing.assert_array_equal(np.load(tmp_path / f"{split}.npy"), features)
    assert len(contents(tmp_path / "f")) == 6


def test_hdf5_holds_the_same(tlkit, tmp_path, data):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    assert tlkit("bottleneck", data, "-o", tmp_path / "h", *TOY, "--format", "hdf5").code == 0
    assert list(contents(tmp_path / "h")) == ["bottleneck_features.h5"]
    with h5py.File(tmp_path / "h" / "bottleneck_features.h5") as file:
        for split in ("train", "validation"):
            saved = np.load(tmp_path / "f" / f"bottleneck_features_{split}.npy")
            np.testing.assert_array_equal(file[split]["features"], saved)
            assert file[split]["features"].chunks[1:] == saved.shape[1:]
            facts = json.loads((tmp_path / "f" / f"bottleneck_{split}.json").read_text())
            assert [name.decode() for name in file[split]["files"]] == facts["files"]
            assert file[split]["labels"][()].tolist() == facts["labels"]


def test_parquet_is_one_dataset_of_all_splits(tlkit, tmp_path, data):
    folder = tmp_path / "p"
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    ran = tlkit("bottleneck", data, "-o", folder, *TOY, "--format", "parquet", "--json")
    assert ran.code == 0, ran.err
    names = [f"part-{split}-00000.parquet" for split in ("train", "validation")]
    assert sorted(os.listdir(folder)) == names
    assert [each["files"] for each in ran.json["splits"].values()] == [[str(folder / name)] for name in names]
    found = dataset.dataset(folder)
    assert found.schema.field("features").type.list_size == 16
    assert json.loads(found.schema.metadata[b"tlkit"])["provenance"]["architecture"] == "toy"
    for split in ("train", "validation"):
        table = found.to_table(filter=dataset.field("split") == split)
        saved = np.load(tmp_path / "f" / f"bottleneck_features_{split}.npy")
        np.testing.assert_array_equal(np.array(table["features"].to_pylist(), np.float32), saved)
        facts = json.loads((tmp_path / "f" / f"bottleneck_{split}.json").read_text())
        assert table["file"].to_pylist() == facts["files"]
        assert table["label"].to_pylist() == facts["labels"]
        assert table["class"].to_pylist() == [facts["classes"][label] for label in facts["labels"]]
        assert table["digest"].to_pylist() == facts["sha256"]
        assert table["crc32"].to_pylist() == facts["crc32"]


@pytest.mark.every
@pytest.mark.parametrize("in_memory", [True, False])
def test_parquet_in_many_parts_trains_the_same_head(tlkit, tmp_path, data, monkeypatch, in_memory):
    row = 4 * 16
    monkeypatch.setattr("tlkit.features.parquet_files._PART_BYTES", 5 * row)
    monkeypatch.setattr("tlkit.features.parquet_files._GROUP_BYTES", 2 * row)
    if not in_memory:
        monkeypatch.setattr("tlkit.utils.rows.IN_MEMORY_BYTES", 0)
    command = ["bottleneck", data, "-o", tmp_path / "p", *TOY, "--format", "parquet", "--json"]
    assert tlkit(*command).code == 0
    parts = [f"part-train-{number:05d}.parquet" for number in range(3)]
    assert sorted(os.listdir(tmp_path / "p")) == [*parts, *(f"part-validation-0000{number}.parquet" for number in "01")]
    assert tlkit(*command).json["computed"] == 0
    for name, options in (("own", []), ("p", ["--features", tmp_path / "p"])):
        assert tlkit("finetune", data, *TRAIN, "-o", tmp_path / f"run {name}", *options).code == 0
    assert losses(tmp_path / "run p") == losses(tmp_path / "run own")
    for number in range(6):  # fewer images, fewer parts
        (data / "train" / "b" / f"{number}.png").unlink() if number else None
    assert tlkit(*command).json["computed"] == 0
    assert sorted(os.listdir(tmp_path / "p"))[:3] == [*parts[:2], "part-validation-00000.parquet"]
    assert dataset.dataset(tmp_path / "p").count_rows() == 13


def test_a_dataset_that_lacks_a_part_is_none(tlkit, tmp_path, data):
    command = ["bottleneck", data, "-o", tmp_path / "p", *TOY, "--format", "parquet"]
    assert tlkit(*command).code == 0
    (tmp_path / "p" / "part-train-00000.parquet").unlink()
    ran = tlkit("finetune", data, *TRAIN, "--features", tmp_path / "p")
    assert ran.code == 1
    assert "There are no finished features in" in ran.err


def test_parquet_of_somebody_stays(tlkit, tmp_path, data):
    (tmp_path / "p").mkdir()
    parquet.write_table(pyarrow.table({"precious": [1]}), tmp_path / "p" / "mine.parquet")
    command = ["bottleneck", data, "-o", tmp_path / "p", *TOY, "--format", "parquet"]
    ran = tlkit(*command)
    assert (ran.code, "mine.parquet exists" in ran.err) == (2, True)
    assert os.listdir(tmp_path / "p") == ["mine.parquet"]


@pytest.mark.parametrize("command", ["bottleneck", "extract"])
def test_without_pyarrow(tlkit, tmp_path, data, monkeypatch, command):
    monkeypatch.setattr("tlkit.utils.extras.find_spec", lambda name: name == "tensorflow" or None)
    output = ("-o", tmp_path / "f.parquet") if command == "extract" else ("-o", tmp_path / "f", "--format", "parquet")
    ran = tlkit(command, data, *TOY, *output)
    assert ran.code == 1
    assert "Parquet needs pyarrow, which is not installed" in ran.err
    assert "pip install 'tlkit[parquet]'" in ran.err
    assert not list(tmp_path.glob("f*"))


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        pytest.param("parquet", 4, marks=pytest.mark.every),
        pytest.param("npy", 1, marks=pytest.mark.every),
        ("hdf5", 4),
        pytest.param("npy", 4, marks=pytest.mark.every),
        pytest.param("hdf5", 1, marks=pytest.mark.every),
    ],
)
def test_killed_it_goes_on_and_ends_the_same(tlkit, tmp_path, data, kind, after):
    command = ["bottleneck", data, *TOY, "--format", kind, "--batch-size", "4", "-o"]
    assert tlkit(*command, tmp_path / "whole").code == 0
    assert program.run(*command, tmp_path / "f", fail_after=f"{after}:SIGKILL").returncode == -9
    left = {name for name in os.listdir(tmp_path / "f") if not name.startswith(".")}
    assert left == {"_bottleneck_features.part" if kind == "parquet" else "bottleneck_features.part"}
    ran = tlkit(*command, tmp_path / "f", "--json")
    assert ran.json["computed"] == 18 - {1: 4, 4: 16}[after]
    assert contents(tmp_path / "f") == contents(tmp_path / "whole")


@pytest.mark.every
def test_two_at_once_do_not_mix(tlkit, tmp_path, data):
    command = ["bottleneck", data, *TOY, "-o"]
    tlkit(*command, tmp_path / "alone")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: program.run(*command, tmp_path / "f"), range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert contents(tmp_path / "f") == contents(tmp_path / "alone")


def change(data, how, noise):
    if how == "edited":  # same size on disk is not needed: nothing is known by size or time
        path = data / "train" / "a" / "3.png"
        status = path.stat()
        noise(path, 999)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif how == "added":
        noise(data / "train" / "a" / "x.png", 998)
    elif how == "renamed":
        (data / "train" / "a" / "3.png").rename(data / "train" / "a" / "z.png")
    elif how == "swapped":
        one, other = data / "train" / "a" / "1.png", data / "train" / "b" / "1.png"
        first, second = one.read_bytes(), other.read_bytes()
        one.write_bytes(second)
        other.write_bytes(first)
    elif how == "removed":
        (data / "train" / "a" / "3.png").unlink()
    elif how == "copied":
        (data / "train" / "a" / "y.png").write_bytes((data / "train" / "b" / "0.png").read_bytes())


@pytest.mark.parametrize("kind", one_in(3, ["npy", "hdf5", "parquet"]))
@pytest.mark.parametrize(
    ("how", "computed"),
    [("not at all", 0), ("edited", 1), ("added", 1), ("renamed", 0), ("swapped", 0), ("removed", 0), ("copied", 0)],
)
def test_only_what_changed_is_computed(tlkit, tmp_path, data, noise, kind, how, computed):
    command = ["bottleneck", data, *TOY, "--format", kind, "--json", "-o"]
    assert tlkit(*command, tmp_path / "f").json["computed"] == 18
    change(data, how, noise)
    assert tlkit(*command, tmp_path / "f").json["computed"] == computed
    tlkit(*command, tmp_path / "new")
    assert contents(tmp_path / "f") == contents(tmp_path / "new")


def test_the_same_pictures_elsewhere_are_the_same(tlkit, tmp_path, data):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    data.rename(tmp_path / "moved")
    ran = tlkit("bottleneck", tmp_path / "moved", "-o", tmp_path / "f", *TOY, "--json")
    assert ran.json["computed"] == 0


def test_features_of_something_else_are_refused(tlkit, tmp_path, data):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    before = contents(tmp_path / "f")
    ran = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--size", "70")
    assert ran.code == 1
    assert "size 32x32, not 70x70" in ran.err
    assert contents(tmp_path / "f") == before
    assert tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--size", "70", "--force").code == 0


def test_a_damaged_set_is_refused(tlkit, tmp_path, data):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    path = tmp_path / "f" / "bottleneck_features_train.npy"
    path.write_bytes(path.read_bytes()[:-4])
    ran = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    assert ran.code == 1
    assert "--force" in ran.err
    np.save(path, np.array([{}], object), allow_pickle=True)
    assert tlkit("finetune", data, "--features", tmp_path / "f", *TOY).code == 1


def test_a_bad_picture_is_named_and_the_rows_stay_aligned(tlkit, tmp_path, data):
    (data / "train" / "a" / "2.png").write_bytes(b"")
    command = ["bottleneck", data, "-o", tmp_path / "f", *TOY, "--json"]
    ran = tlkit(*command)
    assert ran.code == 3
    assert ran.json["skipped"] == [{"input": "train/a/2.png", "error": "it is empty"}]
    assert ran.json["splits"]["train"]["shape"] == [11, 16]
    facts = json.loads((tmp_path / "f" / "bottleneck_train.json").read_text())
    assert facts["labels"] == [0] * 5 + [1] * 6
    again = tlkit(*command)
    assert (again.code, again.json["computed"]) == (3, 0)
    for path in (data / "train" / "a").iterdir():
        path.write_bytes(b"")
    ran = tlkit(*command)
    assert ran.code == 1
    assert "No image of a in train can be read" in ran.err


def test_a_folder_that_cannot_be_written_to(tlkit, tmp_path, data):
    (tmp_path / "file").write_text("")
    ran = tlkit("bottleneck", data, "-o", tmp_path / "file" / "f", *TOY)
    assert ran.code == 1
    assert ran.err.startswith("Error: Cannot write to")


def test_a_folder_inside_the_data_is_refused(tlkit, data):
    for output in (data, data / "features"):
        assert tlkit("bottleneck", data, "-o", output).code == 2


def test_maps_and_a_test_split(tlkit, tmp_path, data, noise):
    for name in "ab":
        noise(data / "test" / name / "t.png", ord(name))
    ran = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--pooling", "none", "--layer", "block1_add",
                "--json")  # fmt: skip
    assert {name: split["shape"] for name, split in ran.json["splits"].items()} == {
        "train": [12, 16, 16, 8], "validation": [6, 16, 16, 8], "test": [2, 16, 16, 8]
    }  # fmt: skip


def test_files_of_others_stay_and_missing_ones_are_written(tlkit, tmp_path, data):
    (tmp_path / "f").mkdir()
    np.save(tmp_path / "f" / "bottleneck_features_train.npy", np.arange(3))
    ran = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    assert ran.code == 2
    assert "bottleneck_features_train.npy" in ran.err
    assert np.load(tmp_path / "f" / "bottleneck_features_train.npy").tolist() == [0, 1, 2]
    assert tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--force").code == 0
    before = contents(tmp_path / "f")
    (tmp_path / "f" / "bottleneck_labels_train.npy").unlink()
    assert tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--json").json["computed"] == 0
    assert contents(tmp_path / "f") == before


def test_an_h5_of_somebody_stays(tlkit, tmp_path, data):
    (tmp_path / "f").mkdir()
    with h5py.File(tmp_path / "f" / "bottleneck_features.h5", "w") as file:
        file["precious"] = 1
    command = ["bottleneck", data, "-o", tmp_path / "f", *TOY, "--format", "hdf5"]
    ran = tlkit(*command)
    assert ran.code == 2
    assert "bottleneck_features.h5 exists" in ran.err
    with h5py.File(tmp_path / "f" / "bottleneck_features.h5") as file:
        assert list(file) == ["precious"]


# -- finetune ----------------------------------------------------------------------------------------------------------

TRAIN = ["--epochs", "2", "--finetune-epochs", "0", *TOY, "--format", "json"]


def losses(run):
    return [line.rsplit(",", 1)[0] for line in (run / "history.csv").read_text().splitlines()]  # all but the seconds


@pytest.mark.every
def test_features_computed_before_train_the_same_head(tlkit, tmp_path, data):
    tlkit("bottleneck", data, "-o", tmp_path / "npy", *TOY)
    tlkit("bottleneck", data, "-o", tmp_path / "hdf5", *TOY, "--format", "hdf5")
    for name, options in (("own", []), ("again", []), ("npy", ["--features", tmp_path / "npy"]),
                          ("hdf5", ["--features", tmp_path / "hdf5"])):  # fmt: skip
        ran = tlkit("finetune", data, *TRAIN, "-o", tmp_path / f"run {name}", *options)
        assert ran.code == 0, ran.err
    assert len(losses(tmp_path / "run own")) == 3
    for name in ("again", "npy", "hdf5"):
        assert losses(tmp_path / f"run {name}") == losses(tmp_path / "run own")


@pytest.mark.every
def test_a_second_run_computes_nothing(tlkit, tmp_path, data, monkeypatch):
    assert tlkit("finetune", data, *TRAIN, "-o", tmp_path / "one").code == 0
    monkeypatch.setattr("tlkit.features.extractor.open_engine", None)
    data.rename(tmp_path / "moved")
    assert tlkit("finetune", tmp_path / "moved", *TRAIN, "-o", tmp_path / "two", "--batch-size", "5").code == 0


@pytest.mark.every
@pytest.mark.parametrize("kind", ["npy", "hdf5", "parquet"])
def test_a_row_that_changed_since_does_not_train(tlkit, tmp_path, data, kind):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--format", kind)
    if kind == "npy":
        path = tmp_path / "f" / "bottleneck_features_train.npy"
        content = bytearray(path.read_bytes())
        content[-5] ^= 8
        path.write_bytes(content)
    elif kind == "parquet":
        path = tmp_path / "f" / "part-train-00000.parquet"
        row = np.array(parquet.read_table(path)["features"][3].as_py(), "<f4").tobytes()
        content = path.read_bytes()
        path.write_bytes(content.replace(row, row[:-1] + bytes([row[-1] ^ 8])))
    else:
        with h5py.File(tmp_path / "f" / "bottleneck_features.h5", "r+") as file:
            file["train"]["features"][3, 3] += 1
    ran = tlkit("finetune", data, *TRAIN, "--features", tmp_path / "f")
    assert ran.code == 1
    assert "damaged" in ran.err
    again = tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--format", kind, "--json")
    assert again.json["computed"] == 1
    assert tlkit("finetune", data, *TRAIN, "--features", tmp_path / "f", "-o", tmp_path / "run").code == 0


@pytest.mark.every
def test_of_two_formats_the_one_that_fits_trains(tlkit, tmp_path, data, noise):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY, "--format", "hdf5")
    change(data, "edited", noise)
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    assert tlkit("finetune", data, *TRAIN, "--features", tmp_path / "f", "-o", tmp_path / "run").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--size", "70"], "size 32x32, not 70x70"),
        (["--pooling", "max"], "pooling avg, not max"),
        (["--head", "flatten"], "pooling avg, not none"),
        (["--resize", "crop"], "resize squash, not crop"),
        (["--precision", "bfloat16"], "precision float32, not bfloat16"),
        (["--weights", "none"], "weights"),
    ],
)
def test_features_of_something_else_do_not_train(tlkit, tmp_path, data, options, says):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    ran = tlkit("finetune", data, *TRAIN, "--features", tmp_path / "f", "-o", tmp_path / "run", *options)
    assert ran.code == 1
    assert says in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("how", ["edited", "added"])
def test_pictures_that_changed_since_do_not_train(tlkit, tmp_path, data, noise, how):
    tlkit("bottleneck", data, "-o", tmp_path / "f", *TOY)
    change(data, how, noise)
    ran = tlkit("finetune", data, *TRAIN, "--features", tmp_path / "f")
    assert ran.code == 1
    assert ("3.png" if how == "edited" else "x.png") in ran.err
    assert "tlkit bottleneck" in ran.err
    assert tlkit("finetune", data, *TRAIN, "--features", tmp_path / "nothing").code == 1


@pytest.mark.every
def test_without_a_cache_that_can_be_written_to_it_trains_all_the_same(tlkit, tmp_path, data, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert tlkit("finetune", data, *TRAIN, "-o", tmp_path / "run").code == 0
    assert ".features" not in os.listdir(tmp_path / "run")


# -- the cache ---------------------------------------------------------------------------------------------------------


def test_the_cache_is_listed_and_cleared(tlkit, tmp_path, data):
    tlkit("finetune", data, *TRAIN, "-o", tmp_path / "run")
    join_truncated = tlkit("cache", "--format", "json").json
    # of phase 1, and of the layer in the middle that tells what is unlike the training images
    features = sorted(
        (entry for entry in join_truncated["entries"] if entry["kind"] == "features"), key=lambda entry: entry["what"]
    )
    assert [" ".join(entry["what"].split()[:2]) for entry in features] == ["toy block2_concat", "toy top_relu"]
    assert all(entry["bytes"] > 18 * 16 * 4 for entry in features)
    assert "features" in tlkit("cache").out
    total = sum(entry["bytes"] for entry in features)
    assert tlkit("cache", "clear", "features", "--format", "json").json == {"removed": 2, "bytes": total}
    assert not [entry for entry in tlkit("cache", "--format", "json").json["entries"] if entry["kind"] == "features"]


def test_a_seed_that_draws_nothing_is_warned_of(tlkit, tmp_path, data):
    def warned(folder, name, *options):
        ran = tlkit("bottleneck", folder, "-o", tmp_path / name, *TOY, "--seed", 3, *options)
        assert ran.code == 0, ran.err
        return "--seed has no effect" in ran.err

    assert warned(data, "a")
    assert not warned(data, "b", "--weights", "none")
    assert not warned(data / "train", "c")  # it draws what is held out for validation


@pytest.mark.every
def test_the_cache_stays_below_its_limit(tlkit, tmp_path, data, monkeypatch):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "cache"))
    command = ["finetune", data, *TRAIN, "--engine", "keras"]  # which caches no converted network
    assert tlkit(*command, "-o", tmp_path / "run").code == 0
    entries = tlkit("cache", "--format", "json").json["entries"]
    assert all("32x32" in entry["what"] for entry in entries)
    total = sum(entry["bytes"] for entry in entries)
    monkeypatch.setenv("TLKIT_CACHE_LIMIT", str(total + 100))  # those of one size fit, those of two do not
    assert tlkit(*command, "--size", "70", "-o", tmp_path / "run70").code == 0
    entries = tlkit("cache", "--format", "json").json["entries"]
    assert len(entries) == 2
    assert all("70x70" in entry["what"] for entry in entries)
    monkeypatch.setenv("TLKIT_CACHE_LIMIT", "much")
    ran = tlkit("cache")
    assert ran.code == 2
    assert "TLKIT_CACHE_LIMIT" in ran.err
