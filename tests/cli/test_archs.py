import csv
import io

from tlkit.architectures.table import all_architectures


def test_all_architectures(tlkit):
    names = [row.name for row in all_architectures()]
    assert len(names) == 45
    text = tlkit("archs").out.splitlines()
    assert [line.split()[0] for line in text[1:]] == names
    document = tlkit("archs", "--format", "json").json
    assert [row["name"] for row in document] == names
    inception = next(row for row in document if row["name"] == "inceptionv3")
    assert inception["size"] == 299
    assert inception["least_size"] == 75
    assert inception["parameters"] == 23_851_784
    assert inception["blocks"] == [f"mixed{number}" for number in range(11)]
    assert inception["files"]["without_top"]["digest"] == "md5:bcbd6486424b2319ff4ef7d526e38f63"
    rows = list(csv.DictReader(io.StringIO(tlkit("archs", "--format", "csv").out)))
    assert [row["name"] for row in rows] == names


def test_the_layers_of_one(tlkit):
    layers = tlkit("archs", "InceptionV3", "--format", "json").json["layers"]
    base = [layer for layer in layers if layer["index"] is not None]
    assert len(base) == 311
    assert base[248] == {
        "index": 248, "name": "mixed8", "kind": "Concatenate", "output_shape": [None, 8, 8, 1280], "parameters": 0,
        "block": "mixed8",
    }  # fmt: skip
    assert [layer["name"] for layer in layers[311:]] == ["avg_pool", "predictions"]
    text = tlkit("archs", "inceptionv3").out.splitlines()
    assert text[2 + 248].split() == ["248", "mixed8", "Concatenate", "8x8x1280", "0", "mixed8"]
    rows = list(csv.DictReader(io.StringIO(tlkit("archs", "vgg16", "--format", "csv").out)))
    assert sum(int(row["parameters"]) for row in rows) == 138_357_544


def test_a_wrong_name(tlkit):
    ran = tlkit("archs", "inceptonv3")
    assert ran.code == 2
    assert "Hint: Did you mean inceptionv3" in ran.err
