"""Make the screenshots of the README and the site from real runs: ``python docs/screenshots.py``.

``docs/images/terminal.svg`` shows commands and what they print; ``docs/images/report.png`` is the report of a run in a
browser, which takes Chromium or Chrome on PATH. Without one, the image of the repository stays.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
COMMANDS = (
    "tlkit predict demo/data/photos/coffee.png --top 3",
    "tlkit finetune demo/data/textures --recipe fast -o textures",
    "tlkit predict --model textures demo/data/textures/validation/grass/grass-00.png",
)
DIGITS = (1, 3, 5, 8, 9)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
LINE, COLUMN, MARGIN = 20, 8.2, 20
"""Height of a line, width of a character and the margin of the terminal, in pixels."""


def run(command: str, folder: Path) -> str:
    """Run a command and return what it prints."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "TLKIT_CACHE_DIR": str(folder / ".cache"),  # nothing is cached yet, as on the reader's machine
    }
    done = subprocess.run(
        command.split(), cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        sys.exit(f"{command}\n{done.stdout}")
    return done.stdout


def terminal(lines: list[str]) -> str:
    """Draw lines as a terminal shows them, in SVG; those that begin with ``$`` are commands."""
    width = round(max(map(len, lines)) * COLUMN + 2 * MARGIN)
    height = len(lines) * LINE + 2 * MARGIN + LINE
    text = "\n".join(
        f'<text x="{MARGIN}" y="{MARGIN + LINE * (row + 2) - 6}"{_style(line)}>{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    lights = "".join(
        f'<circle cx="{MARGIN + 18 * index}" cy="{MARGIN}" r="6" fill="{colour}"/>'
        for index, colour in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>tlkit in a terminal</title>
<rect width="{width}" height="{height}" rx="10" fill="#1b1f27"/>
{lights}
<g font-family="ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13.5" fill="#d7dce5"
 xml:space="preserve">
{text}
</g>
</svg>
"""


def _style(line: str) -> str:
    return ' fill="#8fd694" font-weight="bold"' if line.startswith("$ ") else ""


def digits(folder: Path) -> None:
    """Write forty of each of some handwritten digits as PNG in class folders, from scikit-learn."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for number in DIGITS:
        (folder / str(number)).mkdir(parents=True)
        for index, image in enumerate(data.images[data.target == number][:40]):
            grey = Image.fromarray((image * (255 / 16)).astype("uint8"))
            grey.resize((64, 64), Image.Resampling.NEAREST).save(folder / str(number) / f"{number}-{index:02}.png")


def screenshot(page: Path, image: Path) -> None:
    """Write the top of a page, as a browser shows it, as a PNG of 256 colours."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No browser on PATH ({', '.join(BROWSERS)}): {image.name} stays as it is.")
        return
    with tempfile.TemporaryDirectory() as name:
        taken = Path(name) / "page.png"
        switches = f"--headless=new --no-sandbox --hide-scrollbars --window-size=1000,1300 --user-data-dir={name}"
        words = [browser, *switches.split(), f"--screenshot={taken}", page.as_uri()]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
        Image.open(taken).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(image, optimize=True)


def main() -> None:
    """Make both."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, ROOT / "examples" / "make_data.py", "demo/data"], cwd=folder, check=True)
        lines: list[str] = []
        for command in COMMANDS:
            lines += [f"$ {command}", *run(command, folder).splitlines(), ""]
        (IMAGES / "terminal.svg").write_text(terminal(lines[:-1]), "utf-8")
        digits(folder / "digits")
        run("tlkit finetune digits --recipe fast -o handwritten-digits", folder)
        screenshot(folder / "handwritten-digits" / "report.html", IMAGES / "report.png")


if __name__ == "__main__":
    main()
