"""Accuracy and seconds of ways to train a classifier, on small sets of real images: `make bench-accuracy`.

Each way is a process of its own, cold, that sees ``train`` and ``validation``; what it selects, it selects there. All
are measured on the same test images, which none of them sees. EfficientNet-Lite0 with its ImageNet weights, at 128
pixels for all. Intervals: 95%, Wilson, of all test images of all seeds.

    python tests/benchmarks/accuracy.py [--sets digits,faces] [--ways classic,strong] [--seeds 0,1,2] [--size 128]
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from image_sets import SETS, write_set
from stopwatch import measure

ARCH, EPOCHS = "efficientnetlite0", 10
HERE = Path(__file__).parent

Command = Callable[[Path, int, int, Path], list[str]]
"""Data, size, seed and the model or run to write, to the words of a command."""


def script(name: str, *words: str) -> Command:
    """A script beside this file; ``{…}`` in its words are data, size, seed and output."""
    return lambda data, size, seed, out: [
        sys.executable,
        str(HERE / name),
        *(word.format(data=data, size=size, seed=seed, out=out.with_suffix(".keras")) for word in words),
    ]


def recipe(name: str) -> Command:
    """``tlkit finetune --recipe``."""
    return lambda data, size, seed, out: [
        sys.executable, "-m", "tlkit", "-q", "finetune", str(data), "--recipe", name, "--arch", ARCH,
        "--size", str(size), "--seed", str(seed), "-o", str(out),
    ]  # fmt: skip


def ways(freeze: int) -> dict[str, Command]:
    """What is compared; ``freeze`` is where tlkit cuts this base."""
    return {
        "recipe of 2017": script(
            "recipe2017.py",
            "{data}",
            ARCH,
            "imagenet",
            "{size}",
            str(freeze),
            str(EPOCHS),
            str(EPOCHS),
            "{seed}",
            "{out}",
        ),
        "logistic regression": script("features_and_logistic_regression.py", "{data}", ARCH, "{size}", "{out}"),
        "fastai fine_tune": script("fastai_fine_tune.py", "{data}", ARCH, "{size}", str(EPOCHS), "{seed}", "{out}"),
        **{f"tlkit {name}": recipe(name) for name in ("classic", "fast", "strong")},
    }


MEASURE = """
import sys, keras, numpy as np
path, folder, size, scaled = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "scaled"
images = keras.utils.image_dataset_from_directory(folder, image_size=(size, size), shuffle=False, verbose=False)
model = keras.saving.load_model(path, compile=False)
right = total = 0
for pixels, labels in images:
    found = model.predict_on_batch((pixels - 127.0) / 128.0 if scaled else pixels)
    right, total = right + int((found.argmax(axis=1) == labels.numpy()).sum()), total + len(labels)
print(right, total)
"""


def test_accuracy(way: str, out: Path, test: Path, size: int) -> tuple[int, int]:
    """Return how many test images are classified right, and how many there are."""
    if way.startswith("tlkit"):
        command = ["-m", "tlkit", "-q", "evaluate", out, test, "--format", "json"]
    else:
        scaled = "scaled" if "2017" in way else "pixels"
        command = ["-c", MEASURE, out.with_suffix(".keras"), test, size, scaled]
    done = subprocess.run(
        [sys.executable, *map(str, command)], capture_output=True, text=True, check=True,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
    )  # fmt: skip
    if not way.startswith("tlkit"):
        right, total = map(int, done.stdout.split()[-2:])
        return right, total
    found = json.loads(done.stdout)
    return round(found["accuracy"] * found["images"]), found["images"]


def main() -> None:
    from tlkit.architectures.layer_tables import layers_of
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.reporting.metrics import wilson_interval

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--ways", default="", help="parts of their names; all unless given")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--size", type=int, default=128)
    arguments = parser.parse_args()
    architecture = get_architecture(ARCH)
    names = [layer.name for layer in layers_of(architecture, include_top=False)]
    chosen = {
        name: command for name, command in ways(names.index(architecture.freeze) + 1).items()
        if any(part in name for part in arguments.ways.split(","))
    }  # fmt: skip
    right: dict[tuple[str, str], int] = defaultdict(int)
    total: dict[tuple[str, str], int] = defaultdict(int)
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.sets.split(","):
            for seed in map(int, arguments.seeds.split(",")):
                whole = write_set(kind, seed, Path(folder))
                test = (whole / "test").rename(whole.with_name(f"{whole.name}-test"))
                for way, command in chosen.items():  # taking turns, so that a slow minute meets all
                    out, cache = Path(folder, "out"), Path(folder, "cache")
                    for left in (out, cache):
                        shutil.rmtree(left, ignore_errors=True)
                    words = command(whole, arguments.size, seed, out)
                    took, _ = measure(words, TLKIT_CACHE_DIR=str(cache), TF_CPP_MIN_LOG_LEVEL="3")
                    hits, images = test_accuracy(way, out, test, arguments.size)
                    right[kind, way] += hits
                    total[kind, way] += images
                    seconds[kind, way].append(took)
                    print(f"{kind} {seed} {way}: {hits / images:.3f}, {took:.1f} s", file=sys.stderr, flush=True)
            print(f"\n{kind}")
            for way in chosen:
                share = right[kind, way] / total[kind, way]
                low, high = wilson_interval(share, total[kind, way])
                print(
                    f"  {way:<20} {share:.3f}  [{low:.3f}, {high:.3f}]  {statistics.median(seconds[kind, way]):6.1f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main()
