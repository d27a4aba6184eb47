"""A million rows: seconds a row and peak memory of writing features, going on, and training a linear head.

Images are of 16 pixels in tar shards, and features are synthetic, as long as those of a small MobileNet (256 numbers),
so that nothing is measured but tlkit. The rows are put into the store that `tlkit bottleneck` resumes from; it then
computes none, and writes them in each format; `tlkit finetune --features` reads those. What is constant a row does not
grow from one number of rows to the next. Before that, a folder of small files: to walk it, to hash them, and to hash
them again. `million_rows.py 1000000 --formats npy` takes ten minutes.
"""

import argparse
import hashlib
import io
import os
import shutil
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import numpy as np
from stopwatch import measure

CLASSES, LENGTH, SHARD = 10, 256, 100_000
NETWORK = ["--arch", "mobilenet", "--alpha", "0.25", "--weights", "none"]
FORMATS = ("npy", "hdf5", "parquet")
STORE = {"npy": "bottleneck_features.part", "hdf5": "bottleneck_features.part", "parquet": "_bottleneck_features.part"}
ROWS = """
import sys
sys.path.insert(0, sys.argv[1])
from million_rows import write_rows
write_rows(sys.argv[2], int(sys.argv[3]))
"""
WALK = """
import sys
from tlkit.data.digests import file_digests
from tlkit.data.discovery import walk_files
from tlkit.data.modality import IMAGE
files = list(walk_files(sys.argv[1], IMAGE))
if sys.argv[2] == "hash":
    file_digests(files, IMAGE)
"""


def image(number: int) -> bytes:
    """A grey image of 4 × 4 pixels, like no other."""
    return b"P5 4 4 255\n" + number.to_bytes(16, "big")


def write_shards(folder: Path, rows: int) -> None:
    """Write shards of images with labels, which take turns."""
    folder.mkdir()
    for shard in range(-(-rows // SHARD)):
        with tarfile.open(folder / f"shard-{shard:03}.tar", "w") as archive:
            for number in range(shard * SHARD, min(rows, (shard + 1) * SHARD)):
                for ending, data in (("pgm", image(number)), ("cls", str(number % CLASSES).encode())):
                    member = tarfile.TarInfo(f"{number:08}.{ending}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))


def write_rows(folder: str, rows: int) -> None:
    """Put features into the store that `tlkit bottleneck` resumes from: classes that overlap, the same every time."""
    from tlkit.architectures.registry.lookup import get_architecture
    from tlkit.config import BottleneckConfig
    from tlkit.features.extractor import FeatureExtractor
    from tlkit.features.spec import FeatureSpec
    from tlkit.features.store import FeatureStore

    config = BottleneckConfig(data="data", output="output", arch="mobilenet", alpha=0.25, weights="none")
    architecture = get_architecture(config.arch, config.build)
    spec = FeatureSpec.from_architecture(architecture, weights="none", pooling=config.pooling)
    random = np.random.default_rng(0)
    centres = random.normal(scale=0.15, size=(CLASSES, LENGTH)).astype(np.float32)
    with FeatureStore(Path(folder), FeatureExtractor(spec).provenance) as store:
        for start in range(0, rows, 128):
            numbers = range(start, min(rows, start + 128))
            features = random.standard_normal((len(numbers), LENGTH), np.float32) + centres[np.array(numbers) % CLASSES]
            store.append([hashlib.sha256(image(number)).digest() for number in numbers], [features])
        store.sync()


class Bench:
    """A folder, and what is measured in it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.cache = folder, folder / "cache"

    def measure(self, count: int, unit: str, name: str, command: list) -> None:
        """Measure a command that goes through so many rows or files, and print a line."""
        seconds, memory = measure(
            [sys.executable, *map(str, command)], TLKIT_CACHE_DIR=str(self.cache), TF_CPP_MIN_LOG_LEVEL="3"
        )
        each = 1e6 * seconds / count
        print(f"{count:>9,} {unit}s  {name:<24}{seconds:8.1f} s {each:8.1f} µs a {unit} {memory:7.0f} MB", flush=True)

    def rows(self, rows: int, formats: list[str]) -> None:
        """Write, go on and train with so many rows."""
        here = self.folder / str(rows)
        here.mkdir()
        write_shards(here / "data", rows)
        data = here / "data" / f"shard-{{000..{-(-rows // SHARD) - 1:03}}}.tar"
        self.measure(rows, "row", "write into the store", ["-c", ROWS, Path(__file__).parent, here / "store", rows])
        for name in formats:
            output = here / name
            shutil.copytree(here / "store", output / STORE[name], copy_function=os.link)
            bottleneck = ["-m", "tlkit", "-q", "bottleneck", data, "-o", output, "--format", name, *NETWORK]
            self.measure(rows, "row", f"go on, write {name}", bottleneck)
            self.measure(rows, "row", f"{name} is up to date", bottleneck)
            finetune = ["-m", "tlkit", "-q", "finetune", data, "--features", output, "--recipe", "fast", *NETWORK]
            self.measure(rows, "row", f"train from {name}", [*finetune, "-o", here / f"run-{name}"])
            shutil.rmtree(output)
        shutil.rmtree(here)

    def files(self, count: int) -> None:
        """Walk and hash a folder of small files."""
        here = self.folder / "files"
        for number in range(count):
            if number % 1000 == 0:
                (here / f"{number // 1000:05}").mkdir(parents=True)
            (here / f"{number // 1000:05}" / f"{number:08}.jpg").write_bytes(image(number))
        time.sleep(3)  # digests of files that changed just now are not remembered
        for name, how in (("walk", "walk"), ("walk and hash", "hash"), ("walk and hash again", "hash")):
            self.measure(count, "file", name, ["-c", WALK, here, how])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", nargs="*", type=int, default=[10_000, 100_000])
    parser.add_argument("--formats", nargs="*", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--files", type=int, default=200_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        if given.files:
            bench.files(given.files)
        for rows in given.rows:
            bench.rows(rows, given.formats)


if __name__ == "__main__":
    main()
