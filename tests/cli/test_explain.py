"""predict --explain: what is hottest is what the class rests on; and --tta."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

from tlkit.analysis.occlusion import occlusion_map


def test_the_map_is_hot_where_covering_costs_most():
    """A "network" that looks at one corner alone."""
    pixels = np.full((40, 60, 3), 90, "uint8")
    pixels[4:12, 40:52] = 250

    def probabilities(images):
        seen = images[:, 4:12, 40:52].mean(axis=(1, 2, 3)) / 255
        return np.stack([1 - seen, seen], axis=1).astype("float32")

    heat = occlusion_map(probabilities, pixels, 1)
    assert heat.shape == (40, 60)
    assert heat.dtype == np.float32
    assert heat.max() == 1
    hottest = np.unravel_index(heat.argmax(), heat.shape)
    assert 2 <= hottest[0] < 14
    assert 36 <= hottest[1] < 56
    assert heat[30:, :20].max() == 0
    assert occlusion_map(probabilities, np.zeros((40, 60, 3), "uint8"), 0).max() == 0  # covering changes nothing


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    for name in ("coffee", "rocket", "chelsea", "astronaut"):
        Image.fromarray(getattr(skimage.data, name)()).save(folder / f"{name}.png")
    return folder


@pytest.mark.every
def test_covering_the_hottest_tenth_costs_more_than_another_square(photographs):
    from tlkit.config import PredictConfig
    from tlkit.inference.base import run
    from tlkit.inference.select import open_engine
    from tlkit.training.classifier import choose_classifier

    classifier = choose_classifier(PredictConfig(images=(), size=(128, 128)))
    engine = open_engine(classifier.network)
    preprocessor, random = classifier.network.preprocessor, np.random.default_rng(0)
    better = []
    for file in sorted(photographs.iterdir()):
        pixels = preprocessor.to_array(preprocessor.load(str(file)))
        label = int(run(engine, pixels[np.newaxis])[0][0].argmax())
        heat = occlusion_map(lambda images: run(engine, images)[0], pixels, label)
        covered = np.repeat(pixels[np.newaxis], 11, axis=0)
        covered[0][heat >= np.quantile(heat, 0.9)] = 127
        for image in covered[1:]:
            y, x = random.integers(0, 128 - 40, 2)
            image[y : y + 40, x : x + 40] = 127
        left = run(engine, covered)[0][:, label]
        better.append((left[0] < left[1:]).mean())
    assert np.mean(better) > 0.9


@pytest.mark.every
def test_pictures_are_written_one_an_image(photographs, toy, tlkit, tmp_path):
    ran = tlkit("predict", photographs / "coffee.png", "--explain", tmp_path / "why.png", *toy, "--format", "json")
    assert ran.code == 0, ran.err
    assert ran.json[0]["explanation"] == str(tmp_path / "why.png")
    with Image.open(tmp_path / "why.png") as image:
        assert image.width > 500
    again = ("predict", photographs / "coffee.png", "--explain", tmp_path / "why.png", *toy)
    assert tlkit(*again).code == 0  # its own picture
    (photographs / "other").mkdir()
    Image.new("RGB", (30, 30)).save(photographs / "other" / "coffee.jpg")
    ran = tlkit("predict", photographs, "--explain", tmp_path / "all", *toy, "--format", "json")
    names = sorted(path.name for path in (tmp_path / "all").iterdir())
    assert names == ["astronaut.png", "chelsea.png", "coffee-2.png", "coffee.png", "rocket.png"]
    assert {each["explanation"] for each in ran.json} == {str(tmp_path / "all" / name) for name in names}


def test_one_file_for_several_images_is_refused(photographs, toy, tlkit, tmp_path):
    ran = tlkit("predict", photographs, "--explain", tmp_path / "why.png", *toy)
    assert (ran.code, "is one file, and there are" in ran.err) == (2, True)
    (tmp_path / "text").write_text("mine")
    ran = tlkit("predict", photographs, "--explain", tmp_path / "text", *toy)
    assert (ran.code, "neither a directory nor an image file" in ran.err) == (2, True)
    (tmp_path / "folder").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "folder" / "rocket.png")
    ran = tlkit("predict", photographs, "--explain", tmp_path / "folder", *toy)
    assert (ran.code, "rocket.png exists" in ran.err) == (2, True)
    Image.new("RGB", (9, 9)).save(tmp_path / "mine.png")
    one = photographs / "rocket.png"
    assert tlkit("predict", one, "--explain", tmp_path / "mine.png", *toy).code == 2
    assert tlkit("predict", one, "--explain", tmp_path / "no" / "why.png", *toy).code == 2


@pytest.mark.every
def test_tta_averages_views_and_says_what_it_brings(textures, toy, tlkit, tmp_path):
    run = tmp_path / "run"
    options = ("--head", "linear", "--finetune-epochs", 0)
    assert tlkit("finetune", textures, *toy, *options, "-o", run).code == 0
    image = textures / "validation" / "grass" / "0.png"
    plain, averaged = (
        tlkit("predict", image, "--model", run, *tta, "--format", "json").json[0] for tta in ((), ("--tta",))
    )
    assert plain["predictions"][0]["label"] == averaged["predictions"][0]["label"] == "grass"
    assert plain["predictions"] != averaged["predictions"]
    assert averaged["unknown_score"] == pytest.approx(plain["unknown_score"], rel=1e-4)
    with Image.open(image) as opened:  # of an image that is its own mirror image and its own middle, nothing changes
        Image.new("RGB", (64, 64), opened.convert("RGB").getpixel((0, 0))).save(tmp_path / "plain.png")
    same = [tlkit("predict", tmp_path / "plain.png", "--model", run, *tta, "--format", "json").json[0]["predictions"]
            for tta in ((), ("--tta",))]  # fmt: skip
    assert same[0][0]["probability"] == pytest.approx(same[1][0]["probability"], abs=1e-5)
    evaluated = tlkit("evaluate", run, textures, "--tta", "--format", "json").json
    without = tlkit("evaluate", run, textures, "--format", "json").json
    assert evaluated["accuracy_without_tta"] == without["accuracy"]
    assert "without --tta: accuracy" in tlkit("evaluate", run, textures, "--tta").out
    assert "accuracy_without_tta" not in without


@pytest.mark.parametrize("phase_2", [pytest.param(True, marks=pytest.mark.every), False])
def test_the_page_of_a_run_shows_why_its_worst_errors_are_wrong(phase_2, textures, toy, tlkit, tmp_path):
    """Where phase 2 trained: of a head alone it would take longer than to train it."""
    for split, names in (("train", ("brick", "grass")), ("validation", ("grass", "brick"))):
        (tmp_path / "data" / split).mkdir(parents=True)
        for name, other in zip(("brick", "grass"), names, strict=True):
            (tmp_path / "data" / split / other).symlink_to(textures / split / name)
    options = ("--epochs", 3, "--finetune-epochs", 1) if phase_2 else ("--recipe", "fast")
    tlkit("finetune", tmp_path / "data", *toy, *options, "-o", tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert page.count('class="heat"') == (6 if phase_2 else 0)
    assert ("bright: what shows the predicted class" in page) is phase_2
