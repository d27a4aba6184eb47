"""Networks converted for OpenVINO, kept in tlkit's cache so that Keras need not start to use them again."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import tlkit
from tlkit.caches import PART, cache_folder, keep_below_limit, touch
from tlkit.engines.network import Network, digest_of
from tlkit.progress import logger

CONVERSION = 1
"""Raised when the same network is converted otherwise."""
MODEL, FACTS, BLOBS = "model.xml", "identity.json", "blobs"


def models_folder() -> Path:
    """Where converted networks are kept."""
    return cache_folder() / "models"


@contextmanager
def converted_model(network: Network) -> Iterator[tuple[Path, bool]]:
    """The converted network as an OpenVINO file, and whether it is kept; what nobody can name again is not.

    A cache that cannot be written to is done without.
    """
    if network.identity is not None:
        look = network.look
        facts = {
            **network.identity,
            "preprocessing": look.preprocessing,
            "input": [*look.size, look.channels],
            "channels_first": look.channels_first,
            "conversion": CONVERSION,
            "tlkit": tlkit.__version__,
            **{package: version(package) for package in ("openvino", "keras", "tensorflow")},
        }
        folder = models_folder() / digest_of(facts)
        try:
            if not (folder / MODEL).is_file():
                models_folder().mkdir(parents=True, exist_ok=True)
                part = Path(tempfile.mkdtemp(dir=models_folder(), prefix=PART))
                try:
                    _convert(network, part)
                    (part / FACTS).write_text(json.dumps(facts, indent=2) + "\n", "utf-8")
                    with suppress(OSError):  # another process was first, and its folder is as good
                        part.rename(folder)
                finally:
                    shutil.rmtree(part, ignore_errors=True)
                keep_below_limit(folder)
        except OSError as error:
            logger.debug("The converted network is not kept in %s: %s.", folder, error)
        else:
            touch(folder)
            yield folder / MODEL, True
            return
    with _scratch() as folder:
        _convert(network, folder)
        yield folder / MODEL, False


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for a moment: in the cache, or where that cannot be written to, in the system's."""
    with ExitStack() as until_done:
        try:
            models_folder().mkdir(parents=True, exist_ok=True)
            folder = until_done.enter_context(tempfile.TemporaryDirectory(dir=models_folder(), prefix=PART))
        except OSError:
            folder = until_done.enter_context(tempfile.TemporaryDirectory(prefix="tlkit-"))
        yield Path(folder)


def _convert(network: Network, folder: Path) -> None:
    import openvino
    from openvino.frontend import FrontEndManager

    from tlkit.engines.frozen import frozen_graph

    # the front end itself: openvino.convert_model would also report its use to a server
    front_end = FrontEndManager().load_by_framework("tf")
    graph = folder / "graph.pb"
    graph.write_bytes(frozen_graph(network).graph.as_graph_def().SerializeToString())
    model = front_end.convert(front_end.load(str(graph)))
    openvino.save_model(model, folder / MODEL, compress_to_fp16=False)
    del model
    graph.unlink()
