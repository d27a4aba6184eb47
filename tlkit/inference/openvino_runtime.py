"""OpenVINO's runtime: other modules import it from here.

``import openvino`` also imports its converters of models, with telemetry: a quarter of the time that a prediction
takes. They stay away until a program asks for ``openvino.convert_model``.
"""

from __future__ import annotations

import sys
from typing import Any

_CONVERTERS = "openvino.tools.ovc"


def _load_converter(name: str) -> Any:
    """Return what ``import openvino`` would have defined; a module's ``__getattr__``."""
    if name == "convert_model":
        from openvino.tools.ovc import convert_model

        return convert_model
    raise AttributeError(f"module 'openvino' has no attribute {name!r}")


if "openvino" in sys.modules or _CONVERTERS in sys.modules:
    import openvino
else:
    sys.modules[_CONVERTERS] = None  # type: ignore[assignment]  # importing it fails, which openvino expects
    try:
        import openvino
    finally:
        del sys.modules[_CONVERTERS]
    openvino.__getattr__ = _load_converter

core = openvino.Core()
"""The core of this process, which is never freed.

The CPU plugin gives the thread that loads it a stack for signals, and takes it away when the last user of its core is
freed. With a core for each network, or freed by another thread, a thread keeps a stack that is gone: the next Ctrl-C
ends the process with a segmentation fault.
"""

__all__ = ["core", "openvino"]
