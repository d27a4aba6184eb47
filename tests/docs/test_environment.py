"""The page of environment variables has every variable that the code reads or sets."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tlkit

pytestmark = pytest.mark.docs

ROOT = Path(tlkit.__file__).parent
PAGE = (ROOT.parent / "docs" / "reference" / "environment.md").read_text("utf-8")
NAME = re.compile(r"_?[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
NOT_VARIABLES = {
    "CACHE_DIR", "INFERENCE_NUM_THREADS", "INFERENCE_PRECISION_HINT", "NUM_STREAMS", "OPTIMIZATION_CAPABILITIES",
    "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "TFLITE_METADATA", "_CONSTANT_VALUE",
    "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "RUN_B", "RUN_OR_FILE", "SO_REUSEPORT", "SC_PAGE_SIZE",
    "SC_PHYS_PAGES",
}  # fmt: skip
"""Names of OpenVINO, LiteRT, gRPC, sockets, sysconf, and of arguments."""
BY_LIBRARIES = {
    "ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",  # urllib.request.getproxies
    "XDG_CACHE_HOME", "TMPDIR", "COLUMNS",  # platformdirs, tempfile, shutil
    "_TLKIT_COMPLETE",  # Click
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL",  # pyarrow
    "MLFLOW_TRACKING_URI",
}  # fmt: skip
"""Variables on the page that are read in no line of tlkit's own."""


def variables() -> set[str]:
    """Texts in the code that are names of variables: all in capitals, with an underscore."""
    return {
        node.value
        for path in ROOT.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and NAME.fullmatch(node.value)
    }


def test_every_variable_of_the_code_is_on_the_page():
    found = variables() - NOT_VARIABLES
    assert {"TLKIT_CACHE_DIR", "TLKIT_CACHE_LIMIT", "TLKIT_WEIGHTS_MIRROR", "KERAS_HOME", "SSL_CERT_FILE"} <= found
    missing = sorted(name for name in found if f"`{name}`" not in PAGE)
    assert not missing, f"put {', '.join(missing)} on docs/reference/environment.md, or into NOT_VARIABLES"


def test_the_page_has_no_variable_that_nothing_reads():
    named = {name[0] for name in re.finditer(rf"(?<=`){NAME.pattern}(?=`)", PAGE)}
    assert named - variables() <= BY_LIBRARIES


def test_every_environ_is_read_by_a_name():
    """What the test above cannot see: a name that is put together."""
    for path in ROOT.rglob("*.py"):
        assert not re.search(r"(environ(\.get\(|\[)|getenv\()f?[\"'][^\"']*\{", path.read_text("utf-8")), path
