"""How Sphinx builds the site, and the manual pages, from these folders: ``make docs``."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tlkit import __version__  # noqa: E402
from tlkit.cli import COMMANDS, main  # noqa: E402

project = "tlkit"
author = "the authors of tlkit"
copyright = author
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
exclude_patterns = ["README.md"]
suppress_warnings = ["myst.header"]
nitpicky = False

myst_enable_extensions = ["deflist", "attrs_inline"]
myst_heading_anchors = 4
# Only these are URLs; `s3://…` in a text is an example.
myst_url_schemes = ["http", "https", "mailto"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
# Nobody builds a result: how is left out.
autodoc_class_signature = "separated"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# A single backtick is code in docstrings too.
default_role = "code"

copybutton_prompt_text = "$ "

html_theme = "furo"
html_title = f"tlkit {version}"
html_copy_source = False
html_show_sourcelink = False
html_show_copyright = False
html_static_path = ["static"]
html_extra_path = ["schemas"]
html_css_files = ["tlkit.css"]
# Everything is on the disk: the search reads an index beside the pages, so the site works when a file is opened.
html_baseurl = ""


def _summary(name: str) -> str:
    """What a command does, as the first line of a manual page has it."""
    text = main.get_command(None, name).get_short_help_str(limit=200)
    return text[0].lower() + text[1:].rstrip(".")


# The manual page of each command is its page of the reference.
man_pages = [(f"reference/commands/{name}", f"tlkit-{name}", _summary(name), author, 1) for name in COMMANDS] + [
    ("reference/commands/index", "tlkit", "transfer learning for images from the command line", author, 1)
]
man_show_urls = False


class PlainLinks(SphinxPostTransform):
    """Leaves the words of links to other pages, which a manual page cannot open and would show as ``<>``."""

    default_priority = 900
    builders = ("man",)

    def run(self) -> None:
        """Replace them."""
        for node in list(self.document.findall(nodes.reference)):
            if not node.get("refuri"):
                node.replace_self(node.children)


class WholeOptions(SphinxPostTransform):
    """Marks code with an option in it, which browsers would break after its dashes; ``tlkit.css`` keeps it whole."""

    default_priority = 900
    builders = ("html",)

    def run(self) -> None:
        """Mark it, unless a word is too long for a narrow table."""
        for node in self.document.findall(nodes.literal):
            words = node.astext().split()
            if any(word.startswith("--") for word in words) and len(max(words, key=len)) <= 24:
                node["classes"].append("option")


def setup(app: Sphinx) -> None:
    """Register what this file adds to Sphinx."""
    app.add_post_transform(PlainLinks)
    app.add_post_transform(WholeOptions)
