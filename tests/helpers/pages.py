"""The blocks of a page of the documentation: found, run, and compared with what the page shows.

Run as a program, it writes what the commands print today into pages: ``python tests/helpers/pages.py docs/start/*.md``.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "tests").rglob("*.md")])
TESTED_BY = re.compile(r"<!-- tested by make (check|test-all) -->\n")
"""The first line of a page whose blocks take too long for ``make test``."""

BLOCK = re.compile(
    r"(?:<!-- exit (?P<code>\d+) -->\n)?^(?P<fence>```+)(?P<language>[a-z-]+)\n(?P<body>.*?)^(?P=fence)$",
    re.DOTALL | re.MULTILINE,
)
COMMAND = re.compile(r"^\$ (?P<command>(?:.*\\\n)*.*)\n(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)
LEFT_OUT = "…"


@dataclass(frozen=True)
class Step:
    """A command, or a script in Python, and what the page shows of its output."""

    command: str
    shown: str | None = None
    exit_code: int = 0


def blocks(text: str) -> Iterator[tuple[str, str, int]]:
    """Yield language, body and exit code of every fenced block."""
    for block in BLOCK.finditer(text):
        yield block["language"], block["body"], int(block["code"] or 0)


def steps(text: str) -> list[Step]:
    """Return what runs, in order: the commands of console blocks, and blocks of Python."""
    found = []
    for language, body, code in blocks(text):
        if language == "console":
            commands = list(COMMAND.finditer(body))
            assert "".join(command[0] for command in commands) == body, f"a console block begins with $: {body!r}"
            found += [Step(command["command"], command["shown"], code) for command in commands]
        elif language == "python":
            found.append(Step(body))
    return found


def prepare(folder: Path) -> None:
    """Write what pages start from: the images of ``make demo``, and the project's ``configs``."""
    subprocess.run([sys.executable, ROOT / "examples" / "make_data.py", "demo/data"], cwd=folder, check=True)
    shutil.copytree(ROOT / "configs", folder / "configs")


def run(step: Step, folder: Path) -> str:
    """Run a step and return what it prints on stdout and stderr."""
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "COLUMNS": "100",
    }
    words = ["bash", "-c", step.command] if step.shown is not None else [sys.executable, "-c", step.command]
    done = subprocess.run(
        words, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == step.exit_code, f"{step.command}\nexit code {done.returncode}\n{done.stdout}"
    return done.stdout


_DIFFERS = (
    (r" *\d[\d,]*(\.\d+)? (s|ms|seconds)\b", " # s"),
    # of epochs that are equally good, the last digit of a loss decides
    (r"^Restoring the weights of .*\n", ""),
    (r"^Fine-tuning: .*", "Fine-tuning"),
    (r"(loss|accuracy|acc) \d+\.\d+", r"\1 #"),
)
"""What is not the same on another machine, and what stands for it."""
_OF_A_RUN = (r" *\d+\.\d%", " #%")


def comparable(command: str, output: str) -> list[str]:
    """Return the lines of an output without what differs between machines."""
    for pattern, replacement in (*_DIFFERS, *([_OF_A_RUN] if "--model" in command else [])):
        output = re.sub(pattern, replacement, output, flags=re.MULTILINE)
    return [line.rstrip() for line in output.splitlines()]


def agrees(command: str, shown: str, printed: str) -> bool:
    """Return whether an output is what a page shows, where a line ``…`` stands for any lines."""
    lines = comparable(command, shown)
    pattern = "".join(r"(?:.*\n)*?" if line.strip() == LEFT_OUT else re.escape(f"{line}\n") for line in lines)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in comparable(command, printed))) is not None


def rewrite(page: Path) -> None:
    """Write what the commands of a page print today into it, but for outputs of which it leaves lines out."""
    import tempfile

    def block(match: re.Match[str]) -> str:
        if match["language"] == "python":
            run(Step(match["body"], None, int(match["code"] or 0)), folder)
        if match["language"] != "console":
            return match[0]
        body = match["body"]
        for command in COMMAND.finditer(match["body"]):
            step = Step(command["command"], command["shown"], int(match["code"] or 0))
            printed = run(step, folder)
            if LEFT_OUT not in command["shown"].splitlines():
                body = body.replace(command[0], f"$ {step.command}\n{printed}", 1)
            elif not agrees(step.command, command["shown"], printed):
                print(f"{page}: {step.command} prints now:\n{printed}")
        return match[0].replace(match["body"], body, 1)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["TLKIT_CACHE_DIR"] = str(folder / ".cache")  # nothing is cached that another page has computed
        prepare(folder)
        page.write_text(BLOCK.sub(block, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        rewrite(Path(argument))
