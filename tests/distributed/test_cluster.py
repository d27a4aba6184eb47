"""Which processes train together: options, and the variables of Slurm and Kubernetes."""

import pytest

from tlkit.config import DistributeOptions
from tlkit.distributed.cluster import Cluster, choose_cluster
from tlkit.errors import ConfigError, UsageError

SLURM = {
    "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "2", "SLURM_JOB_ID": "70001",
    "SLURM_STEP_NODELIST": "node[007-009,012]", "SLURM_STEP_TASKS_PER_NODE": "1(x4)", "SLURM_LOCALID": "0",
}  # fmt: skip


def chosen(environment=None, **options):
    return choose_cluster(DistributeOptions(**options), environment or {})


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ({}, {}, None),
        ({"distribute": "auto"}, {}, None),
        ({"coordinator": "a:1", "processes": 1, "process_id": 0}, {}, None),
        ({"coordinator": "a:1", "processes": 3, "process_id": 2}, {}, Cluster("a:1", 3, 2)),
        ({"coordinator": "[::1]:1", "processes": 2, "process_id": 0}, {}, Cluster("[::1]:1", 2, 0)),
        ({"coordinator": "train-0.train:8476", "processes": 2}, {"JOB_COMPLETION_INDEX": "1"},
         Cluster("train-0.train:8476", 2, 1)),
        ({}, SLURM, None),  # a script that srun starts is not asked to train together
        ({"distribute": "auto"}, SLURM, Cluster("node007:61809", 4, 2)),
        ({"distribute": "auto"}, SLURM | {"SLURM_STEP_NODELIST": "gpu1,gpu2"}, Cluster("gpu1:61809", 4, 2)),
        ({"distribute": "auto"}, SLURM | {"SLURM_STEP_NODELIST": "r[1-2]-x"}, Cluster("r1-x:61809", 4, 2)),
        ({"distribute": "auto"}, SLURM | {"SLURM_STEP_NUM_TASKS": "1"}, None),
        ({"distribute": "auto"}, {"SLURM_NTASKS": "4", "SLURM_PROCID": "0", "SLURM_JOB_ID": "1"}, None),
        ({"distribute": "auto"}, SLURM | {"SLURM_STEP_TASKS_PER_NODE": "1,2(x2)", "SLURM_LOCALID": "1"},
         Cluster("node007:61809", 4, 2, local_device=1)),
        ({"coordinator": "a:1"}, SLURM, Cluster("a:1", 4, 2)),
    ],
)  # fmt: skip
def test_the_processes_that_train_together(options, environment, expected):
    assert chosen(environment, **options) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"coordinator": "a:1"}, "--processes and --process-id are missing."),
        ({"coordinator": "a:1", "processes": 2}, "--process-id is missing."),
        ({"processes": 2, "process_id": 0}, "--coordinator is missing."),
        ({"coordinator": "a:1", "processes": 2, "process_id": 2},
         "--process-id 2: 2 processes are numbered from 0 to 1."),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(options, message):
    with pytest.raises(UsageError) as raised:
        chosen(**options)
    assert raised.value.message == message


@pytest.mark.parametrize("value", ["a", "a:", "a b:1", ":1"])
def test_a_coordinator_is_a_host_and_a_port(value):
    with pytest.raises(ConfigError, match="expected HOST:PORT"):
        DistributeOptions(coordinator=value)
