"""Images a second and latency of `tlkit serve`, against what decoding and the network do by themselves.

The server is a process of its own, and so is what it is compared with: the loop of `tlkit predict` on the same JPEG
files, once its network is ready. Both use all processors. The clients are threads of this process, with plain sockets
and requests that are put together before: they take processor time from the server, and how much is printed.
Measurements of loop and server take turns. Run with ``make bench``.
"""

import argparse
import json
import resource
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from features import write_images

LOOP = """
import sys, time
from tlkit.config import PredictConfig
from tlkit.inference.loop import forward
from tlkit.inference.select import open_engine
from tlkit.training.classifier import choose_classifier
classifier = choose_classifier(PredictConfig(images=(), model=sys.argv[1]))
engine = open_engine(classifier.network)
def run(files):
    for batch in forward(files, lambda: engine, preprocessor=classifier.network.preprocessor, batch_size=None,
                         description=""):
        for row in batch.outputs[0]:
            classifier.probabilities(row)
        if classifier.unknown:
            classifier.unknown.scores(batch.outputs[1:])
files = sys.argv[2:]
run(files[:32])
print("ready", flush=True)
for line in sys.stdin:
    many = files * (int(line) // len(files))
    start = time.perf_counter()
    run(many)
    print(len(many) / (time.perf_counter() - start), flush=True)
"""


class Loop:
    """The loop of `tlkit predict`, in a process that waits for its turn."""

    def __init__(self, run: Path, files: list[Path]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", LOOP, str(run), *map(str, files)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def rate(self, count: int) -> float:
        """Images a second."""
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


class Server:
    """`tlkit serve`, in a process of its own."""

    def __init__(self, run: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tlkit", "serve", str(run), "--port", "0"], stderr=subprocess.PIPE, text=True
        )
        line = next(line for line in self.process.stderr if " on http://" in line)
        self.port = int(line.split("127.0.0.1:")[1].split("/")[0])

    def seconds(self) -> float:
        """Processor seconds so far."""
        return processor_seconds(self.process.pid)

    def close(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0


def ask(connection: socket.socket, request: bytes) -> None:
    """Send a request and read its response."""
    connection.sendall(request)
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        assert part, "the server closed the connection"
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    while len(body) < length:
        body += connection.recv(65536)
    json.loads(body)


def load(port: int, requests: list[bytes], clients: int, count: int) -> tuple[float, list[float]]:
    """Images a second, and the seconds of each request; every client asks again once it has its answer."""
    seconds: list[float] = []
    numbers, failures = iter(range(count)), []
    lock = threading.Lock()

    def client() -> None:
        try:
            ask_in_turn()
        except Exception as error:
            failures.append(error)

    def ask_in_turn() -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                start = time.perf_counter()
                ask(connection, requests[number % len(requests)])
                seconds.append(time.perf_counter() - start)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise SystemExit(f"{len(failures)} of {clients} clients failed: {failures[0]!r}")
    return count / (time.perf_counter() - start), seconds


class Others:
    """Processors that other processes keep busy meanwhile: of a machine that is not quiet, the numbers say little."""

    def __init__(self, *processes: int) -> None:
        self.processes = processes
        self.began, self.before = time.perf_counter(), self._seconds()

    def _seconds(self) -> float:
        fields = [int(field) for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        own = sum(processor_seconds(process) for process in self.processes) + _own_seconds()
        return (sum(fields) - fields[3] - fields[4]) / 100 - own

    def average(self) -> float:
        return max(0.0, (self._seconds() - self.before) / (time.perf_counter() - self.began))


def processor_seconds(process: int) -> float:
    """Processor seconds of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def train(folder: Path, images: int) -> Path:
    """A run on two classes of the photographs, with what it takes to tell unknown images."""
    data = folder / "data"
    for number, file in enumerate(sorted((folder / "images" / "class").iterdir())[:images]):
        target = data / ("a", "b")[number % 2] / file.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(file)
    command = [sys.executable, "-m", "tlkit", "-q", "finetune", data, "--recipe", "fast", "-o", folder / "run"]
    subprocess.run(list(map(str, command)), check=True, stdout=subprocess.DEVNULL)
    return folder / "run"


def measure(folder: Path, rounds: int, count: int) -> None:
    """Print the table."""
    write_images(folder / "images", 64)
    files = sorted((folder / "images" / "class").iterdir())
    run = train(folder, 40)
    requests = [
        b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s"
        % (len(data), data)
        for data in (file.read_bytes() for file in files)
    ]
    loop, server = Loop(run, files), Server(run)
    clients = (1, 2, 16)
    found: dict[int, list[tuple[float, list[float]]]] = {number: [] for number in clients}
    alone, shares = [], []
    load(server.port, requests, 16, 256)
    others = Others(loop.process.pid, server.process.pid)
    for _ in range(rounds):
        alone.append(loop.rate(count))
        for number in clients:
            before, own = server.seconds(), _own_seconds()
            found[number].append(load(server.port, requests, number, count if number > 2 else count // 4))
            if number == max(clients):
                shares.append((_own_seconds() - own) / (server.seconds() - before + _own_seconds() - own))
    print(f"other processes kept {others.average():.2f} processors busy meanwhile")
    loop.close()
    server.close()
    rate = statistics.median(alone)
    print(f"the loop by itself: {rate:.0f} images a second ({', '.join(f'{one:.0f}' for one in alone)})")
    single = statistics.median(second for _, seconds in found[1] for second in seconds)
    for number, measured in found.items():
        served = statistics.median(each for each, _ in measured)
        seconds = [second for _, each in measured for second in each]
        shared = statistics.median(each / one for (each, _), one in zip(measured, alone, strict=True))
        middle, late = statistics.median(seconds), percentile(seconds, 0.99)
        print(
            f"{number:2} clients: {served:4.0f} images a second, {shared:4.0%} of the loop in the same round; "
            f"median {middle * 1000:.1f} ms ({middle / single:.1f} of 1 client), "
            f"p99 {late * 1000:.1f} ms, {late * served / number:.2f} times {number} / (images a second)"
        )
    print(f"processor time of the clients, of theirs and the server's: {statistics.median(shares):.1%} with 16 clients")


def _own_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--images", type=int, default=384, help="requests of a measurement with 16 clients")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.rounds, given.images)


if __name__ == "__main__":
    main()
