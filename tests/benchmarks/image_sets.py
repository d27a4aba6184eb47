"""Small sets of real images from installed packages, for `make bench-accuracy`; nothing is downloaded.

Each is written as ``train/``, ``validation/`` and ``test/`` of class folders. No pixel, handwritten digit, face or font
is in two of them; another seed draws other ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path

import matplotlib
import numpy as np
import skimage.data
from matplotlib.font_manager import get_font
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits, load_sample_images

Drawn = Iterator[tuple[str, str, np.ndarray]]
"""``(split, class, image)``: uint8, height × width, or height × width × 3."""

SPLITS = ("train", "validation", "test")


def digits(random: np.random.Generator) -> Drawn:
    """Handwritten digits of 8 × 8 pixels: 20 training images a class; far from ImageNet."""
    images, labels = load_digits(return_X_y=True)
    for digit in range(10):
        chosen = random.permutation(np.flatnonzero(labels == digit))
        for split, numbers in _parts(chosen, (20, 10, 60)):
            for number in numbers:
                yield split, str(digit), _enlarged(images[number].reshape(8, 8) * (255 / 16), 128)


def faces(random: np.random.Generator) -> Drawn:
    """Faces and other cut-outs of photographs, 25 × 25 grey pixels: 30 training images a class."""
    images = skimage.data.lfw_subset()
    for name, numbers in (("face", np.arange(100)), ("other", np.arange(100, 200))):
        for split, chosen in _parts(random.permutation(numbers), (30, 15, 55)):
            for number in chosen:
                yield split, name, _enlarged(images[number] * 255.0, 128)


def textures(random: np.random.Generator) -> Drawn:
    """Small cut-outs of surfaces, in grey, turned: which surface? 12 training images a class."""
    for name in ("brick", "grass", "gravel", "moon", "ihc", "hubble_deep_field"):
        photograph = np.asarray(Image.fromarray(_photograph(name)).convert("L"))
        for split, cut in _cut_outs(photograph, 48, (12, 8, 40), random):
            yield split, name, np.rot90(cut, random.integers(4))


def photographs(random: np.random.Generator) -> Drawn:
    """Cut-outs of photographs, in colour: of which subject? 8 training images a class."""
    for name in ("astronaut", "chelsea", "coffee", "rocket", "motorcycle_left", "china", "flower"):
        for split, cut in _cut_outs(_photograph(name), 64, (8, 6, 30), random):
            yield split, name, cut


def letters(random: np.random.Generator) -> Drawn:
    """Letters in the fonts of Matplotlib, shifted, turned, noisy: 12 training images a class, a font in one split."""
    fonts = [
        path for path in sorted(Path(matplotlib.get_data_path(), "fonts", "ttf").glob("*.ttf")) if _has_letters(path)
    ]
    for split, chosen in _parts(random.permutation(len(fonts)), _shares(len(fonts))):
        for letter in "ABDEGKMQRS":
            for _ in range({"train": 12, "validation": 8, "test": 40}[split]):
                yield split, letter, _drawn(letter, fonts[random.choice(chosen)], random)


SETS: dict[str, Callable[[np.random.Generator], Drawn]] = {
    "digits": digits, "faces": faces, "letters": letters, "photographs": photographs, "textures": textures,
}  # fmt: skip


def write_set(name: str, seed: int, folder: Path) -> Path:
    """Write a set to ``folder/NAME-SEED`` and return that folder."""
    target = folder / f"{name}-{seed}"
    counts: dict[tuple[str, str], int] = {}
    for split, label, pixels in SETS[name](np.random.default_rng([seed, sum(name.encode())])):
        number = counts[split, label] = counts.get((split, label), 0) + 1
        path = target / split / label
        path.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels)).save(path / f"{number:03}.png")
    return target


def _parts(items: np.ndarray, sizes: Sequence[int]) -> Iterator[tuple[str, np.ndarray]]:
    ends = [0, *accumulate(sizes)]
    for split, (start, end) in zip(SPLITS, pairwise(ends), strict=True):
        yield split, items[start:end]


def _shares(number: int) -> tuple[int, int, int]:
    return number * 4 // 10, number * 2 // 10, number - number * 4 // 10 - number * 2 // 10


def _enlarged(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).resize((side, side), Image.BICUBIC))


def _photograph(name: str) -> np.ndarray:
    if name in ("china", "flower"):
        return load_sample_images().images[name == "flower"]
    if name == "motorcycle_left":
        return skimage.data.stereo_motorcycle()[0]
    return getattr(skimage.data, "immunohistochemistry" if name == "ihc" else name)()


def _cut_outs(
    photograph: np.ndarray, side: int, counts: Sequence[int], random: np.random.Generator
) -> Iterator[tuple[str, np.ndarray]]:
    """Cut a photograph into squares that do not overlap, and deal them out; the last split may get fewer."""
    height, width = photograph.shape[:2]
    corners = [(x, y) for x in range(0, width - side + 1, side) for y in range(0, height - side + 1, side)]
    for split, numbers in _parts(random.permutation(len(corners)), counts):
        for number in numbers:
            x, y = corners[number]
            yield split, photograph[y : y + side, x : x + side]


def _has_letters(path: Path) -> bool:
    font = get_font(str(path))
    return "Display" not in path.name and all(map(font.get_char_index, range(65, 91)))


def _drawn(letter: str, path: Path, random: np.random.Generator) -> np.ndarray:
    size = int(random.integers(56, 92))
    paper, ink = random.integers(150, 256), random.integers(0, 100)
    image = Image.new("L", (128, 128), int(paper))
    place = tuple(64 + random.integers(-14, 15, 2))
    ImageDraw.Draw(image).text(place, letter, int(ink), ImageFont.truetype(str(path), size), anchor="mm")
    image = image.rotate(random.uniform(-25, 25), Image.BICUBIC, fillcolor=int(paper))
    noise = random.normal(0, 12, (128, 128))
    return np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8)
