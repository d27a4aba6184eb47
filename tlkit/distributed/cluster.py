"""Which processes train together: as options, Slurm or Kubernetes say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tlkit.config import DistributeOptions
from tlkit.errors import UsageError

_FIRST_PORT = 61_440


@dataclass(frozen=True)
class Cluster:
    """Processes that train together.

    Attributes:
        coordinator: ``HOST:PORT`` of process 0, where the others meet.
        processes: How many there are, at least 2.
        process_id: Which this one is, from 0.
        local_device: The one device of this machine that it uses, where Slurm starts several processes on a machine;
            None for all.
    """

    coordinator: str
    processes: int
    process_id: int
    local_device: int | None = None


def choose_cluster(options: DistributeOptions, environment: Mapping[str, str]) -> Cluster | None:
    """Return the processes that this one trains with; None where it trains alone.

    Options come first. What they leave out is taken from the variables that Slurm (``srun``) and indexed jobs of
    Kubernetes set for each process; those of Slurm alone suffice with ``--distribute auto``.

    Args:
        options: The options.
        environment: ``os.environ``.

    Raises:
        UsageError: Something is missing, or the process has no number among so many.
    """
    tasks = environment.get(
        "SLURM_STEP_NUM_TASKS", ""
    )  # of srun: a batch script has one task, whatever SLURM_NTASKS is
    in_slurm = tasks.isdecimal() and int(tasks) > 1 and "SLURM_PROCID" in environment
    given = (options.coordinator, options.processes, options.process_id)
    if given == (None, None, None) and not (in_slurm and options.distribute == "auto"):
        return None
    number = options.process_id
    for variable in ("SLURM_PROCID", "JOB_COMPLETION_INDEX"):
        if number is None and environment.get(variable, "").isdecimal():
            number = int(environment[variable])
    processes = options.processes or (int(tasks) if in_slurm else None)
    coordinator = options.coordinator or (_slurm_coordinator(environment) if in_slurm else None)
    found = {"--coordinator": coordinator, "--processes": processes, "--process-id": number}
    missing = [flag for flag, value in found.items() if value is None]
    if missing:
        raise UsageError(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing.",
            hint="Each process takes --coordinator HOST:PORT of process 0, --processes N and its own --process-id.",
        )
    assert coordinator is not None and processes is not None and number is not None
    if not 0 < int(coordinator.rpartition(":")[2]) < 2**16:
        raise UsageError(f"--coordinator {coordinator}: ports are from 1 to 65535.")
    if number >= processes:
        raise UsageError(f"--process-id {number}: {processes} processes are numbered from 0 to {processes - 1}.")
    return Cluster(coordinator, processes, number, _slurm_device(environment)) if processes > 1 else None


def _slurm_device(environment: Mapping[str, str]) -> int | None:
    # "2(x3),1": two tasks on each of three machines, and one on another
    tasks = re.findall(r"(?<![x\d])\d+", environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
    local = environment.get("SLURM_LOCALID", "")
    return int(local) if max(map(int, tasks), default=1) > 1 and local.isdecimal() else None


def _slurm_coordinator(environment: Mapping[str, str]) -> str | None:
    """Return the first host of a Slurm step, ``node[001-004,007]``, and a port that belongs to the job."""
    hosts = environment.get("SLURM_STEP_NODELIST") or environment.get("SLURM_JOB_NODELIST") or ""
    first = re.match(r"([^,\[]+)(?:\[(\d+)[^\]]*\]([^,]*))?", hosts)
    job = environment.get("SLURM_JOB_ID", "")
    if first is None or not job.isdecimal():
        return None
    return f"{first[1]}{first[2] or ''}{first[3] or ''}:{_FIRST_PORT + int(job) % 2**12}"
