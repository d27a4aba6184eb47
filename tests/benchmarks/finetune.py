"""`tlkit finetune` against the recipe of 2017, each a process of its own from start to saved model, taking turns.

InceptionV3 at 299, 200 images, 10 + 10 epochs, batch 16, nothing cached, at both freeze points and both precisions;
the head alone, cold and with the features cached; how near the training comes to the machine's rate of matrix
products; and the accuracy of both over three seeds, on a base that has real weights. About half an hour; ``--epochs
3`` is quicker, and less telling, because starting costs the same. Beside the time on the clock stand the seconds that
the processors were at work: a shared machine that is halted now and then stretches the first and not the second.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

CUTS = {"mixed8": 249, "172": 172}
RECIPE = Path(__file__).with_name("recipe2017.py")


def write_textures(folder: Path) -> None:
    """Four classes of JPEG files 500 pixels wide, 40 to train on and 10 to validate with."""
    import numpy as np
    import skimage.data
    from PIL import Image

    random = np.random.default_rng(0)
    for name in ("brick", "grass", "gravel", "coffee"):
        photograph = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
        for split, count in (("train", 40), ("validation", 10)):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                side = random.integers(150, 250)
                left, top = random.integers(0, photograph.width - side), random.integers(0, photograph.height - side)
                cut = photograph.crop((left, top, left + side, top + side)).resize((500, 375))
                cut.save(folder / split / name / f"{number}.jpg", quality=90)


def write_digits(folder: Path) -> None:
    """Ten classes of handwritten digits, 16 to train on and 14 to validate with."""
    import numpy as np
    import sklearn.datasets
    from PIL import Image

    digits = sklearn.datasets.load_digits()
    for digit in range(10):
        for number, row in enumerate(np.flatnonzero(digits.target == digit)[:30]):
            path = folder / ("train" if number < 16 else "validation") / str(digit) / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = (255 - digits.images[row] * 255 / 16).astype("uint8")
            Image.fromarray(pixels).convert("RGB").resize((96, 96), Image.Resampling.BICUBIC).save(path)


class Seconds(NamedTuple):
    """How long something took: on the clock, and of the processors' work."""

    clock: float
    work: float

    def times(self, other: "Seconds") -> str:
        clock, work = other.clock / self.clock, other.work / self.work
        return f"{self.clock:.1f} s, {clock:.1f}x (work {self.work:.0f} s, {work:.1f}x)"


def median(taken: list[Seconds]) -> Seconds:
    return Seconds(*(statistics.median(each) for each in zip(*taken, strict=True)))


class Bench:
    def __init__(self, folder: Path, epochs: int) -> None:
        self.folder, self.epochs = folder, epochs
        self.environment = {**os.environ, "TLKIT_CACHE_DIR": str(folder / "cache"), "TF_CPP_MIN_LOG_LEVEL": "3"}

    def run(self, *words) -> tuple["Seconds", str]:
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, *map(str, words)], env=self.environment, capture_output=True, text=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise SystemExit(done.stderr)
        work = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return Seconds(time.perf_counter() - start, work), done.stdout

    def recipe(self, data, name, weights, size, freeze, head, finetune, seed=0) -> tuple[Seconds, float]:
        seconds, output = self.run(
            RECIPE, data, name, weights, size, freeze, head, finetune, seed, self.folder / "recipe.keras"
        )
        return seconds, float(output.split()[-1])

    def tlkit(self, data, *options, warm=False) -> tuple[Seconds, dict]:
        if not warm:
            shutil.rmtree(self.folder / "cache", ignore_errors=True)
        shutil.rmtree(self.folder / "run", ignore_errors=True)
        seconds, output = self.run(
            "-m", "tlkit", "-q", "finetune", data, "--batch-size", 16, *options, "-o", self.folder / "run",
            "--format", "json",
        )  # fmt: skip
        return seconds, json.loads(output)


def matrix_rate() -> float:
    """Floating-point operations a second in float32 matrix products, of NumPy's own library on all cores."""
    import numpy as np

    one = np.random.default_rng(0).random((2000, 2000), np.float32)
    rates = []
    for _ in range(10):
        start = time.perf_counter()
        one @ one
        rates.append(2 * 2000**3 / (time.perf_counter() - start))
    return statistics.median(rates)


def operations(frozen: int) -> float:
    """What one forward pass of one image through the layers of InceptionV3 above ``frozen`` multiplies and adds."""
    import numpy as np

    from tlkit.architectures.build import build
    from tlkit.architectures.registry.lookup import get_architecture

    layers = build(get_architecture("inceptionv3"), include_top=False).layers[frozen:]
    kernels = [(layer.kernel.shape, layer.output.shape) for layer in layers if hasattr(layer, "kernel")]
    return float(sum(2 * np.prod(kernel) * output[1] * output[2] for kernel, output in kernels))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=10, help="of each phase")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3, help="for the accuracy; 0 leaves it out")
    parser.add_argument("--cuts", nargs="*", default=list(CUTS))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bench = Bench(folder, arguments.epochs)
        textures, weights, epochs = folder / "textures", folder / "inception.weights.h5", arguments.epochs
        write_textures(textures)
        subprocess.run(
            [sys.executable, "-c", "import keras, sys; keras.applications.InceptionV3(weights=None, include_top=False,"
             "input_shape=(299, 299, 3)).save_weights(sys.argv[1])", str(weights)],
            env=bench.environment, check=True, capture_output=True,
        )  # fmt: skip
        inception = ("--arch", "inceptionv3", "--weights", weights, "--epochs", epochs)
        for cut in arguments.cuts:
            rounds: dict[str, list[Seconds]] = {"recipe": [], "float32": [], "bfloat16": []}
            phases = {}
            for _ in range(arguments.rounds):
                rounds["recipe"].append(
                    bench.recipe(textures, "inceptionv3", weights, 299, CUTS[cut], epochs, epochs)[0]
                )
                for precision in ("float32", "bfloat16"):
                    seconds, result = bench.tlkit(
                        textures, *inception, "--finetune-epochs", epochs, "--freeze", cut, "--precision", precision
                    )
                    rounds[precision].append(seconds)
                    phases[precision] = result["phases"]
            recipe = median(rounds["recipe"])
            print(f"--freeze {cut}: recipe {recipe.clock:.0f} s (work {recipe.work:.0f} s)", flush=True)
            for precision in ("float32", "bfloat16"):
                parts = ", ".join(f"{phase['name']} {phase['seconds']:.1f} s" for phase in phases[precision])
                print(f"  tlkit {precision}: {median(rounds[precision]).times(recipe)}; {parts}", flush=True)
            forward = operations(CUTS[cut])
            # forward, and twice as much back: to the inputs and to the kernels; validation is forward alone
            needed = epochs * (160 * 3 + 40) * forward / matrix_rate()
            took = phases["float32"][-1]["seconds"]
            print(f"  phase 2, float32: {took:.1f} s; its products alone need {needed:.1f} s: {took / needed:.2f}x")

        recipe, _ = bench.recipe(textures, "inceptionv3", weights, 299, 249, epochs, 0)
        cold, first = bench.tlkit(textures, *inception, "--finetune-epochs", 0)
        warm, second = bench.tlkit(textures, *inception, "--finetune-epochs", 0, warm=True)
        print(f"head alone, whole processes: recipe {recipe.clock:.0f} s (work {recipe.work:.0f} s)")
        for name, own, result in (("cold", cold, first), ("features cached", warm, second)):
            epochs_took = result["phases"][0]["seconds"]
            print(f"  tlkit {name}: {own.times(recipe)}; its epochs {epochs_took:.1f} s", flush=True)

        digits = folder / "digits"
        write_digits(digits)
        for seed in range(arguments.seeds):
            _, theirs = bench.recipe(digits, "efficientnetlite0", "none", 96, 95, epochs, epochs, seed)
            _, ours = bench.tlkit(
                digits, "--size", 96, "--freeze", 95, "--epochs", epochs, "--finetune-epochs", epochs, "--seed", seed
            )
            own = ours["val_accuracy"]
            print(f"validation accuracy, seed {seed}: recipe {theirs:.3f}, tlkit {own:.3f}", flush=True)


if __name__ == "__main__":
    main()
