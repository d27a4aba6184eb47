"""What computes, side by side on this machine: OpenVINO, and Keras on TensorFlow and on JAX.

Whole cold processes, taking turns: features of JPEG files (images a second, from the difference between many and few,
so that starting does not count), and training the top of the base on cached features (seconds an epoch, as the run
itself records them; the first, which compiles, is left out).

    python tests/benchmarks/backends.py
    python tests/benchmarks/backends.py --device gpu --archs inceptionv3 --size 299 --images 4000

The defaults are for a processor, where JAX takes minutes for what the others do in seconds.
"""

import argparse
import csv
import math
import os
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from features import write_images
from finetune import write_textures
from stopwatch import measure

TLKIT = [sys.executable, "-m", "tlkit", "-q"]


def ways(device: str) -> dict[str, list[str]]:
    """What is measured, with its options: what is installed, and OpenVINO on a processor only."""
    found = {"openvino": ["--engine", "openvino", "--backend", "tensorflow"]} if device == "cpu" else {}
    for backend in filter(find_spec, ("tensorflow", "jax")):
        found[backend] = ["--engine", "keras", "--backend", backend, "--device", device]
    return found


def extract(arch: str, options: list[str], images: list[Path], folder: Path) -> float:
    """Seconds of a cold process."""
    network = ["--arch", arch, "--weights", "none", *options]
    words = [*TLKIT, "extract", *images, *network, "-o", folder / "f.npy", "--force"]
    return measure(words, TLKIT_CACHE_DIR=str(folder / "cache"))[0]


def epochs(arch: str, options: list[str], data: Path, folder: Path) -> list[float]:
    """Seconds of each epoch of phase 2."""
    run = Path(tempfile.mkdtemp(dir=folder)) / "run"
    words = [*TLKIT, "finetune", data, "--arch", arch, "--weights", "none", "--epochs", 1, "--finetune-epochs", 3,
             "-o", run, *options]  # fmt: skip
    subprocess.run(
        list(map(str, words)), check=True, capture_output=True,
        env={**os.environ, "TLKIT_CACHE_DIR": str(folder / "cache")},
    )  # fmt: skip
    with open(run / "history.csv", newline="") as file:
        return [float(row["seconds"]) for row in csv.DictReader(file) if row["phase"] == "finetune"][1:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--archs", nargs="*", default=["efficientnetlite0"])
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", choices=["cpu", "gpu"])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", arguments.images)
        write_textures(folder / "textures")
        images = sorted((folder / "images").rglob("*.jpg"))
        few = len(images) // 5
        print(f"{'network':<20}{'computes':<12}{'images/s':>10}{'start':>9}{'epoch of phase 2':>19}")
        for arch in arguments.archs:
            took = {way: [] for way in ways(arguments.device)}
            for _ in range(arguments.rounds):
                for way, options in ways(arguments.device).items():
                    options = [*options, "--size", arguments.size]
                    short = extract(arch, options, images[:few], folder)
                    long = extract(arch, options, images, folder)
                    rate = (len(images) - few) / (long - short) if long > short else math.nan  # other work beside
                    trained = statistics.median(epochs(arch, options, folder / "textures", folder))
                    took[way].append((rate, short - few / rate, trained))
            for way, rounds in took.items():
                rate, start, trained = (statistics.median(each) for each in zip(*rounds, strict=True))
                print(f"{arch:<20}{way:<12}{rate:>10.1f}{start:>7.1f} s{trained:>17.2f} s", flush=True)


if __name__ == "__main__":
    main()
