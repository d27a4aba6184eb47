"""Workers of Ray: each pulls shards from the driver, reads the images itself and writes parts.

Nothing but names goes through Ray. A worker that dies gives its shard back; one that is frozen keeps it, and another
computes it too. Ray restarts no worker by itself: with ``max_restarts=-1`` that of a lost node is waited for for ever.
"""

from __future__ import annotations

import logging
import os
import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import tlkit
from tlkit.config import WorkersOptions
from tlkit.data.digests import file_digests
from tlkit.distributed.parts import LARGEST_SHARD, Image, Parts, cut
from tlkit.distributed.shard_queue import ShardQueue
from tlkit.errors import TlkitError
from tlkit.features.extractor import FeatureExtractor
from tlkit.inference.provenance import Provenance
from tlkit.utils.compute import Backend, backend, use, uses_gpu
from tlkit.utils.extras import needs
from tlkit.utils.interrupt import resumable_by_repeating
from tlkit.utils.logging import progress_bar
from tlkit.utils.processors import usable_processors
from tlkit.utils.text import pluralize

SHARDS_PER_WORKER = 4
"""At least so many where there are images enough, so that all workers end at about the same time."""
_OBJECT_STORE_BYTES = 100 * 2**20
"""Little: images and features don't go through it."""
_MOST_FAILED_STARTS = 10
"""Workers that end as they start, one after the other and nothing else happening, before that is an error."""
_ANSWER_SECONDS = 10.0
"""How long a cluster may take to answer, and shared storage to show a file."""
_LOOK_SECONDS = 1.0
"""How often is looked for shards that take too long, and for machines that are gone, while nothing happens."""


class Worker:
    """Computes parts, in a process that Ray starts.

    Args:
        make: Makes the extractor.
        compute: Arguments of :func:`tlkit.utils.compute.use`.
        folder: The working folder of the driver, which relative paths start at.
    """

    def __init__(self, make: Callable[[], FeatureExtractor], compute: tuple[int, Backend, str], folder: str) -> None:
        self._make, self._compute, self._folder = make, compute, folder
        self._extractor: FeatureExtractor | None = None

    def prepare(self) -> tuple[str, str, Provenance]:
        """Return where it runs, the version of tlkit there, and what decides its numbers."""
        logging.getLogger("tlkit").setLevel(logging.WARNING)  # no progress bars
        with suppress(OSError):
            os.chdir(self._folder)
        use(*self._compute)
        self._extractor = self._make()
        return socket.gethostname(), tlkit.__version__, self._extractor.provenance

    def compute(self, folder: Path, shard: Sequence[Image], batch_size: int | None) -> None:
        """Compute the part of a shard in a folder; see :meth:`Parts.compute`."""
        assert self._extractor is not None
        known = [source for source, digest in shard if digest is not None][:3]
        if known and not any(file_digests(known, self._extractor.modality)):  # not all at once: the storage is missing
            raise _not_shared(f"cannot read {known[0]}, which the driver can")
        try:
            Parts(folder, self._extractor).compute(shard, self._extractor, batch_size=batch_size, description="shard")
        except OSError as error:
            raise _not_shared(f"cannot write to {folder} ({error.strerror or error})") from error


def _not_shared(problem: str) -> TlkitError:
    return TlkitError(
        f"A worker on {socket.gethostname()} {problem}.",
        hint="Images, weights and output must be on storage that all machines see under the same path.",
    )


class RayWorkers:
    """Workers on a Ray of this machine, or on a cluster. Ray starts when there is something to compute.

    Args:
        config: The options of the job: ``ray`` is where, ``workers`` how many, ``threads`` those of each.
        make: Makes the extractor of a worker; can be pickled.

    Raises:
        TlkitError: Ray is not installed.
    """

    def __init__(self, config: WorkersOptions, make: Callable[[], FeatureExtractor]) -> None:
        needs("ray", "ray", by="--ray")
        self._config, self._make = config, make
        self._resources = {"num_cpus": config.threads or 1, "num_gpus": int(uses_gpu())}
        self._compute = config.threads or 1, backend(), "gpu" if uses_gpu() else "cpu"
        self._number = 0
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[Any, ShardQueue | None, int]] = {}  # by the future; no queue: it starts
        self._failed_starts = 0
        self._open = ExitStack()

    def __enter__(self) -> RayWorkers:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def compute(self, parts: Parts, images: Sequence[Image], *, batch_size: int | None, description: str) -> None:
        """Compute the parts of images, and read them.

        Raises:
            TlkitError: Ray cannot be reached, a worker differs or fails, or three died on the same images.
        """
        if not images:
            return
        if not self._number:
            self._number = self._open.enter_context(_connected(self._config, self._resources))
            self._open.callback(self._end_workers)
        parts.create_folder()
        size = -(-len(images) // (SHARDS_PER_WORKER * self._number))
        queue = ShardQueue(cut(images, min(size, LARGEST_SHARD)))
        with (
            resumable_by_repeating(),
            progress_bar(total=len(images), unit="image", description=description) as bar,
        ):
            while queue.unfinished:
                self._employ(queue, parts, batch_size)
                bar.set_postfix_str(pluralize(self._working, "worker"))
                for shard in self._wait(queue, parts):
                    parts.read(parts.path(queue.shards[shard]))
                    bar.update(len(queue.shards[shard]))

    @property
    def _working(self) -> int:
        return len(self._idle) + sum(queue is not None for _, queue, _ in self._busy.values())

    def _employ(self, queue: ShardQueue, parts: Parts, batch_size: int | None) -> None:
        """Give shards to the workers that have none, and start workers."""
        import ray

        while self._idle and (shard := queue.take()) is not None:
            worker = self._idle.pop()
            future = worker.compute.remote(parts.folder.absolute(), queue.shards[shard], batch_size)
            self._busy[future] = worker, queue, shard
        while len(self._idle) + len(self._busy) < min(self._number, queue.unfinished):
            # SPREAD: reading images is work for the network of a machine too
            options = {**self._resources, "max_restarts": 0, "scheduling_strategy": "SPREAD"}
            worker = ray.remote(Worker).options(**options).remote(self._make, self._compute, os.getcwd())
            self._busy[worker.prepare.remote()] = worker, None, 0

    def _wait(self, queue: ShardQueue, parts: Parts) -> Iterator[int]:
        """Wait until something happens; yield the shards that have their part now."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        ready, _ = ray.wait([*self._busy], timeout=_LOOK_SECONDS)
        if not ready and not self._working:
            self._check_room()
        for future in ready:
            worker, of, shard = self._busy.pop(future)
            try:
                answer = ray.get(future)
            except RayTaskError as error:
                raise error.cause from error
            except RayError as error:  # it died, or its machine cannot be reached
                ray.kill(worker)
                self._lose(of, shard, error)
                continue
            self._idle.append(worker)
            self._failed_starts = 0
            if of is None:
                _refuse_other(answer, parts.provenance)
            elif of.finish(shard) and of is queue:
                _wait_for(parts.path(queue.shards[shard]))
                yield shard

    def _lose(self, queue: ShardQueue | None, shard: int, error: Exception) -> None:
        if queue is not None:
            queue.lose(shard)
            return
        self._failed_starts += 1
        if self._failed_starts == _MOST_FAILED_STARTS:
            reason = str(error).strip().splitlines()[-1]
            raise TlkitError(
                f"{_MOST_FAILED_STARTS} workers ended as they started: {reason}",
                hint="Install the same tlkit on every machine of the cluster.",
            )

    def _check_room(self) -> None:
        """Refuse to wait for a machine that does not exist."""
        import ray

        processors, gpus = self._resources.values()
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if not any(each.get("CPU", 0) >= processors and each.get("GPU", 0) >= gpus for each in machines):
            needed = f"{pluralize(processors, 'processor')}{' and a GPU' if gpus else ''}"
            raise TlkitError(
                f"No machine of the Ray cluster has {needed} for a worker.",
                hint="Use fewer --threads or another --device, or start Ray on the machines that are missing.",
            )

    def _end_workers(self) -> None:
        import ray

        for worker in (*self._idle, *(worker for worker, _, _ in self._busy.values())):
            ray.kill(worker)


def _wait_for(part: Path) -> None:
    """Wait until a part is here that a worker has written: storage on a network may take a moment to show it."""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not part.exists():
        if time.monotonic() > deadline:
            raise TlkitError(
                f"A worker wrote {part}, which is not here.",
                hint="The output, or for predict and check TLKIT_CACHE_DIR, must be on storage that all machines see.",
            )
        time.sleep(0.1)


def _refuse_other(worker: tuple[str, str, Provenance], expected: Provenance) -> None:
    host, version, provenance = worker
    differences = provenance.diff(expected)
    if version != tlkit.__version__:
        differences.insert(0, f"tlkit {version}, not {tlkit.__version__}")
    if differences:
        raise TlkitError(
            f"A worker on {host} would compute other numbers: {'; '.join(differences)}.",
            hint="Install the same versions on every machine, and give them the same weights.",
        )


@contextmanager
def _connected(config: WorkersOptions, resources: Mapping[str, int]) -> Iterator[int]:
    """Connect to Ray inside the block, silently, and yield the number of workers; a connection of the caller stays."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # the default of later versions, which Ray tells
    import ray

    with ExitStack() as own:
        if not ray.is_initialized():
            # where results go, Ray prints that a worker died, whatever log_to_driver says
            own.enter_context(redirect_stdout(own.enter_context(open(os.devnull, "w", encoding="utf-8"))))
            own.callback(ray.shutdown)
            processors = (config.workers or 1) * resources["num_cpus"]
            _connect(str(config.ray), processors if config.workers else max(processors, usable_processors()))
        there, (processors, gpus) = ray.cluster_resources(), resources.values()
        room = there.get("GPU", 0) // gpus if gpus else there.get("CPU", 0) // processors
        yield config.workers or max(1, int(room))


def _connect(address: str, processors: int) -> None:
    import ray

    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        options |= {
            "num_cpus": processors, "include_dashboard": False, "object_store_memory": _OBJECT_STORE_BYTES
        }  # fmt: skip
    handler = signal.getsignal(signal.SIGTERM)
    try:
        if place := re.fullmatch(r"(?:ray://)?\[?(.+?)\]?:(\d+)", address):  # Ray itself waits for minutes
            socket.create_connection((place[1], int(place[2])), _ANSWER_SECONDS).close()
        ray.init(address, **options)
    except (OSError, RuntimeError, ValueError) as error:  # ConnectionError is an OSError
        raise TlkitError(
            f"Cannot reach Ray at {address}: {str(error).strip().splitlines()[0]}",
            hint="`ray start --head` starts one, `--ray local` one for this command alone.",
        ) from error
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)  # Ray sets its own
