"""A run of MLflow: parameters, metrics, the run folder as artifacts, which is a model as well."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import tlkit
from tlkit.config import AUTO
from tlkit.errors import TlkitError
from tlkit.training.trackers.base import Finished, Status, first_line
from tlkit.utils.extras import needs
from tlkit.utils.text import without_password

EXPERIMENT = "tlkit"
"""The experiment, unless MLFLOW_EXPERIMENT_NAME names another."""
MODEL = "model"
"""Artifacts that are the run folder, and a model for ``mlflow.pyfunc``."""

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    # a server that is gone is noticed within a minute, not within an hour
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""Set unless the environment has them."""


def check_mlflow() -> None:
    """Check for the packages, before any work is done.

    Raises:
        TlkitError: One is not installed.
    """
    needs("mlflow", "mlflow", "pandas", by="--mlflow")


class MlflowRun:
    """One run of MLflow.

    Args:
        client: An ``MlflowClient``.
        uri: Of its store.
        run: An ``mlflow.entities.Run``.
    """

    name = "MLflow"
    keeps_files = True

    def __init__(self, client: Any, uri: str, run: Any) -> None:
        self._client, self._uri, self._run = client, uri, run
        self._id: str = run.info.run_id
        self._written: set[int] = set()

    @classmethod
    def create(cls, uri: str, name: str, params: Mapping[str, Any]) -> MlflowRun:
        """Start a run.

        Args:
            uri: Of the store; ``auto`` for MLflow's default.
            name: Of the run.
            params: Its options.

        Raises:
            TlkitError: The store cannot be used.
        """
        uri = _resolved(uri)
        try:
            client = _client(uri)
            title = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
            experiment = client.get_experiment_by_name(title)
            identifier = experiment.experiment_id if experiment else client.create_experiment(title)
            return cls(client, uri, _start(client, identifier, name, params))
        except Exception as error:  # of SQLAlchemy, requests, the disk: MLflow documents none
            raise _unusable(uri, error) from error

    @classmethod
    def resume(cls, uri: str, state: Mapping[str, str]) -> MlflowRun:
        """Continue the run of a training that was interrupted.

        Raises:
            TlkitError: The store cannot be used, or has no such run.
        """
        uri = state.get("uri") or _resolved(uri)
        try:
            client = _client(uri)
            client.update_run(state["run"], status="RUNNING")
            continued = cls(client, uri, client.get_run(state["run"]))
            continued._written = {metric.step for metric in client.get_metric_history(state["run"], "loss")}
        except Exception as error:
            raise _unusable(uri, error) from error
        return continued

    def nested(self, name: str, params: Mapping[str, Any]) -> MlflowRun:
        """Start the run of a fold, below this one."""
        run = _start(self._client, self._run.info.experiment_id, name, params, parent=self._id)
        return MlflowRun(self._client, self._uri, run)

    @property
    def state(self) -> dict[str, str]:
        """The run, and where it is; a password stays in the environment."""
        return {"run": self._id, **({} if urlsplit(self._uri).password else {"uri": self._uri})}

    def epoch(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Log the metrics of an epoch, in one request."""
        if step not in self._written:
            self._log(values, step)
            self._written.add(step)

    def finish(self, finished: Finished) -> None:
        """Log the metrics of the saved model, and its run folder, which MLflow can load as a model."""
        from mlflow import pyfunc

        self._log(dict(finished.metrics()), finished.epochs)
        folder = finished.result.run
        with tempfile.TemporaryDirectory() as temporary:
            model = Path(temporary) / MODEL
            pyfunc.save_model(
                str(model),
                loader_module="tlkit.training.trackers.mlflow_model",
                pip_requirements=[f"tlkit=={tlkit.__version__}"],
            )
            self._client.log_artifacts(self._id, str(model), MODEL)
        for path in sorted(folder.iterdir()):  # not the lock, nor runs of folds, which are runs of their own
            if path.is_file() and not path.name.startswith("."):
                self._client.log_artifact(self._id, str(path), MODEL)

    def keep_files(self, folder: Path, name: str) -> None:
        """Log the files of a folder as artifacts."""
        self._client.log_artifacts(self._id, str(folder), name)

    def close(self, status: Status) -> None:
        """End the run."""
        self._client.set_terminated(self._id, status)

    def _log(self, values: Mapping[str, float], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._client.log_batch(self._id, metrics=[Metric(key, value, now, step) for key, value in values.items()])


def _client(uri: str) -> Any:
    _import_mlflow()
    from mlflow import MlflowClient

    if urlsplit(uri).scheme in ("", "file"):  # MLflow refuses folders otherwise; this one was chosen
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    return MlflowClient(tracking_uri=uri)


def _import_mlflow() -> None:
    """Import MLflow with tlkit's settings: it reads some of them then, and sets up its loggers."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    if "mlflow" not in sys.modules:
        import mlflow  # noqa: F401

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)


def _start(client: Any, experiment: str, name: str, params: Mapping[str, Any], parent: str | None = None) -> Any:
    from mlflow.entities import Param

    tags = {"mlflow.source.name": "tlkit finetune", "mlflow.source.type": "LOCAL", "tlkit.version": tlkit.__version__}
    tags |= {"mlflow.parentRunId": parent} if parent else {}
    run = client.create_run(experiment, run_name=name, tags=tags)
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in params.items()])
    return run


def _resolved(uri: str) -> str:
    """Return the URI of a store; that of a folder or a file of SQLite is absolute, whatever the folder of a resume."""
    if uri == AUTO:
        _import_mlflow()
        from mlflow import get_tracking_uri

        uri = get_tracking_uri()
    if uri.startswith("sqlite:///"):
        return f"sqlite:///{os.path.abspath(uri.removeprefix('sqlite:///'))}"
    is_folder = not urlsplit(uri).scheme and not uri.startswith("databricks")
    return Path(os.path.abspath(uri)).as_uri() if is_folder else uri


def _unusable(uri: str, error: Exception) -> TlkitError:
    return TlkitError(
        f"Cannot write to MLflow at {without_password(uri)}: {first_line(error)}.",
        hint="Check the URI of --mlflow, or MLFLOW_TRACKING_URI.",
    )
