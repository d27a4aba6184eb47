"""How many processors a process may use: its affinity mask, and the quota of its control groups on Linux."""

import os
import subprocess
import sys

import pytest
from helpers.program import environment

from tlkit.utils import processors
from tlkit.utils.processors import cpu_quota, usable_processors


@pytest.fixture
def groups(tmp_path):
    """Write control groups, ``groups("0::/a", {"a/cpu.max": "…"})``, and return the quota there."""

    def quota(own, files):
        (tmp_path / "own").write_text(own)
        for name, content in files.items():
            path = tmp_path / "groups" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        return cpu_quota(tmp_path / "groups", tmp_path / "own")

    return quota


V1 = "12:pids:/docker/1\n4:cpu,cpuacct:/docker/1\n1:name=systemd:/\n0::/\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "150000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "5000 100000\n"}, 1),
        ("0::/\n", {"cpu.max": "max 100000\n"}, None),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n", "a/cpu.max": "300000 100000\n", "cpu.max": "900000 100000\n"}, 3),
        ("0::/../elsewhere\n", {"cpu.max": "400000 100000\n"}, 4),
        (V1, {"cpu,cpuacct/docker/1/cpu.cfs_quota_us": "250000\n",
              "cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000\n"}, 3),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "100000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 1),
        (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, None),
        ("0::/\n", {"cpu.max": "damaged\n"}, None),
        ("0::/\n", {"cpu.max": "0 0\n"}, None),
        ("0::/\n", {}, None),
    ],
)  # fmt: skip
def test_the_quota_of_control_groups(groups, own, files, expected):
    assert groups(own, files) == expected


def test_no_control_groups(tmp_path):
    assert cpu_quota(tmp_path, tmp_path / "nothing") is None


def test_a_container_of_two_processors_starts_two_threads(monkeypatch):
    """Of 64: without a quota one thread each, with one the libraries are told the number."""
    monkeypatch.setattr(processors, "_allowed", lambda: 64)
    monkeypatch.setattr(processors, "cpu_quota", lambda: None)
    assert (usable_processors(), processors.thread_limit()) == (64, None)
    monkeypatch.setattr(processors, "cpu_quota", lambda: 2)
    assert (usable_processors(), processors.thread_limit()) == (2, 2)
    assert (processors.compute_threads(), processors.decode_threads()) == (2, 2)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity masks")
def test_the_affinity_mask_counts():
    code = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])\n"
    code += "from tlkit.utils.processors import *; print(usable_processors(), compute_threads(), decode_threads())"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1", "2"], done.stderr
