"""What `tlkit export --precision int8` costs and brings: accuracy, bytes and milliseconds against float32.

Heads are trained on a frozen base; images that no training saw tell the accuracy. Milliseconds are those of the proof:
float32 and int8 in the same runtime, image by image, in turns. Only EfficientNet-Lite0 has ImageNet weights here: the
other bases are random, which int8 finds harder. Run with ``make bench``.

    python tests/benchmarks/export.py [--archs a,b] [--formats onnx,openvino,litert] [--set digits]
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from image_sets import SETS, write_set

ARCHS = "efficientnetlite0,mobilenetv2,resnet50,inceptionv3"
ENDS = {"onnx": "x.onnx", "openvino": "x.xml", "litert": "x.tflite"}


def tlkit(*words: object) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    return subprocess.run(
        [sys.executable, "-m", "tlkit", *map(str, words)], capture_output=True, text=True, check=False
    )


def main() -> None:
    """Print a line for each network and format."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archs", default=ARCHS)
    parser.add_argument("--formats", default=",".join(ENDS))
    parser.add_argument("--set", default="digits", choices=sorted(SETS))
    options = parser.parse_args()
    print(f"{'network':18} {'format':9} {'MB':>5} {'ms':>6} {'faster':>7}  accuracy of float32, int8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        data = write_set(options.set, 0, folder)
        for arch in options.archs.split(","):
            run = folder / arch
            weights = "imagenet" if arch == "efficientnetlite0" else "none"
            trained = tlkit(
                "-q", "finetune", data, "--arch", arch, "--weights", weights, "--recipe", "fast", "-o", run
            )  # fmt: skip
            if trained.returncode:
                raise SystemExit(trained.stderr)
            for kind in options.formats.split(","):
                path = folder / arch / f"as-{kind}" / ENDS[kind]
                path.parent.mkdir()
                ran = tlkit("-q", "export", run, "-o", path, "--precision", "int8", "--check", data / "test")
                print(f"{arch:18} {kind:9} {_shown(ran)}", flush=True)


def _shown(ran: subprocess.CompletedProcess[str]) -> str:
    if ran.returncode:
        return " ".join(ran.stderr.split())
    found = json.loads(ran.stdout)
    milliseconds, before = found["ms_per_image"], found["float32_ms_per_image"]
    accuracy, interval = found["accuracy"], found["interval"]
    return (
        f"{found['bytes'] / 1e6:5.1f} {milliseconds:6.1f} {before / milliseconds:6.2f}x  "
        f"{accuracy['run']:.3f} {interval['run'][0]:.3f}-{interval['run'][1]:.3f}, "
        f"{accuracy['exported']:.3f} {interval['exported'][0]:.3f}-{interval['exported'][1]:.3f}; "
        f"{len(found['layers_in_float'])} layers in float"
    )


if __name__ == "__main__":
    main()
