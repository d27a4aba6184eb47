"""Full models from files: equal outputs, and what is asked for."""

import dialects
import networks
import numpy as np
from reference import forward

NETWORK = networks.small()


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
