import csv
import io

import tlkit as api
from tlkit.architectures.registry.lookup import all_architectures


def test_all_architectures(tlkit):
    names = [row.name for row in all_architectures()]
    assert len(names) == 46
    text = tlkit("archs").out.splitlines()
    assert [line.split()[0] for line in text[1:]] == names
    assert max(map(len, text)) <= 80
    document = tlkit("archs", "--format", "json").json
    assert document == api.archs().to_dict()
    assert [row["name"] for row in document] == names
    inception = next(row for row in document if row["name"] == "inceptionv3")
    assert inception["size"] == 299
    assert inception["min_size"] == 75
    assert (inception["modality"], inception["input_shape"]) == ("image", [299, 299, 3])
    tagger = next(row for row in document if row["modality"] == "audio")
    assert (tagger["name"], tagger["size"], tagger["input_shape"]) == ("musictaggercrnn", None, [96, 1366, 1])
    assert inception["parameters"] == 23_851_784
    assert inception["blocks"] == [f"mixed{number}" for number in range(11)]
    assert inception["files"]["without_top"]["digest"] == "md5:bcbd6486424b2319ff4ef7d526e38f63"
    rows = list(csv.DictReader(io.StringIO(tlkit("archs", "--format", "csv").out)))
    assert [row["name"] for row in rows] == names


def test_what_each_accepts_and_what_is_here(tlkit, tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path))
    (tmp_path / "mobilenet_5_0_160_tf.h5").write_bytes(b"its name is enough to list it")
    (tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5").write_bytes(b"this too")
    rows = {row["name"]: row for row in tlkit("archs", "--format", "json").json}
    assert rows["mobilenet"]["accepts"] == {
        "size": True, "size_with_top": True, "alpha": [0.25, 0.5, 0.75, 1.0], "depth_multiplier": True,
        "data_format": ["channels_last", "channels_first"],
    }  # fmt: skip
    assert rows["vgg16"]["accepts"]["size_with_top"] is False
    assert rows["densenet121"]["accepts"]["data_format"] == ["channels_last"]
    assert rows["musictaggercrnn"]["accepts"]["size"] is False
    assert rows["mobilenet"]["installed"] == ["mobilenet_5_0_160_tf.h5"]
    text = {line.split()[0]: line for line in tlkit("archs").out.splitlines()}
    assert text["vgg16"].endswith("without top")
    assert text["mobilenet"].endswith("1 of 32")
    assert text["efficientnetlite0"].endswith("all")
    assert "alpha, depth-multiplier, channels_first" in tlkit("archs", "mobilenet").out
    assert "0.35, 0.5, 0.75, 1, 1.3, 1.4" in tlkit("archs", "mobilenetv2").out


def test_the_layers_of_one(tlkit):
    document = tlkit("archs", "InceptionV3", "--format", "json").json
    assert document == api.archs("inception-v3").to_dict()
    layers = document["layers"]
    base = [layer for layer in layers if layer["index"] is not None]
    assert len(base) == 311
    assert base[248] == {
        "index": 248, "name": "mixed8", "kind": "Concatenate", "output_shape": [None, 8, 8, 1280], "parameters": 0,
        "block": "mixed8",
    }  # fmt: skip
    assert [layer["name"] for layer in layers[311:]] == ["avg_pool", "predictions"]
    text = tlkit("archs", "inceptionv3").out.splitlines()
    assert max(map(len, text[: text.index("")])) <= 80
    assert text[text.index("") + 2 + 248].split() == ["248", "mixed8", "Concatenate", "8x8x1280", "0", "9", "of", "11"]
    rows = list(csv.DictReader(io.StringIO(tlkit("archs", "vgg16", "--format", "csv").out)))
    assert sum(int(row["parameters"]) for row in rows) == 138_357_544


def test_a_wrong_name(tlkit):
    ran = tlkit("archs", "inceptonv3")
    assert ran.code == 2
    assert "Hint: Did you mean inceptionv3" in ran.err
