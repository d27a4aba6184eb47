"""Serve a classifier over HTTP."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlkit.config import EngineOptions, PredictConfig, ServeConfig
from tlkit.data.modality import IMAGE
from tlkit.errors import UsageError
from tlkit.inference.base import run
from tlkit.inference.select import open_engine
from tlkit.training.classifier import Classifier, choose_classifier
from tlkit.utils.extras import needs
from tlkit.utils.logging import logger
from tlkit.utils.options import options_of

_PACKAGES = ("starlette", "uvicorn", "python_multipart", "prometheus_client")


def serve(config: ServeConfig) -> None:
    """Serve a classifier until a signal ends it: a page, and JSON for programs.

    Raises:
        TlkitError: A package is missing, the address is in use, or the run or model cannot be read.
        KeyboardInterrupt: Ctrl-C ended it; requests that had begun are answered.
    """
    needs("serve", *_PACKAGES, by="`tlkit serve`")
    from tlkit.serving.app import make_app
    from tlkit.serving.guard import is_loopback, names_of_machine
    from tlkit.serving.limits import Limits
    from tlkit.serving.server import Server, bind, url_of
    from tlkit.serving.service import Service

    limits = Limits(
        body_bytes=config.max_body * 1_000_000, images=min(config.max_images, config.queue), queue=config.queue
    )
    with bind(config.host, config.port) as bound:
        classifier = _classifier(config)
        engine = open_engine(classifier.network, engine=config.engine, precision=config.precision)
        preprocessor = classifier.network.preprocessor
        run(engine, np.zeros((1, *preprocessor.size, preprocessor.channels), preprocessor.dtype))  # the first is slow
        service = Service(
            classifier,
            engine,
            name=Path(config.model).resolve().name,
            top=config.top,
            allow_urls=config.allow_urls,
            limits=limits,
        )
        if not is_loopback(bound.getsockname()[0]):
            logger.warning("%s: whoever reaches this machine can use the server; it knows no passwords.", config.host)
        bound.listen(limits.connections)  # who connects from now on is answered
        logger.info("Serving %s on %s (Ctrl-C ends it).", config.model, url_of(bound))
        try:
            hosts = {config.host, *names_of_machine()}
            Server(make_app(service, hosts=hosts, origins=config.origins), limits).serve_on(bound)
        finally:
            service.close()


def _classifier(config: ServeConfig) -> Classifier:
    shared = ("model", "size", "resize", "preprocess", "labels", "uncalibrated")
    engine = tuple(item.name for item in options_of(EngineOptions))
    load = {name: getattr(config.load, name) for name in ("by_name", "skip_mismatch", "layout", "flip_kernels")}
    classifier = choose_classifier(
        PredictConfig(images=(), **{name: getattr(config, name) for name in (*shared, *engine)}, **load)
    )
    modality = classifier.network.preprocessor.modality
    if modality is not IMAGE:
        raise UsageError(f"{config.model} takes {modality.name}, and `tlkit serve` takes images.")
    return classifier
