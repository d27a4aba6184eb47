"""The program as a process: start-up, exit codes, interruption."""

import signal
import subprocess
import sys
import threading

import pytest
from helpers import program
from helpers.cases import one_in

from tlkit import __version__
from tlkit.cli import main

TLKIT = [sys.executable, "-m", "tlkit"]


def run(*arguments, **options):
    return subprocess.run([*TLKIT, *map(str, arguments)], capture_output=True, text=True, timeout=120, **options)


@pytest.mark.parametrize(
    "arguments",
    one_in(2, [["--help"], ["archs", "vgg16"], ["archs"], *[[name, "-h"] for name in main.list_commands(None)]]),
)
def test_help_and_tables_import_nothing_heavy(arguments, monkeypatch, tmp_path):
    monkeypatch.delenv("TLKIT_CACHE_DIR", raising=False)  # where a user's cache is must not cost an import either
    monkeypatch.setenv("HOME", str(tmp_path))
    code = (
        "import sys; from tlkit.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'tensorflow', 'keras', 'numpy', 'h5py', 'PIL', 'matplotlib', 'urllib3', 'requests', 'pooch',\n"
        "         'yaml', 'ray'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout
    assert done.stderr.strip() == "[]"


def test_version():
    assert run("--version").stdout.strip() == f"tlkit {__version__}"


def test_usage_errors_exit_2():
    for arguments in (["predict"], ["predict", "a.jpg", "--top", "0"], ["nothing"], ["-q", "-v", "archs"],
                      ["predict", "a.jpg", "--size", "0x10"], ["predict", "a.jpg", "--arch", "vgg61"]):  # fmt: skip
        done = run(*arguments)
        assert done.returncode == 2, arguments
        assert "Traceback" not in done.stderr


def test_errors_exit_1_without_a_traceback(tmp_path):
    done = run("finetune", tmp_path / "nothing")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: There is no data folder")
    assert "Traceback" not in done.stderr
    assert "Traceback" in run("-v", "finetune", tmp_path / "nothing").stderr


@pytest.mark.parametrize("engine", [pytest.param("keras", marks=pytest.mark.every), "openvino"])
def test_stdout_is_the_result_and_stderr_is_silent_without_a_terminal(cat, engine, monkeypatch, tmp_path):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))  # no converted network is cached: TensorFlow starts too
    done = program.run("predict", cat, "--arch", "toy", "--top", 1, "--engine", engine)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""


def test_a_reader_that_leaves_early_is_no_error(tmp_path):
    done = subprocess.run(
        f"{sys.executable} -m tlkit archs nasnetlarge | head -1", shell=True, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_interrupted_exits_130_and_says_how_to_resume(textures, tmp_path):
    process = program.start("finetune", textures, "--arch", "toy", "--epochs", 100_000, "-o", tmp_path / "run")
    for line in process.stderr:
        if line.startswith("head 3"):
            break
    process.send_signal(signal.SIGINT)
    stderr = process.stderr.read()
    assert process.wait(30) == 130
    assert "Traceback" not in stderr
    assert f"To resume: tlkit finetune --resume {tmp_path / 'run'}\n" in stderr
    assert stderr.strip().endswith("Interrupted.")
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["checkpoint.npz", "unfinished.json"]


@pytest.mark.every
@pytest.mark.parametrize(
    ("number", "code", "last"),
    [
        (signal.SIGTERM, 143, "Terminated."),
        pytest.param(signal.SIGINT, 130, "Interrupted.", marks=pytest.mark.every),
    ],
)
def test_a_signal_ends_what_does_not_return(textures, tmp_path, number, code, last):
    """A call into a library holds up the main thread for a minute: Python delivers no signal until it returns."""
    script = tmp_path / "stuck.py"
    script.write_text(
        "import sys, time\n"
        "from contextlib import suppress\n"
        "from helpers.program import registered, run_program\n"
        "from tlkit.training.trainer import Trainer\n"
        "def stuck(*arguments):\n"
        "    print('stuck', file=sys.stderr, flush=True)\n"
        "    with suppress(KeyboardInterrupt):\n"
        "        time.sleep(60)\n"
        "    time.sleep(60)\n"
        "Trainer.train = stuck\n"
        "with registered():\n"
        "    run_program()\n"
    )
    command = [sys.executable, script, "finetune", textures, "--arch", "toy", "-o", tmp_path / "run"]
    process = subprocess.Popen(list(map(str, command)), env=program.environment(), stderr=subprocess.PIPE, text=True)
    for line in process.stderr:
        if line == "stuck\n":
            break
    process.send_signal(number)
    stderr = process.stderr.read()
    assert process.wait(30) == code
    assert stderr.splitlines() == [f"Warning: To resume: tlkit finetune --resume {tmp_path / 'run'}", last]


def test_a_thread_that_does_not_end_does_not_hold_up_a_program_that_failed(tmp_path):
    """As one of TensorFlow that waits for its next batch."""
    start = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n"
    script = f"{start}from tlkit.__main__ import main\nmain()"
    done = subprocess.run([sys.executable, "-c", script, "predict", "nothing.jpg"], timeout=60)
    assert done.returncode == 3


@pytest.mark.parametrize("delay", [0.01, 0.02, 0.06])
def test_an_interrupt_while_it_starts(delay):
    process = subprocess.Popen(
        [sys.executable, "-c", "from tlkit.__main__ import main\nprint(1, flush=True)\nmain()", "predict", "nothing"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.readline()
    threading.Event().wait(delay)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert "Traceback" not in stderr
    assert (process.returncode, stderr) in ((130, "Interrupted.\n"), (3, stderr))  # a fast machine is through
