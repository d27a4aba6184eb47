"""Install tlkit as users do, into an empty environment outside the repository, and test it there.

    python tests/installed.py wheel     # with the versions of constraints.txt
    python tests/installed.py lowest    # with the lowest ones that pyproject.toml allows: constraints-lowest.txt
    python tests/installed.py newest    # with whatever pip finds

What `make test-wheel`, `make test-lowest` and `make test-newest` run. First the wheel alone, with what `make demo`
needs besides: its commands. Then, with some extras, the tests that know tlkit from outside: those of ``tests/cli`` and
``tests/serving`` that import none of its modules but ``tlkit``, ``tlkit.errors`` and ``tlkit.cli``. All of it is in a
temporary folder, which is removed; it takes about 3 GB.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = {"wheel": "constraints.txt", "lowest": "constraints-lowest.txt", "newest": None}
# Those that the tests use, with what they are run by.
EXTRAS = "audio,remote,serve,test"
INNER = re.compile(r"^\s*(?:from|import) tlkit\.(?!errors\b|cli\b)", re.MULTILINE)
FOLDERS = ("cli", "serving")
# Which Python the lowest versions have wheels for.
LOWEST_PYTHON = (3, 11)


def tests_from_outside(tests: Path) -> list[Path]:
    """Return the files of tests that use what users use."""
    files = sorted(file for folder in FOLDERS for file in (tests / folder).glob("test_*.py"))
    return [file for file in files if not INNER.search(file.read_text("utf-8"))]


def main(kind: str) -> None:
    """Build, install and test; the process ends with 1 where something fails."""
    interpreter = sys.executable
    if kind == "lowest" and sys.version_info[:2] != LOWEST_PYTHON:
        name = "python{}.{}".format(*LOWEST_PYTHON)
        interpreter = shutil.which(name) or sys.exit(f"{CONSTRAINTS[kind]} is for {name}, which is not on PATH")
    with tempfile.TemporaryDirectory(prefix="tlkit-") as name:
        folder = Path(name).resolve()
        environment = folder / "environment"
        python = environment / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        elsewhere = folder / "elsewhere"
        own = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
        own["PATH"] = f"{python.parent}{os.pathsep}{own['PATH']}"
        # nothing that the user has is found by chance
        own |= {"TLKIT_CACHE_DIR": str(folder / "cache"), "KERAS_HOME": str(folder / "keras")}

        def run(*words: str | Path, cwd: Path = ROOT) -> None:
            print("$", *words, flush=True)
            subprocess.run(words, cwd=cwd, env=own, check=True)

        def install(*requirements: str) -> None:
            limits = ["-c", str(ROOT / CONSTRAINTS[kind])] if CONSTRAINTS[kind] else []
            run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *limits, *requirements)

        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder)
        (wheel,) = folder.glob("*.whl")
        run(interpreter, "-m", "venv", environment)
        install(str(wheel), "scikit-image", "scikit-learn")
        elsewhere.mkdir()
        for part in ("Makefile", "pyproject.toml", "constraints.txt", "examples", "tests"):
            (shutil.copytree if (ROOT / part).is_dir() else shutil.copy)(ROOT / part, elsewhere / part)
        (environment / ".ready").touch()  # after what make compares it with
        run("make", "demo", f"VENV={environment}", cwd=elsewhere)
        install(f"{wheel}[{EXTRAS}]")
        place = f"import tlkit; assert tlkit.__file__.startswith({str(environment)!r}), tlkit.__file__"
        run(python, "-c", place, cwd=elsewhere)
        files = [str(file.relative_to(elsewhere)) for file in tests_from_outside(elsewhere / "tests")]
        # packages of other years than ours deprecate each other's names
        quiet = [f"-Wdefault::{name}Warning" for name in ("Deprecation", "PendingDeprecation")]
        run(python, "-m", "pytest", "-q", *([] if kind == "wheel" else quiet), *files, cwd=elsewhere)


if __name__ == "__main__":
    if sys.argv[1:] not in [[kind] for kind in CONSTRAINTS]:
        sys.exit(__doc__)
    started = time.monotonic()
    try:
        main(sys.argv[1])
    except subprocess.CalledProcessError as error:
        sys.exit(f"\n{sys.argv[1]}: {' '.join(map(str, error.cmd))} ended with {error.returncode}")
    print(f"{sys.argv[1]}: done in {time.monotonic() - started:.0f} s")
