"""Whole processes, cold, as a person types them: the first prediction, help, and 400 JPEG files to features on disk.

Commands take turns. Before each one that is called first, tlkit's cache is removed. The steady state, without starting
and building, is what `features.py` beside this file measures.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from features import IMAGES, write_images
from stopwatch import measure

TLKIT = [sys.executable, "-m", "tlkit", "-q"]
STOCK = Path(__file__).with_name("stock_features.py")
WAYS = ("keras float32", "openvino float32", "openvino bfloat16")
SAVE = """
import sys
from tlkit.architectures.build import build
from tlkit.architectures.registry.lookup import get_architecture
build(get_architecture(sys.argv[1]), include_top=sys.argv[2] == "top").save_weights(sys.argv[3])
"""


class Bench:
    """A folder with images and weights, and what is measured in it."""

    def __init__(self, folder: Path, images: int, rounds: int) -> None:
        self.folder, self.rounds = folder, rounds
        self.images, self.cache = folder / "images", folder / "cache"
        write_images(self.images, images)

    def weights(self, network: str, part: str = "base") -> Path:
        path = self.folder / f"{network}.{part}.weights.h5"
        if not path.exists():
            subprocess.run([sys.executable, "-c", SAVE, network, part, str(path)], check=True, capture_output=True)
        return path

    def medians(self, commands: dict[str, list], *, first: Callable[[str], bool] = lambda name: True) -> dict:
        """Seconds and MB of each command; tlkit's cache is removed before those that are called ``first``."""
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for _ in range(self.rounds):
            for name, command in commands.items():
                if first(name):
                    shutil.rmtree(self.cache, ignore_errors=True)
                taken[name].append(measure(command, TLKIT_CACHE_DIR=str(self.cache), TF_CPP_MIN_LOG_LEVEL="3"))
        return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in taken.items()}

    def predictions(self) -> None:
        image = next(iter(sorted((self.images / "class").iterdir())))
        commands: dict[str, list] = {"tlkit --help": [*TLKIT, "--help"]}
        for network in ("efficientnetlite0", "mobilenet", "inceptionv3"):
            words = [*TLKIT, "predict", image, "--arch", network]
            if network != "efficientnetlite0":
                words += ["--weights", self.weights(network, "top")]
            commands |= {f"predict, {network}, first": words, f"predict, {network}, again": words}
        for name, (seconds, memory) in self.medians(commands, first=lambda name: name.endswith("first")).items():
            print(f"{name:<36}{seconds:7.2f} s{memory:7.0f} MB", flush=True)

    def features(self, networks: list[str]) -> None:
        count = len(list((self.images / "class").iterdir()))
        print(f"\n{count} JPEG files to features on disk; ratio to stock")
        print(f"{'':<14}{'stock':>18}" + "".join(f"{way:>28}" for way in WAYS))
        ratios: dict[str, list[float]] = {way: [] for way in WAYS}
        for network in networks:
            weights = self.weights(network)
            commands: dict[str, list] = {
                "stock": [sys.executable, STOCK, self.images, network, weights, self.folder / "stock.npy"]
            }
            for way in WAYS:
                engine, precision = way.split()
                commands[way] = [
                    *TLKIT, "extract", self.images, "-o", self.folder / "own.npy", "--force", "--arch", network,
                    "--weights", weights, "--engine", engine, "--precision", precision,
                ]  # fmt: skip
            found = self.medians(commands)
            stock, memory = found["stock"]
            cells = [f"{stock:.1f} s {memory:.0f} MB"]
            for way in WAYS:
                seconds, memory = found[way]
                ratios[way].append(stock / seconds)
                cells.append(f"{seconds:.1f} s {memory:.0f} MB {stock / seconds:.2f}x")
            print(f"{network:<14}{cells[0]:>18}" + "".join(f"{cell:>28}" for cell in cells[1:]), flush=True)
        means = "".join(f"{statistics.geometric_mean(ratios[way]):>27.2f}x" for way in WAYS)
        print(f"{'geometric mean':<32}{means}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=list(IMAGES), help="to take features of")
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--predict", action="store_true", help="only the predictions")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), given.images, given.rounds)
        bench.predictions()
        if not given.predict:
            bench.features(given.networks)


if __name__ == "__main__":
    main()
