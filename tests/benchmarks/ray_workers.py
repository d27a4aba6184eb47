"""`--ray local`: two workers of one thread against one of one thread, 600 JPEG files to features.

Each worker is pinned to a processor of its own, as if on a machine with one: a thread that decodes and one that
computes would be two otherwise. Workers start before the clock does; how long that takes is shown. Pairs take turns; a
pair is one of each. What is timed is all that follows: shards out, images in, parts written, their rows read.
"""

import argparse
import os
import shutil
import statistics
import tempfile
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from features import write_images

from tlkit.commands.extract import feature_extractor
from tlkit.config import ExtractConfig, WorkersOptions
from tlkit.data.digests import file_digests
from tlkit.distributed.parts import READ_TOGETHER, Image, Parts
from tlkit.distributed.ray_workers import RayWorkers
from tlkit.features.extractor import FeatureExtractor


def pinned_extractor(claims: Path, network: str) -> FeatureExtractor:
    """Take a processor that no other worker of the pool has, and return what computes features on it."""
    for processor in sorted(os.sched_getaffinity(0)):
        with suppress(FileExistsError):
            (claims / str(processor)).touch(exist_ok=False)
            os.sched_setaffinity(0, {processor})
            break
    return feature_extractor(ExtractConfig(images=(), arch=network, output="f.npy"))


class Pool:
    """Workers of one thread that have started, and how long that took."""

    def __init__(self, number: int, folder: Path, images: list[Image], network: str) -> None:
        self.folder, self.images = folder / "parts", images
        self.extractor = feature_extractor(ExtractConfig(images=(), arch=network, output="f.npy"))
        claims = folder / "claims"
        claims.mkdir(parents=True)
        self.workers = RayWorkers(
            WorkersOptions(ray="local", workers=number), partial(pinned_extractor, claims, network)
        )
        start = time.perf_counter()
        self.seconds(images[: 4 * number])
        self.start = time.perf_counter() - start

    def seconds(self, images: list[Image] | None = None) -> float:
        """How long the features of the images take."""
        images = images or self.images
        parts = Parts(self.folder, self.extractor)
        start = time.perf_counter()
        self.workers.compute(parts, images, batch_size=None, description="")
        rows = sum(len(batch.positions) for batch in parts.batches(images, READ_TOGETHER))
        taken = time.perf_counter() - start
        assert rows == len(images)
        shutil.rmtree(self.folder)
        return taken


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arch", default="efficientnetlite0")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    import ray

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_images(folder / "images", given.images)
        files = [str(path) for path in sorted((folder / "images" / "class").iterdir())]
        os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers import this file
        start = time.perf_counter()
        ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        print(f"Ray starts in {time.perf_counter() - start:.1f} s", flush=True)
        extractor = feature_extractor(ExtractConfig(images=(), arch=given.arch, output="f.npy"))
        images = list(zip(files, file_digests(files, extractor.modality), strict=True))
        one, two = (Pool(number, folder / f"pool-{number}", images, given.arch) for number in (1, 2))
        print(f"one worker starts in {one.start:.1f} s, two in {two.start:.1f} s", flush=True)
        pairs = []
        for number in range(given.pairs):
            order = [one, two] if number % 2 else [two, one]
            taken = {pool: pool.seconds() for pool in order}
            pairs.append((taken[one], taken[two]))
            print(f"{taken[one]:7.2f} s{taken[two]:7.2f} s{taken[one] / taken[two]:6.2f}x", flush=True)
        ratio = statistics.median(first / second for first, second in pairs)
        first, second = map(statistics.median, zip(*pairs, strict=True))
        print(f"median of {given.pairs}: {first:.2f} s with one, {second:.2f} s with two, {ratio:.2f}x")
        ray.shutdown()


if __name__ == "__main__":
    import ray_workers  # by the name that workers know

    ray_workers.main()
