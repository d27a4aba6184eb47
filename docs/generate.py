"""Write what pages of the documentation have in common with the code: `python docs/generate.py`.

A page is written by hand, with regions that this program fills::

    <!-- generated: command predict -->
    …
    <!-- end -->

The first word names what to write, the others are its arguments. `--check` changes nothing: it names the pages that
differ, and exits with 1.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS.parent))

from generators import commands, documents, facts, licences, options  # noqa: E402

KINDS: dict[str, Callable[..., str]] = {
    "architectures": facts.architectures,
    "command": commands.command,
    "commands": commands.commands,
    "documents": documents.documents,
    "errors": facts.errors,
    "json": documents.document,
    "licences": licences.table_of_licences,
    "option-keys": options.option_keys,
    "recipes": facts.recipes,
}
"""What writes a region, by the first word of its mark."""

FILES: dict[str, Callable[[], str]] = {"schemas/options.schema.json": options.options_schema}
"""What writes a whole file of docs/, by its path."""

COMMAND = "python docs/generate.py"
_REGION = re.compile(r"(?P<mark><!-- generated: (?P<words>[^>]+?) -->\n).*?(?P<end><!-- end -->)", re.DOTALL)


def fill(page: str) -> str:
    """Return the text of a page with its regions written again.

    Raises:
        ValueError: A mark names nothing that can be written, or has no end.
    """
    if page.count("<!-- generated:") != len(_REGION.findall(page)):
        raise ValueError("a generated region has no <!-- end -->")
    return _REGION.sub(_region, page)


def _region(match: re.Match[str]) -> str:
    kind, *arguments = match["words"].split()
    if kind not in KINDS:
        raise ValueError(f"there is no region {kind!r}; expected {', '.join(sorted(KINDS))}")
    return f"{match['mark']}\n{KINDS[kind](*arguments).strip()}\n\n{match['end']}"


def differing(pages: list[Path]) -> dict[Path, str]:
    """Return what is to be written to the pages, and to whole files of docs/, that differ from what they should be."""
    found = {}
    for path in pages:
        text = path.read_text("utf-8")
        try:
            filled = fill(text)
        except (ValueError, LookupError, OSError) as error:
            sys.exit(f"Error: {path}: {error}.")
        if filled != text:
            found[path] = filled
    for name, make in FILES.items():
        path, text = DOCS / name, make()
        if not path.exists() or path.read_text("utf-8") != text:
            found[path] = text
    return found


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page differs")
    parser.add_argument("pages", metavar="PAGE", nargs="*", type=Path, help="pages to write (default: all of docs/)")
    given = parser.parse_args(arguments)
    found = differing(given.pages or sorted(DOCS.rglob("*.md")))
    for path, text in found.items():
        if given.check:
            print(f"{path} differs from the code.")
        else:
            path.write_text(text, "utf-8")
            print(f"{path} is written.")
    if found and given.check:
        print(f"Run `{COMMAND}`, and look at what changed.")
    return int(bool(found and given.check))


if __name__ == "__main__":
    sys.exit(main())
