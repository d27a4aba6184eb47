"""Features from JPEG files to a file on disk: tlkit's engines against the stock way, taking turns in one run.

The stock way is ``keras.utils.image_dataset_from_directory``, ``model.predict`` and ``numpy.save``. Run with
``make bench``; ``python tests/benchmarks/features.py mobilenet --images 512 --rounds 3`` measures some networks
longer. Every measurement starts with the network built and warm, and ends with the features on disk.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

NETWORKS = ("inceptionv3", "resnet50", "vgg16", "mobilenet", "mobilenetv2")
WAYS = ("stock", "keras float32", "keras bfloat16", "openvino float32", "openvino bfloat16")
IMAGES = {"inceptionv3": 64, "resnet50": 96, "vgg16": 32, "mobilenet": 384, "mobilenetv2": 384}
BATCH = 32


def write_images(folder: Path, count: int) -> None:
    """Photographs as most data sets have them: JPEG, about 500 pixels wide, 50 kB; no two alike."""
    import numpy as np
    import skimage.data
    from PIL import Image

    random = np.random.default_rng(0)
    photographs = [getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")]
    (folder / "class").mkdir(parents=True)
    for number in range(count):
        photograph = photographs[number % len(photographs)]
        height, width = photograph.shape[:2]
        top, left = random.integers(0, height // 4), random.integers(0, width // 4)
        cut = Image.fromarray(photograph[top : top + height * 3 // 4, left : left + width * 3 // 4])
        cut.resize((500, 375), Image.Resampling.BICUBIC).save(folder / "class" / f"{number:05}.jpg", quality=90)


class Stock:
    """What Keras's documentation does."""

    def __init__(self, architecture, folder: Path) -> None:
        from tlkit.architectures.build import build
        from tlkit.architectures.submodel import submodel
        from tlkit.backend import keras

        base = build(architecture, include_top=False)
        self.model = submodel(base, base.layers[-1].name, "avg")
        self.folder, self.keras = folder, keras
        preprocess = keras.applications.imagenet_utils.preprocess_input
        self.preprocess = lambda images: preprocess(images, mode=architecture.preprocessing)
        self.size = (architecture.size, architecture.size)
        self.run(8, warm=True)

    def run(self, count: int, *, warm: bool = False) -> float:
        """Seconds for all images."""
        import numpy as np

        start = time.perf_counter()
        images = self.keras.utils.image_dataset_from_directory(
            self.folder, labels=None, image_size=self.size, batch_size=BATCH, shuffle=False, verbose=False
        )
        images = images.map(self.preprocess)
        features = self.model.predict(images.take(1) if warm else images, verbose=0)
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file, features)
            file.flush()
        assert warm or len(features) == count
        return time.perf_counter() - start


class Ours:
    """What ``tlkit extract`` does once its network is ready."""

    def __init__(self, architecture, folder: Path, engine: str, precision: str) -> None:
        import numpy as np

        from tlkit.features.extractor import FeatureExtractor
        from tlkit.features.spec import FeatureSpec
        from tlkit.inference.base import run

        self.folder = folder
        spec = FeatureSpec.from_architecture(architecture, weights="none")
        self.extractor = FeatureExtractor(spec, engine=engine, precision=precision)
        self.extractor.notes = {"not": "compared here"}
        self.engine = self.extractor.engine(0)
        side = architecture.size
        self.pixels = np.random.default_rng(0).integers(0, 256, (BATCH, side, side, 3), np.uint8)
        run(self.engine, self.pixels)

    def run(self, count: int) -> float:
        """Seconds for all images, from the files to the features on disk."""
        from tlkit.data.digests import file_digests
        from tlkit.data.discovery import expand_inputs
        from tlkit.features.export import FileGroup, export_features
        from tlkit.features.io import write_npy

        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            sources = expand_inputs([str(self.folder)], self.extractor.modality)
            group = FileGroup(sources, sources, file_digests(sources, self.extractor.modality))
            computed = export_features(
                Path(folder, "part"), self.extractor, {"": group},
                lambda features: write_npy(Path(folder, "f.npy"), features[""]),
            )  # fmt: skip
            seconds = time.perf_counter() - start
        assert computed == count
        return seconds

    def decode_only(self, count: int) -> float:
        """Seconds to read and decode as many files, and nothing else."""
        from tlkit.data.batches import read_batches
        from tlkit.data.discovery import expand_inputs

        preprocessor = self.extractor.specs[0].network.preprocessor
        start = time.perf_counter()
        sources = expand_inputs([str(self.folder)], self.extractor.modality)
        assert sum(len(batch.positions) for batch in read_batches(sources, preprocessor, 8, digests=True)) == count
        return time.perf_counter() - start

    def forward_only(self, count: int) -> float:
        """Seconds for as many images that are decoded already, and are not saved."""
        start = time.perf_counter()
        waiting = []
        for _ in range(-(-count // BATCH)):
            waiting.append(self.engine.submit(self.pixels))
            if len(waiting) > 2:
                waiting.pop(0).result()
        for future in waiting:
            future.result()
        return (time.perf_counter() - start) * count / (-(-count // BATCH) * BATCH)


def measure(name: str, folder: Path, count: int, rounds: int) -> dict[str, tuple[float, float]]:
    """For each way images per second, and the share of what decoding and network allow together; medians."""
    from tlkit.architectures.registry.lookup import get_architecture

    architecture = get_architecture(name)
    ways = {"stock": Stock(architecture, folder)}
    ways |= {way: Ours(architecture, folder, *way.split()) for way in WAYS[1:]}
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    alone: dict[str, list[float]] = {way: [] for way in WAYS[1:]}
    for _ in range(rounds):
        for way, runs in ways.items():
            if way != "stock":
                alone[way].append(runs.decode_only(count) + runs.forward_only(count))
            seconds[way].append(runs.run(count))
    return {
        way: (
            count / statistics.median(seconds[way]),
            statistics.median(f / s for f, s in zip(alone[way], seconds[way], strict=True)) if way in alone else 0.0,
        )
        for way in WAYS
    }


PEAK = """
import sys
from tlkit.cli import main
try:
    main(["-q", "extract", sys.argv[1], "-o", sys.argv[2], "--arch", "mobilenet", "--weights", "none", "--size", "64",
          "--engine", "openvino"])
finally:
    print([line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")][0], file=sys.stderr)
"""


def peak_memory(folder: Path, rows: int) -> float:
    """MB that extracting so many images takes at most; they are copies of one, with bytes of their own at the end."""
    import shutil

    source = sorted((folder / "class").iterdir())[0].read_bytes()
    many = folder.parent / f"many{rows}"
    many.mkdir()
    for number in range(rows):  # bytes after the end of a JPEG change its digest and not its pixels
        (many / f"{number:06}.jpg").write_bytes(source + number.to_bytes(4, "big"))
    done = subprocess.run(
        [sys.executable, "-c", PEAK, str(many), str(folder.parent / f"{rows}.npy")], capture_output=True, text=True
    )
    shutil.rmtree(many)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stderr.split()[-1]) / 1024


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--images", type=int, help="images per measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", action="store_true", help="only the peak memory at 2,000 and 20,000 images")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if given.one:  # a process of its own for every network: memory and threads start from scratch
            name = given.networks[0]
            count = given.images or IMAGES.get(name, 128)
            write_images(Path(scratch, "images"), count)
            print(json.dumps(measure(name, Path(scratch, "images"), count, given.rounds)))
            return
        if not given.memory:
            speeds(given)
        if given.memory or not given.networks or tuple(given.networks) == NETWORKS:
            write_images(Path(scratch, "images"), 1)
            few, many = (peak_memory(Path(scratch, "images"), rows) for rows in (2_000, 20_000))
            print(
                f"\nPeak memory of extract: {few:.0f} MB at 2,000 images, {many:.0f} MB at 20,000 ({many / few:.2f})."
            )


def speeds(given: argparse.Namespace) -> None:
    """Print the table of speeds."""
    print(
        "Images per second from JPEG files to features on disk; ratio to stock; share of what "
        "decoding and network, each measured alone on all processors, allow together.\n",
        flush=True,
    )
    print(f"{'':<14}" + "".join(f"{way:>24}" for way in WAYS))
    found: dict[str, dict[str, tuple[float, float]]] = {}
    for name in given.networks:
        command = [sys.executable, __file__, "--one", name, "--rounds", str(given.rounds)]
        command += ["--images", str(given.images)] if given.images else []
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, text=True)
        found[name] = {way: tuple(value) for way, value in json.loads(done.stdout.splitlines()[-1]).items()}
        stock = found[name]["stock"][0]
        cells = [f"{stock:.1f}/s"] + [
            f"{speed:.1f}/s {speed / stock:.2f}x {share:.0%}" for way, (speed, share) in list(found[name].items())[1:]
        ]
        print(f"{name:<14}" + "".join(f"{cell:>24}" for cell in cells), flush=True)
    cells = [""]
    for way in WAYS[1:]:
        ratio = statistics.geometric_mean(one[way][0] / one["stock"][0] for one in found.values())
        share = statistics.geometric_mean(one[way][1] for one in found.values())
        cells.append(f"{ratio:.2f}x {share:.0%}")
    print(f"{'geometric mean':<14}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
