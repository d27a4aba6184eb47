"""serve, as a process of its own."""

import signal
import socket
import subprocess
import sys
import time

import pytest
from helpers import program
from helpers.served import Client

from tlkit.config import ServeConfig
from tlkit.errors import ConfigError

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture(scope="module")
def run(toy, textures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "run"
    assert program.invoke("finetune", textures, *toy, "--recipe", "fast", "-o", folder).code == 0
    return folder


@pytest.fixture
def start():
    """Start a server; returns its process and a client. It ends with the test."""
    processes = []

    def started(*arguments):
        process = program.start("serve", *arguments, "--port", 0)
        processes.append(process)
        lines = []
        for line in process.stderr:
            lines.append(line)
            if " on http://127.0.0.1:" in line:
                return process, Client(int(line.split("127.0.0.1:")[1].split("/")[0]))
        raise AssertionError("".join(lines))

    yield started
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "code", "last"),
    [
        (signal.SIGTERM, 0, "The server ended."),
        pytest.param(signal.SIGINT, 130, "Interrupted.", marks=pytest.mark.every),
    ],
)
def test_a_signal_lets_what_began_finish(run, start, textures, tlkit, number, code, last):
    image = textures / "validation" / "brick" / "0.png"
    data = image.read_bytes()
    process, client = start(run)
    expected = tlkit("predict", "--model", run, image, "--format", "json").json
    assert client.post("/predict", data).json == [{**expected[0], "input": "image"}]
    with socket.create_connection(("127.0.0.1", client.port), 60) as begun:
        begun.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n"
                      b"Expect: 100-continue\r\n\r\n" % len(data))  # fmt: skip
        assert begun.recv(1000).startswith(b"HTTP/1.1 100")  # the server reads the body
        process.send_signal(number)
        try:
            while True:
                socket.create_connection(("127.0.0.1", client.port), 60).close()
        except ConnectionError:
            pass
        time.sleep(2)  # longer than other commands have to end
        begun.sendall(data)
        answer = begun.recv(1000)
        assert answer.startswith(b"HTTP/1.1 200")
    assert process.wait(60) == code
    assert process.stderr.read().splitlines() == [last]


@pytest.mark.every
def test_a_model_file_and_its_options(run, start, textures, tmp_path, tlkit):
    image = textures / "validation" / "grass" / "1.png"
    (tmp_path / "names.txt").write_text("rough\nsoft\n")
    options = ("--preprocess", "tf", "--labels", tmp_path / "names.txt")
    model = tmp_path / "model.keras"
    model.write_bytes((run / "model.keras").read_bytes())
    expected = tlkit("predict", "--model", model, *options, image, "--top", 1, "--format", "json").json
    _, client = start(model, *options, "--top", 1)
    found = client.post("/predict", image.read_bytes()).json
    assert found == [{**expected[0], "input": "image"}]
    assert client.get("/model").json["classes"] == ["rough", "soft"]


def test_an_address_that_is_in_use(run, tlkit):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ran = tlkit("serve", run, "--port", taken.getsockname()[1])
    assert ran.code == 1
    assert "Address already in use" in ran.err
    assert "--port 0" in ran.err
    assert "Cannot listen on nowhere.invalid" in tlkit("serve", run, "--host", "nowhere.invalid").err


def test_what_cannot_be_served(tlkit, tmp_path):
    ran = tlkit("serve", tmp_path / "nothing", "--port", 0)
    assert ran.code == 1
    assert "There is no run and no model file" in ran.err
    assert tlkit("serve").code == 2
    assert tlkit("serve", tmp_path, "--port", 70_000).code == 2


@pytest.mark.parametrize("origin", ["example.org", "https://example.org/path", "*", "ftp://a", "https://", "null"])
def test_an_origin_is_a_url_without_a_path(origin):
    with pytest.raises(ConfigError, match="expected a URL without a path"):
        ServeConfig(model="run", cors_origin=origin)


def test_several_origins():
    config = ServeConfig(model="run", cors_origin="https://Example.org/, http://localhost:3000")
    assert config.origins == ("https://example.org", "http://localhost:3000")


def test_a_missing_package_is_named_with_the_line_that_installs_it(run):
    code = (
        "import sys\n"
        "sys.modules['starlette'] = None\n"
        "import importlib.util\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'starlette' else find(name)\n"
        "from tlkit.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "serve", str(run)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: `tlkit serve` needs starlette, which is not installed.",
        "Hint: pip install 'tlkit[serve]'",
    ]
