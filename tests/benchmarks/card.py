"""One graphics card: features against decoding alone, and training against the recipe of 2017 on the same card.

Everything is a whole cold process on the backend that ``--backend`` names, InceptionV3 with random weights, JPEG files
500 pixels wide. Ends within eight minutes on an H100: the recipe is timed over one and over two epochs of each phase,
and its other epochs are added with the seconds of the second ones, which is said beside the number.

    python tests/benchmarks/card.py --backend jax
    python tests/benchmarks/card.py --device cpu --images 80 --epochs 3 --size 96   # to try the script without a card
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from features import write_images

CUTS = {"172": 172, "mixed8": 249}
RECIPE = Path(__file__).with_name("recipe2017.py")


def write_classes(folder: Path, images: int) -> None:
    """Four classes of JPEG files, of which a fifth validates."""
    write_images(folder / "all", images)
    for number, path in enumerate(sorted((folder / "all").rglob("*.jpg"))):
        split = "validation" if number % 20 < 4 else "train"  # five of each class in turn
        place = folder / "data" / split / f"class{number % 4}"
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.name)


class Bench:
    def __init__(self, folder: Path, arguments: argparse.Namespace) -> None:
        self.folder, self.arguments, self.data = folder, arguments, folder / "data"
        self.options = ["--backend", arguments.backend, "--device", arguments.device, "--size", arguments.size]
        self.environment = {**os.environ, "KERAS_BACKEND": arguments.backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
        if arguments.device == "cpu":  # for the recipe, which has no such option
            self.environment["CUDA_VISIBLE_DEVICES"] = ""
        self.runs = 0

    def run(self, *words: object) -> tuple[float, str]:
        """Seconds of a cold process, with a cache of its own, and what it writes to stdout."""
        self.runs += 1
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *map(str, words)], capture_output=True, text=True,
            env={**self.environment, "TLKIT_CACHE_DIR": str(self.folder / f"cache-{self.runs}")},
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(done.stderr)
        return time.perf_counter() - start, done.stdout

    def tlkit(self, command: str, *words: object) -> tuple[float, str]:
        """The same, of a command of tlkit."""
        network = ["--arch", "inceptionv3", "--weights", "none"]
        return self.run("-m", "tlkit", "-q", command, *words, *network, *self.options)

    def extracted(self, files: list[Path]) -> float:
        """Seconds to compute features of files."""
        return self.tlkit("extract", *files, "--engine", "keras", "-o", self.folder / f"{self.runs}.npy")[0]

    def recipe(self, cut: str, epochs: int) -> float:
        """Seconds of the recipe of 2017, with so many epochs of each phase."""
        model = self.folder / f"recipe-{self.runs}.keras"
        return self.run(
            RECIPE, self.data, "inceptionv3", "none", self.arguments.size, CUTS[cut], epochs, epochs, 0, model
        )[0]


def decoded(files: list[Path], size: int) -> float:
    """Images a second that this machine decodes and resizes, with a thread for each processor."""
    from tlkit.architectures.preprocessor import preprocessor_for
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.data.batches import read_batches

    preprocessor = preprocessor_for(get_architecture("inceptionv3"), (size, size), None)
    start = time.perf_counter()
    for _ in read_batches(list(map(str, files)), preprocessor, 128):
        pass
    return len(files) / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", default="jax", choices=["jax", "tensorflow"])
    parser.add_argument("--device", default="gpu", choices=["gpu", "cpu"])
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=10, help="of each phase")
    parser.add_argument("--size", type=int, default=299)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_classes(folder, arguments.images)
        bench = Bench(folder, arguments)
        files = sorted(bench.data.rglob("*.jpg"))
        few = files[: len(files) // 5]
        short, long = bench.extracted(few), bench.extracted(files)
        rate, alone = (len(files) - len(few)) / (long - short), decoded(files, arguments.size)
        print(f"extract {rate:.0f} images/s, {rate / alone:.0%} of decoding alone ({alone:.0f}); {short:.1f} s for the "
              f"first {len(few)}, cold", flush=True)  # fmt: skip
        for cut in CUTS:
            own: dict[str, float] = {}
            for precision in ("float32", "bfloat16"):
                epochs = ["--epochs", arguments.epochs, "--finetune-epochs", arguments.epochs]
                options = ["--freeze", cut, *epochs, "--precision", precision, "-o", folder / f"run-{bench.runs}"]
                own[precision], _ = bench.tlkit("finetune", bench.data, *options)
                print(f"--freeze {cut}, {precision}: {own[precision]:.1f} s, cold", flush=True)
            one, two = bench.recipe(cut, 1), bench.recipe(cut, 2)
            whole = two + (arguments.epochs - 2) * (two - one)
            print(f"  recipe of 2017: {one:.1f} s for 1 + 1 epochs, {two:.1f} s for 2 + 2, so {whole:.0f} s for "
                  f"{arguments.epochs} + {arguments.epochs}: {whole / own['float32']:.1f}x, with bfloat16 "
                  f"{whole / own['bfloat16']:.1f}x", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
