"""Functions in another process: their results, their errors, and none of their crashes."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.program import environment

from tlkit.errors import ConfigError, WeightsError
from tlkit.keras_files import run_in_subprocess
from tlkit.keras_files.hdf5.subprocess_guard import SubprocessCall

FILE = Path("some.h5")


def test_the_result_comes_back():
    assert run_in_subprocess(divmod, 17, 5, path=FILE) == (3, 2)
    assert run_in_subprocess(os.getpid, path=FILE) != os.getpid()


def test_what_the_function_raises_is_raised():
    with pytest.raises(ZeroDivisionError):
        run_in_subprocess(divmod, 17, 0, path=FILE)
    code = "from tlkit.errors import ConfigError; raise ConfigError('wrong', hint='try this')"
    with pytest.raises(ConfigError, match="wrong") as caught:
        run_in_subprocess(exec, code, path=FILE)
    assert caught.value.hint == "try this"


def test_an_error_that_does_not_pickle_is_told_in_words():
    code = "class Odd(Exception): pass\nraise Odd('very')"
    with pytest.raises(RuntimeError, match="Odd: very"):
        run_in_subprocess(exec, code, {}, path=FILE)


@pytest.mark.parametrize("name", ["SIGSEGV", "SIGABRT", "SIGBUS"])
def test_a_crash_is_an_error_that_names_the_file(name):
    code = f"import os, signal; os.kill(os.getpid(), signal.{name})"
    with pytest.raises(WeightsError, match=rf"^some\.h5 is damaged: HDF5 crashed reading it \({name}\)\.$"):
        run_in_subprocess(exec, code, path=FILE)


def test_what_does_not_end_is_ended():
    with pytest.raises(WeightsError, match="does not finish"):
        run_in_subprocess(exec, "while True: pass", path=FILE, cpu_seconds=1)


def test_what_is_printed_there_is_no_part_of_the_answer(capfd):
    code = "import os; print('printed', flush=True); os.write(1, b'written\\n')"
    assert run_in_subprocess(exec, code, path=FILE) is None
    assert capfd.readouterr() == ("", "printed\nwritten\n")


def test_modules_of_the_current_folder_are_not_imported(tmp_path, monkeypatch):
    for name in ("pickle", "numpy", "h5py"):
        (tmp_path / f"{name}.py").write_text("raise AssertionError('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    assert run_in_subprocess(exec, "import h5py", path=FILE) is None


def test_threads_beside_each_other():
    results = {}
    threads = [
        threading.Thread(target=lambda n=n: results.update({n: run_in_subprocess(pow, n, 2, path=FILE)}))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {n: n * n for n in range(4)}


def test_ctrl_c_reaches_both_processes(tmp_path):
    """As a terminal sends it: to the whole group."""
    mark = tmp_path / "it runs"
    hang = f"open({str(mark)!r}, 'w').write(str(__import__('os').getpid()))\nwhile True: pass"
    code = (
        "from pathlib import Path; from tlkit.keras_files import run_in_subprocess\n"
        f"run_in_subprocess(exec, {hang!r}, path=Path('x'))"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, start_new_session=True)
    child = wait_for(mark)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in err
    assert has_ended(child)


def test_ctrl_c_for_this_process_alone_ends_the_other_too(tmp_path):
    mark = tmp_path / "it runs"
    hang = f"open({str(mark)!r}, 'w').write(str(__import__('os').getpid()))\nwhile True: pass"
    call = SubprocessCall(exec, hang, path=FILE)
    child = wait_for(mark)
    with pytest.raises(KeyboardInterrupt):
        threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
        call.result()
    assert has_ended(child)


def wait_for(mark):
    """The number in a file that another process writes."""
    deadline = time.monotonic() + 60
    while not (mark.exists() and mark.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return int(mark.read_text())


def has_ended(process):
    for _ in range(1000):
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_only_what_has_no_threads_yet_forks():
    import tlkit

    sources = Path(tlkit.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "os.fork(" in path.read_text("utf-8")] == ["spare_process.py"]


@pytest.mark.skipif(sys.platform != "linux", reason="forks a spare process on Linux alone")
@pytest.mark.parametrize("arguments", [["{file}"], ["--help"], ["missing.h5"], ["crash.h5"]], ids=str)
def test_a_spare_process_reads_the_file_or_ends(arguments, tmp_path):
    """The program ends as without it; nothing is left behind, and a crash of the reader is damage of the file."""
    with h5py.File(tmp_path / "file.h5", "w") as file:
        file["kernel"] = np.zeros(3, "f")
    (tmp_path / "crash.h5").write_bytes((tmp_path / "file.h5").read_bytes())
    words = [word.format(file="file.h5") for word in arguments]
    code = "import tlkit.keras_files.hdf5.spare_process as spare; spare.fork_spare = lambda: None; "
    script = "from tlkit.__main__ import main; main()"
    if words == ["crash.h5"]:
        (tmp_path / "crash.py").write_text("import os\ndef inspect(*_): os.abort()")
        script = "import crash, tlkit.commands.inspect_h5 as command; command._inspect = crash.inspect; " + script
    ran = [
        subprocess.run(
            [sys.executable, "-c", start + script, "inspect-h5", *words],
            cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60,
        )
        for start in ("", code)
    ]  # fmt: skip
    assert (ran[0].returncode, ran[0].stdout, ran[0].stderr) == (ran[1].returncode, ran[1].stdout, ran[1].stderr)
