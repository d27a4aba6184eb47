"""Join the processes that train together, on JAX: its own service and collectives connect them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np

from tlkit.config import DistributeOptions
from tlkit.distributed.cluster import Cluster
from tlkit.distributed.lanes import Share
from tlkit.errors import RunError, TlkitError, TrainingError, UsageError
from tlkit.utils.compute import backend, device
from tlkit.utils.interrupt import before_exit
from tlkit.utils.logging import logger
from tlkit.utils.quiet import native_output_discarded
from tlkit.utils.text import pluralize

_JOIN_SECONDS, _HEARTBEAT_SECONDS = 300, 20
_OF_OTHERS = ("Gloo", "NCCL", "heartbeat", "coordination", "UNAVAILABLE", "ABORTED", "DEADLINE_EXCEEDED")
"""Words of JAX's errors that come from another process, or from the way to it."""
_RESUME = "Start all processes again, with --resume RUN once an epoch is done; there may be fewer of them or more."
_WATCH = "import sys; sys.stdin.read() or sys.stderr.write(sys.argv[1])"


@contextmanager
def training_share(options: DistributeOptions, cluster: Cluster | None) -> Iterator[Share]:
    """Join other processes, and use the devices of all of them inside the block.

    Args:
        options: Whether all devices of this machine are used.
        cluster: The processes; None for this one alone.

    Yields:
        The part of the work that is this process's: everything, where it trains alone on one device.

    Raises:
        UsageError: Options contradict each other, or this backend cannot do it.
        TrainingError: The other processes did not come, or one of them has ended.
    """
    if cluster is None and options.distribute == "none":
        yield Share()
        return
    with _joined(cluster) if cluster else ExitStack():
        from tlkit.backend import distribute, stop_distributing

        share = Share(cluster.process_id if cluster else 0, cluster.processes if cluster else 1, distribute())
        if share.is_whole:
            logger.info("--distribute auto: this machine has one device.")
        else:
            logger.info("Training on %s.", pluralize(share.processes * share.devices, "device"))
        try:
            yield share
        finally:
            stop_distributing()


@contextmanager
def _joined(cluster: Cluster) -> Iterator[None]:
    if backend() != "jax":
        raise UsageError(
            "Several processes train on JAX only: Keras 3 does not train with TensorFlow's MultiWorkerMirroredStrategy "
            "(keras-team/keras#20585).",
            hint="Add --backend jax, or train on the GPUs of one machine with --distribute auto.",
        )
    if "tlkit.backend" in sys.modules:
        raise UsageError(
            "Keras has started in this process, which can no longer join others.", hint="Start another process for it."
        )
    import jax

    number = f"Process {cluster.process_id} of {cluster.processes}"
    logger.info(
        "%s: waiting for the others at %s, at most %d minutes.", number, cluster.coordinator, _JOIN_SECONDS // 60
    )
    with _told_if_killed(f"{number} was ended, from outside or because another one is gone"), native_output_discarded():
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        kind, _, gpu = device().partition(":")
        chosen = int(gpu) if gpu else cluster.local_device
        try:
            if kind == "cpu":
                jax.config.update("jax_platforms", "cpu")
            jax.distributed.initialize(
                cluster.coordinator,
                cluster.processes,
                cluster.process_id,
                local_device_ids=None if chosen is None else [chosen],
                initialization_timeout=_JOIN_SECONDS,
                heartbeat_timeout_seconds=_HEARTBEAT_SECONDS,
                shutdown_timeout_seconds=_JOIN_SECONDS,
            )
        except Exception as error:
            raise TrainingError(
                f"{number} cannot join the others at {cluster.coordinator}: {str(error).splitlines()[0]}.",
                hint="Start all of them within five minutes; process 0 listens at that address.",
            ) from error
        level = logger.level
        if cluster.process_id:  # process 0 tells
            logger.setLevel(max(level, logging.WARNING))
        try:
            yield
        finally:
            logger.setLevel(level)


@contextmanager
def _told_if_killed(what: str) -> Iterator[None]:
    """Have a process of its own write an error when this one is killed inside the block, as JAX does it.

    JAX ends a process whose peers are gone from a thread of its own, and there is no Python in it to say so.
    """
    line = f"Error: {what}.\nHint: {_RESUME}\n"
    watch = [sys.executable, "-ISc", _WATCH, line]
    with subprocess.Popen(watch, stdin=subprocess.PIPE, start_new_session=True) as watching:

        def stop_watching() -> None:
            with suppress(OSError, ValueError):  # once is enough
                watching.communicate(b".")

        before_exit.append(stop_watching)
        try:
            yield
        finally:
            stop_watching()
            before_exit.remove(stop_watching)


@contextmanager
def reporting_lost_processes(share: Share) -> Iterator[None]:
    """Say it in a line when the block fails because another process has ended.

    Raises:
        RunError: One has.
    """
    try:
        yield
    except (TlkitError, KeyboardInterrupt):
        raise
    except Exception as error:
        if share.processes == 1 or not any(word in str(error) for word in _OF_OTHERS):
            raise
        raise RunError(
            f"One of the other processes has ended, and so does this one ({share.process} of {share.processes}).",
            hint=_RESUME,
        ) from error


def leave() -> None:
    """Part from the other processes, once all of them have come here; what is left to do is process 0's."""
    import jax

    jax.distributed.shutdown()


def refuse_differences(share: Share, own: Mapping[str, Any]) -> None:
    """Refuse to train together where processes do not do the same; all of them have to call this.

    Args:
        share: Of this process.
        own: What has to be the same, JSON values by their names in messages.

    Raises:
        UsageError: Something differs; every process raises it.
    """
    first, *others = gather(share, dict(own))
    for number, other in enumerate(others, start=1):
        for name, value in first.items():
            if other.get(name) != value:
                theirs = other.get(name)
                raise UsageError(
                    f"Processes do not do the same: {name} is {value} in process 0, {theirs} in process {number}.",
                    hint="Start all of them with the same options, images and versions; only --process-id, and where "
                    "things are, may differ.",
                )


def total(share: Share, values: np.ndarray) -> np.ndarray:
    """Return the sum of the arrays of all processes, which are of one shape; all of them have to call this."""
    if share.processes == 1:
        return values
    from jax.experimental.multihost_utils import process_allgather

    return np.asarray(np.sum(process_allgather(values), axis=0, dtype=values.dtype))


def gather(share: Share, value: Any) -> list[Any]:
    """Return the value of each process, in their order; all of them have to call this.

    Args:
        share: Of this process.
        value: A JSON value.
    """
    if share.processes == 1:
        return [value]
    from jax.experimental.multihost_utils import process_allgather

    own = np.frombuffer(json.dumps(value).encode(), np.uint8)
    lengths = np.asarray(process_allgather(np.array([len(own)]))).ravel()
    padded = np.zeros(lengths.max(), np.uint8)
    padded[: len(own)] = own
    rows = np.asarray(process_allgather(padded)).reshape(share.processes, -1)
    return [json.loads(row[:length].tobytes()) for row, length in zip(rows, lengths.tolist(), strict=True)]
