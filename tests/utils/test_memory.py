"""How much memory a process may have: that of the machine, and the limit of its control groups on Linux."""

import pytest

from tlkit.utils.memory import available_memory, memory_limit, total_memory

V1 = "5:memory:/docker/1\n4:cpu,cpuacct:/docker/1\n0::/\n"


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "2000000\n"}, 2_000_000),
        ("0::/\n", {"memory.max": "max\n"}, None),
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": "3000000\n", "memory.max": "9000000\n"}, 3_000_000),
        (V1, {"memory/docker/1/memory.limit_in_bytes": "4000000\n"}, 4_000_000),
        (V1, {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),  # what version 1 calls no limit
        ("0::/\n", {}, None),
    ],
)
def test_the_limit_of_control_groups(tmp_path, own, files, expected):
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert memory_limit(tmp_path / "groups", tmp_path / "own") == expected


def test_the_memory_of_this_machine(tmp_path):
    assert 2**28 < available_memory() < total_memory()
    assert available_memory(tmp_path / "nothing") is None
