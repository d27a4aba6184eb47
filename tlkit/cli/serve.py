"""``tlkit serve``."""

from __future__ import annotations

from typing import Any

from tlkit.cli.options import job_command
from tlkit.config import ServeConfig


@job_command(ServeConfig, summary="Serve a classifier: a page to drop images on, and JSON for programs.")
def serve(options: dict[str, Any]) -> None:
    """Serve RUN_OR_FILE, a run of `tlkit finetune` or a model file, over HTTP until Ctrl-C.

    \b
        tlkit serve runs/textures
        curl --data-binary @img.jpg http://127.0.0.1:8000/predict
        curl -F image=@a.jpg -F image=@b.jpg "http://127.0.0.1:8000/predict?top=3"

    The page is at http://127.0.0.1:8000/. Images stay in memory and are never written to disk. Other machines reach
    the server only with --host.
    """
    from tlkit import api

    api.serve(**options)
