"""Seconds and peak memory of whole processes, as a person starts them."""

import os
import subprocess
import sys

# Linux hands the peak memory of a process on to what it starts, so the stopwatch is a small process of its own.
STOPWATCH = """
import os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(time.perf_counter() - start, usage.ru_maxrss / 1024, status)
"""


def measure(command: list[str], **environment: str) -> tuple[float, float]:
    """Seconds, and the peak resident memory in MB, of a command that succeeds."""
    variables = {**os.environ, **environment}
    variables.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program is compiled
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", STOPWATCH, *map(str, command)],
        env=variables, capture_output=True, text=True, check=True,
    )  # fmt: skip
    seconds, memory, status = map(float, done.stdout.split())
    if status:
        raise SystemExit(f"{command} failed: {done.stderr}")
    return seconds, memory
