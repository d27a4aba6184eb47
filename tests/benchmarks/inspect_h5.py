"""`tlkit inspect-h5` against h5glance and `h5dump -H`: seconds and resident memory of whole processes.

Run with `make bench`. Commands take turns, so that whatever else the machine does hits all of them alike.
"""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np
from stopwatch import measure

from tlkit.architectures.layer_tables import expected_layers
from tlkit.architectures.registry.lookup import get_architecture

ROUNDS = 7


def write_weights(path: Path, architecture: str) -> Path:
    """The weights of an architecture as Keras 2 writes them; every value is 1."""
    layers = expected_layers(get_architecture(architecture), include_top=True)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = [layer.name.encode() for layer in layers]
        file.attrs["keras_version"], file.attrs["backend"] = "2.4.0", "tensorflow"
        for layer in layers:
            group = file.create_group(layer.name)
            names = [f"{layer.name}/{role}:0" for role, _ in layer.tensors]
            group.attrs["weight_names"] = [name.encode() for name in names]
            for name, (_, shape) in zip(names, layer.tensors, strict=True):
                group.create_dataset(name, data=np.ones(shape, np.float32))
    return path


def write_groups(path: Path, count: int) -> Path:
    """Nothing but groups."""
    with h5py.File(path, "w") as file:
        for number in range(count):
            file.create_group(f"group{number}")
    return path


def main() -> None:
    """Print the table."""
    here = Path(sys.executable).parent
    peers = {"tlkit": [str(here / "tlkit"), "inspect-h5"]}
    if (here / "h5glance").exists():
        peers["h5glance"] = [str(here / "h5glance")]
    if shutil.which("h5dump"):
        peers["h5dump -H"] = ["h5dump", "-H"]
    with tempfile.TemporaryDirectory() as folder:
        files = [
            write_weights(Path(folder, "vgg16.h5"), "vgg16"),
            write_weights(Path(folder, "inceptionv3.h5"), "inceptionv3"),
            write_groups(Path(folder, "100,000 groups.h5"), 100_000),
        ]
        print(f"{'file':<20}{'MB':>8}  " + "".join(f"{name:>22}" for name in peers))
        for file in files:
            times: dict[str, list[tuple[float, float]]] = {name: [] for name in peers}
            for _ in range(ROUNDS):
                for name, command in peers.items():
                    times[name].append(measure([*command, str(file)]))
            cells = []
            for name in peers:
                seconds = statistics.median(second for second, _ in times[name])
                ratio = seconds / statistics.median(second for second, _ in times["tlkit"])
                cells.append(f"{seconds:7.2f} s {max(memory for _, memory in times[name]):4.0f} MB {ratio:4.2f}")
            print(f"{file.name:<20}{file.stat().st_size / 1e6:8.1f}  " + "".join(f"{cell:>22}" for cell in cells))
        print("Seconds are medians; the last number is the ratio to tlkit (more is slower than tlkit).")


if __name__ == "__main__":
    main()
