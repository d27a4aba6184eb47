"""tlkit: transfer learning for images from the command line, on Keras.

Each command is a function: ``tlkit.predict("img.jpg", top=3)``, ``tlkit.finetune("data/", arch="inceptionv3")``. They
are those of :mod:`tlkit.api`, imported at first use: ``import tlkit`` imports nothing heavy.
"""

TYPE_CHECKING = False  # importing it from typing would take longer than all else here; type checkers know the name

if TYPE_CHECKING:
    from tlkit.api import (
        archs,
        bottleneck,
        check,
        compare,
        convert_h5,
        doctor,
        evaluate,
        export,
        extract,
        find_lr,
        finetune,
        inspect_h5,
        list_weights,
        predict,
        pull_weights,
        resume,
        serve,
        verify_weights,
    )
    from tlkit.errors import TlkitError

__version__ = "0.1.0"

__all__ = [
    "TlkitError",
    "archs",
    "bottleneck",
    "check",
    "compare",
    "convert_h5",
    "doctor",
    "evaluate",
    "export",
    "extract",
    "find_lr",
    "finetune",
    "inspect_h5",
    "list_weights",
    "predict",
    "pull_weights",
    "resume",
    "serve",
    "verify_weights",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'tlkit' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module("tlkit.errors" if name == "TlkitError" else "tlkit.api"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
