"""Write real images to try tlkit on, from installed packages; nothing is downloaded.

    python examples/make_data.py [FOLDER]

writes to FOLDER (default: demo/data):

    photos/                              photographs to classify with `tlkit predict`
    textures/train/brick|grass|gravel    40 cut-outs a class, from the left two thirds of a photograph
    textures/validation/…                16 cut-outs a class, from the right third of the same photograph

Training and validation never share a pixel: the cut-outs of one lie in another part of the photograph than those of
the other. The images come with scikit-image and scikit-learn.
"""

import sys
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image
from sklearn.datasets import load_sample_images

TEXTURES = ("brick", "grass", "gravel")
CUT_OUT = 128  # pixels a side
COUNTS = {"train": 40, "validation": 16}


def write_photos(folder: Path) -> int:
    """Photographs under their subject's name."""
    folder.mkdir(parents=True, exist_ok=True)
    palace, flower = load_sample_images().images
    photos = {
        "cat.png": skimage.data.chelsea(),
        "coffee.png": skimage.data.coffee(),
        "flower.jpg": flower,
        "palace.jpg": palace,
        "rocket.jpg": skimage.data.rocket(),
    }
    for name, pixels in photos.items():
        Image.fromarray(pixels).save(folder / name, quality=95)
    return len(photos)


def write_textures(folder: Path, seed: int = 0) -> int:
    """Cut-outs of three textures, training and validation from different regions."""
    random = np.random.default_rng(seed)
    written = 0
    for texture in TEXTURES:
        photograph = getattr(skimage.data, texture)()
        height, width = photograph.shape
        border = width * 2 // 3
        regions = {"train": (0, border), "validation": (border, width)}
        for split, (left, right) in regions.items():
            target = folder / split / texture
            target.mkdir(parents=True, exist_ok=True)
            for number in range(COUNTS[split]):
                x = int(random.integers(left, right - CUT_OUT + 1))
                y = int(random.integers(0, height - CUT_OUT + 1))
                cut = photograph[y : y + CUT_OUT, x : x + CUT_OUT]
                Image.fromarray(cut).save(target / f"{texture}-{number:02}.png")
                written += 1
    return written


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "demo/data")
    print(f"{write_photos(folder / 'photos')} photographs in {folder / 'photos'}")
    print(f"{write_textures(folder / 'textures')} cut-outs of textures in {folder / 'textures'}")


if __name__ == "__main__":
    main()
