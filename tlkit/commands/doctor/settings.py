"""What files and variables set: Keras's settings, and the environment without its secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import getproxies

from tlkit.downloads.locate import MIRROR_VARIABLE
from tlkit.utils.cache_dir import FOLDER_VARIABLE, LIMIT_VARIABLE
from tlkit.utils.compute import Backend, backend
from tlkit.utils.extras import is_installed
from tlkit.utils.keras_home import read_settings, settings_file
from tlkit.utils.text import truncate, without_secrets

OWN_VARIABLES = (FOLDER_VARIABLE, LIMIT_VARIABLE, MIRROR_VARIABLE)
"""All that tlkit itself reads."""
CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Those that :mod:`tlkit.downloads.http.certificates` reads."""
_PREFIXES = (
    "TLKIT_", "KERAS_", "JAX_", "XLA_", "CUDA_", "OMP_", "KMP_", "MKL_", "OPENBLAS_", "ONEDNN_", "OPENVINO_",
    "TF_CPP_", "TF_CUDNN_", "TF_DETERMINISTIC_", "TF_DISABLE_", "TF_ENABLE_", "TF_FORCE_", "TF_GPU_", "TF_NUM_",
    "TF_USE_", "TF_XLA_",
)  # fmt: skip
"""Not all of ``TF_``, which Terraform has for secrets too."""
_NAMES = {
    "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI", "RAY_ADDRESS", "NVIDIA_VISIBLE_DEVICES", "PYTHONPATH",
    "PYTHONHOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "TMPDIR", "XDG_CACHE_HOME", *CERTIFICATES,
}  # fmt: skip
_PROXIES = ("http", "https", "all", "no")
_SECRETS = re.compile(r"PASSW|TOKEN|SECRET|CREDENTIAL|_KEY", re.IGNORECASE)


@dataclass(frozen=True)
class KerasSettings:
    """``keras.json``, and the backend that follows from it and from the environment.

    Attributes:
        path: The file.
        exists: It is there.
        content: What it sets; None if Keras refuses or misreads it.
        problem: What is wrong with it; None if nothing is.
        asked: The backend that is named; None if none is.
        asked_by: What names it: ``KERAS_BACKEND`` or ``keras.json``.
        backend: The one that tlkit computes with.
        installed: That is installed.
    """

    path: Path
    exists: bool
    content: dict[str, Any] | None
    problem: str | None
    asked: str | None
    asked_by: str | None
    backend: Backend
    installed: bool


@dataclass(frozen=True)
class Environment:
    """The environment, without passwords and keys.

    Attributes:
        variables: Those that are set and change what tlkit or its libraries do, by name.
        unknown: Names among them that begin with ``TLKIT_`` and that tlkit does not read.
        proxies: Proxies by what they are for (``https``); ``no`` are the hosts that need none.
        certificates_problem: Why no server can be verified; None if nothing is wrong.
    """

    variables: dict[str, str]
    unknown: tuple[str, ...]
    proxies: dict[str, str]
    certificates_problem: str | None


@dataclass(frozen=True)
class Settings:
    """All of it."""

    keras: KerasSettings
    environment: Environment


def inspect_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """Return what is set; Keras is not imported."""
    content, problem = read_settings()
    named = {"KERAS_BACKEND": environment.get("KERAS_BACKEND"), "keras.json": (content or {}).get("backend")}
    asked_by, asked = next(((by, str(name)) for by, name in named.items() if name), (None, None))
    chosen, path = backend(), settings_file()
    keras = KerasSettings(path, os.path.lexists(path), content, problem, asked, asked_by, chosen, is_installed(chosen))
    names = sorted(name for name in environment if name.startswith(_PREFIXES) or name in _NAMES)
    variables = {name: _safe_value(name, environment[name]) for name in names}
    unknown = tuple(name for name in names if name.startswith("TLKIT_") and name not in OWN_VARIABLES)
    return Settings(keras, Environment(variables, unknown, read_proxies(), certificates_problem()))


def read_proxies() -> dict[str, str]:
    """Return the proxies that downloads go through, without their passwords."""
    found = {kind: url for kind, url in getproxies().items() if kind in _PROXIES}
    # as downloads read them: user:password@host is a URL too
    full = {kind: url if "://" in url or kind == "no" else f"http://{url}" for kind, url in sorted(found.items())}
    return {kind: without_secrets(url) for kind, url in full.items()}


def _safe_value(name: str, value: str) -> str:
    return "***" if _SECRETS.search(name) and value else truncate(without_secrets(value))


def certificates_problem() -> str | None:
    """Return why no server could be verified: a variable names no file of certificates; None if nothing is wrong."""
    try:
        from tlkit.downloads.http.certificates import trusted

        trusted()
    except ImportError:  # a package is missing, which is a problem of its own
        return None
    except Exception as error:
        return str(error)
    return None
