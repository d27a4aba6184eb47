"""Labelled images in a table: CSV, TSV, JSON Lines, Parquet, and a table beside a folder of images."""

import csv
import json
import shutil

import pytest

FAST = ("--head", "linear", "--finetune-epochs", 0)


@pytest.fixture
def images(textures, tmp_path):
    """24 images in one folder, and ``(path, label, split)`` of each."""
    rows = []
    (tmp_path / "images").mkdir()
    for split in ("train", "validation"):
        for label in ("brick", "grass"):
            for file in sorted((textures / split / label).iterdir()):
                name = f"images/{label}-{split}-{file.name}"
                shutil.copy(file, tmp_path / name)
                rows.append({"path": name, "label": label, "split": split})
    return tmp_path, rows


def write(path, rows):
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".parquet":
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if path.suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    return path


@pytest.mark.parametrize(
    "name",
    ["data.csv", "data.jsonl", *(pytest.param(name, marks=pytest.mark.every) for name in ("data.tsv", "data.parquet"))],
)
def test_every_format_gives_the_splits_that_it_names(images, name, toy, tlkit, tmp_path):
    folder, rows = images
    table = write(folder / name, rows)
    ran = tlkit("finetune", table, *toy, *FAST, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json["images"] == {"train": 16, "validation": 8}
    assert ran.json["classes"] == ["brick", "grass"]
    digests = json.loads((tmp_path / "run" / "images.json").read_text())
    assert set(digests["train"]) == {row["path"] for row in rows if row["split"] == "train"}
    evaluated = tlkit("evaluate", tmp_path / "run", table, "--format", "json").json
    assert (evaluated["split"], evaluated["images"]) == ("validation", 8)
    assert evaluated["accuracy"] == ran.json["val_accuracy"]


def test_a_table_and_folders_give_the_same_run(images, textures, toy, tlkit, tmp_path):
    folder, rows = images
    one = tlkit("finetune", write(folder / "t.csv", rows), *toy, *FAST, "-o", tmp_path / "a", "--format", "json").json
    other = tlkit("finetune", textures, *toy, *FAST, "-o", tmp_path / "b", "--format", "json").json
    assert one["validation"] == other["validation"]


@pytest.mark.parametrize(
    "names",
    [("filename", "class"), ("Image_Path", "Category"), ("id", "breed"), ("what", "label"), ("image", "anything")],
)
def test_columns_are_known_by_what_people_call_them(images, names, toy, tlkit, tmp_path):
    folder, rows = images
    table = write(folder / "data.csv", [dict(zip(names, (row["path"], row["label"]), strict=True)) for row in rows])
    ran = tlkit("bottleneck", table, *toy, "-o", tmp_path / "features", "--val-split", 0.25)
    assert ran.code == 0, ran.err
    assert "18 samples" in ran.out


def test_labels_beside_a_folder_of_images_as_in_a_competition(images, toy, tlkit, tmp_path):
    """Ids without an ending, and an unlabelled test folder."""
    folder, rows = images
    (folder / "images").rename(folder / "train")
    (folder / "test").mkdir()
    shutil.copy(folder / "train" / "brick-train-0.png", folder / "test" / "unlabelled.png")
    listed = [{"id": row["path"][7:-4], "breed": row["label"]} for row in rows]
    write(folder / "labels.csv", listed)
    ran = tlkit("finetune", folder, *toy, *FAST, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 0, ran.err
    assert sum(ran.json["images"].values()) == 24
    assert "labels.csv" in ran.err


def test_class_folders_win_over_a_table_beside_them(textures, toy, tlkit, tmp_path):
    root = shutil.copytree(textures, tmp_path / "data")
    write(root / "labels.csv", [{"path": "train/brick/0.png", "label": "other"}])
    ran = tlkit("finetune", root, *toy, *FAST, "-o", tmp_path / "run", "--format", "json")
    assert ran.json["classes"] == ["brick", "grass"]


def test_rows_that_are_wrong_are_named_by_line(images, toy, tlkit, tmp_path):
    folder, rows = images
    rows[3]["path"] = "images/nothing.png"
    rows[5]["label"] = ""
    rows[7]["split"] = "holiday"
    rows.append(dict(rows[0], label="grass"))
    table = write(folder / "data.csv", rows)
    ran = tlkit("finetune", table, *toy, *FAST, "-o", tmp_path / "run", "--format", "json")
    assert ran.code == 3
    skipped = {each["input"]: each["error"] for each in ran.json["skipped"]}
    assert skipped == {
        f"{table}, line 5": "there is no file images/nothing.png",
        f"{table}, line 7": "it has no label",
        f"{table}, line 9": "split 'holiday' is none of train, validation and test",
    }
    assert "line 26 names images/brick-train-0.png again (line 2)" in ran.err
    assert ran.json["images"] == {"train": 13, "validation": 8}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "has no rows"),
        ("path,label\n", "has no rows"),
        ("one,two,three\na,b,c\n", "none of them is known to hold images"),
        ("path,size,width\na,b,c\n", "none of them is known to hold labels"),
        ("path\na.png\n", "not with the names of at least two columns"),
        ("path,label\nno.png,a\n", "there is no file no.png (line 2)"),
        (b"\xff\xfe\x00path", "is no table that can be read"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, says, toy, tlkit):
    table = tmp_path / "data.csv"
    table.write_bytes(content if isinstance(content, bytes) else content.encode())
    ran = tlkit("finetune", table, *toy, "-o", tmp_path / "run")
    assert ran.code == 1
    assert says in ran.err
    assert not (tmp_path / "run").exists()


def test_json_lines_that_are_wrong_are_named_by_line(tmp_path, toy, tlkit):
    table = tmp_path / "data.jsonl"
    for text, says in (("{", "line 1: no JSON"), ("[1]", "line 1: list, not an object")):
        table.write_text(text)
        assert says in tlkit("finetune", table, *toy).err
    other = tmp_path / "data.xlsx"
    other.write_bytes(b"PK")
    assert "is a file, and not a table of images" in tlkit("finetune", other, *toy).err


def test_groups_stay_on_one_side_of_a_drawn_split(images, toy, tlkit, tmp_path):
    folder, rows = images
    listed = [{"path": row["path"], "label": row["label"], "plant": number % 6} for number, row in enumerate(rows)]
    table = write(folder / "data.csv", listed)
    plant_of = {row["path"]: row["plant"] for row in listed}
    for seed in range(2):
        run = tmp_path / f"run-{seed}"
        options = ("--group", "plant", "--val-split", 0.3, "--seed", seed)
        ran = tlkit("finetune", table, *toy, *FAST, *options, "-o", run, "--format", "json")
        assert ran.code == 0, ran.err
        sides = {
            split: {plant_of[file] for file in files}
            for split, files in json.loads((run / "images.json").read_text()).items()
        }
        assert not sides["train"] & sides["validation"]
        assert 4 <= ran.json["images"]["validation"] <= 9
    ran = tlkit("compare", table, "--archs", "toy", "--group", "plant", "--folds", 3, "--repeats", 1)
    assert ran.code == 0, ran.err


def test_groups_that_a_table_spreads_over_its_splits_are_said(images, toy, tlkit, tmp_path):
    folder, rows = images
    for number, row in enumerate(rows):
        row["camera"] = number % 5
    ran = tlkit("finetune", write(folder / "d.csv", rows), *toy, *FAST, "--group", "camera", "-o", tmp_path / "run")
    assert "5 groups of validation are also in train" in ran.err


def test_a_group_needs_a_column(images, textures, toy, tlkit):
    folder, rows = images
    ran = tlkit("finetune", write(folder / "d.csv", rows), *toy, "--group", "plannt")
    assert (ran.code, "has no such column" in ran.err) == (2, True)
    ran = tlkit("finetune", textures, *toy, "--group", "plant")
    assert (ran.code, "is no table, and only a table has columns" in ran.err) == (2, True)


def test_a_class_that_validation_lacks_goes_unmeasured(images, toy, tlkit, tmp_path):
    folder, rows = images
    kept = [row for row in rows if (row["label"], row["split"]) != ("grass", "validation")]
    ran = tlkit("finetune", write(folder / "d.csv", kept), *toy, *FAST, "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "No validation images for grass" in ran.err


def test_check_and_exclude_take_tables(images, tlkit, tmp_path):
    folder, rows = images
    shutil.copy(folder / rows[0]["path"], folder / "images" / "again.png")
    table = write(folder / "data.csv", [*rows, {"path": "images/again.png", "label": "brick", "split": "validation"}])
    found = tlkit("check", table, "--size", 64, "--format", "json", "--report", tmp_path / "page.html").json
    assert found["duplicates"][0]["files"] == ["images/again.png", rows[0]["path"]]
    assert found["duplicates"][0]["relation"] == "across splits"
    (tmp_path / "list.txt").write_text("images/again.png\n")
    again = tlkit("check", table, "--size", 64, "--exclude", tmp_path / "list.txt", "--format", "json").json
    assert again["duplicates"] == []


def test_a_table_without_names_of_columns_loses_no_image(images, toy, tlkit, tmp_path):
    """Its first image would be taken for them."""
    folder, rows = images
    table = folder / "bare.csv"
    table.write_text("\n".join(f"{row['path']},{row['label']}" for row in rows))
    ran = tlkit("finetune", table, *toy, *FAST, "-o", tmp_path / "run")
    assert ran.code == 1
    assert f"begins with the image {rows[0]['path']}" in ran.err


def test_a_class_that_a_list_excludes_whole_is_left_out(textures, toy, tlkit, tmp_path):
    for name in ("brick", "grass", "third"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for file in (textures / "train" / ("brick" if name == "third" else name)).iterdir():
            (tmp_path / "data" / name / file.name).write_bytes(file.read_bytes() + bytes(name == "third"))
    listed = tmp_path / "odd.txt"
    listed.write_text("\n".join(f"third/{number}.png" for number in range(8)))
    ran = tlkit("finetune", tmp_path / "data", *toy, *FAST, "--exclude", listed, "-o", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "The class third is left out" in ran.err
