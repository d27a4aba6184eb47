"""`tlkit completion`: the scripts, and what a shell offers when TAB is pressed."""

import os
import select
import shlex
import shutil
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from helpers import program

from tlkit.architectures.registry.lookup import all_architectures
from tlkit.cli import main
from tlkit.cli.app import COMPLETION_VARIABLE
from tlkit.config import Recipe
from tlkit.utils.options import join_or

NAMES = [row.name for row in all_architectures()]


def answer(shell, *words, **variables):
    """What the program answers a shell, with the cursor behind the last word; one line each."""
    given = {
        "bash": {"COMP_WORDS": "\n".join(("tlkit", *words)), "COMP_CWORD": str(len(words))},
        "zsh": {"COMP_WORDS": " ".join(("tlkit", *words)), "COMP_CWORD": str(len(words))},
        "fish": {"COMP_WORDS": " ".join(("tlkit", *words)), "COMP_CWORD": words[-1]},
    }[shell]
    env = {COMPLETION_VARIABLE: f"{shell}_complete", **given, **variables}
    result = CliRunner().invoke(main, [], env=env, prog_name="tlkit", catch_exceptions=False)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout.splitlines()


def offered(*words):
    """The words that bash is offered, or ``file`` or ``dir``, for names of the disk."""
    lines = [line.split(",", 1) for line in answer("bash", *words) if line]
    return [value if kind == "plain" else kind for kind, value in lines]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["find"], ["find-lr"]),
        (["predict", "--en"], ["--engine"]),
        (["predict", "--engine", ""], ["auto", "keras", "openvino"]),
        (["predict", "--engine", "=", "op"], ["openvino"]),  # bash splits at =
        (["predict", "--engine", "="], ["auto", "keras", "openvino"]),
        (["predict", "--engine=op"], ["--engine=openvino"]),  # unless the user has it do so no more
        (["predict", "--device", "gpu", ":", "1", "--engine", "k"], ["keras"]),
        (["predict", "--device", ""], ["auto", "cpu", "gpu"]),
        (["finetune", "--recipe", ""], ["classic", "fast", "strong", "2017", "2016"]),
        (["finetune", ""], ["file"]),
        (["finetune", "--exclude", "le"], ["file"]),
        (["finetune", "--config", ""], ["file"]),
        (["finetune", "--config", "missing.yaml", "--recipe", "st"], ["strong"]),
        (["finetune", "--resume", ""], ["dir"]),
        (["predict", "im"], ["file"]),
        (["predict", "a.png", "im"], ["file"]),
        (["predict", "'my photos/a.png'", "--arch", "vgg"], ["vgg16", "vgg19"]),
        (["predict", "--arch", "ResNet-50"], ["resnet50", "resnet50v2"]),
        (["evaluate", "run", ""], ["file"]),
        (["export", "run", "-o", ""], ["file"]),
        (["convert-h5", "old.h5", ""], ["file"]),
        (["compare", "data", "--archs", ""], NAMES),
        (["compare", "data", "--archs", "vgg16,vgg"], ["vgg16,vgg19"]),
        (["compare", "data", "--archs", "vgg16,vgg19,xc"], ["vgg16,vgg19,xception"]),
        (["archs", "nasnet"], ["nasnetmobile", "nasnetlarge"]),
        (["weights", "pull", "vgg16", "xc"], ["xception"]),
        (["weights", "pull", "-o", ""], ["dir"]),
        (["weights", "install", ""], ["dir"]),
        (["weights", "verify", "xc"], ["xception"]),
        (["weights", "verify", "./"], ["file"]),
        (["cache", "clear", "a"], ["archives"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["doctor", "--format", ""], ["text", "json"]),
        (["nothing", "--arch", "conv"], ["convert-h5"]),  # no command yet
        (["predict", "--size", ""], []),
    ],
)  # fmt: skip
def test_what_is_offered(words, expected):
    assert offered(*words) == expected


def test_every_command_and_every_recipe_is_offered():
    assert offered("") == main.list_commands(None)
    assert join_or(offered("finetune", "--recipe", "")) == join_or(Recipe.__args__)
    assert all(name in offered("finetune", "--arch", "") for name in ("efficientnetlite0", "musictaggercrnn"))


def test_words_with_equals_signs_and_commas_in_other_shells():
    assert answer("zsh", "predict", "--engine=op") == ["plain", "--engine=openvino", "_"]
    assert answer("fish", "predict", "--engine=op") == ["plain,--engine=openvino"]
    assert answer("fish", "compare", "data", "--archs", "vgg16,xc") == ["plain,vgg16,xception"]
    assert answer("fish", "cach") == ["plain,cache\tList what tlkit has cached, or remove it."]
    assert answer("fish", "predict", "im") == ["file,im"]


def test_whatever_goes_wrong_the_terminal_stays_clean(monkeypatch):
    def fails(beginning):
        raise RuntimeError("in the middle of the user's line")

    monkeypatch.setattr("tlkit.architectures.registry.lookup.matching_architectures", fails)
    assert answer("bash", "archs", "") == [""]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_all_that_is_printed(tlkit, shell, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # no shell of that kind is looked for
    ran = tlkit("completion", shell)
    assert (ran.code, ran.err) == (0, "")
    assert f"_TLKIT_COMPLETE={shell}_complete" in ran.out
    assert "%" not in ran.out.replace("%%", "")
    if shell in ("bash", "fish"):
        env = {COMPLETION_VARIABLE: f"{shell}_source"}
        assert CliRunner().invoke(main, [], env=env, prog_name="tlkit").stdout.strip() == ran.out.strip()


def test_lines_of_the_help_can_be_pasted(tlkit):
    text = tlkit("completion", "--help").out
    for line in ('eval "$(tlkit completion bash)"', 'eval "$(tlkit completion zsh)"', "tlkit completion fish | source"):
        found = next(each for each in text.splitlines() if line in each)
        assert shlex.split(found, comments=True) == shlex.split(line)


def test_another_shell_is_a_usage_error(tlkit):
    ran = tlkit("completion", "tcsh")
    assert (ran.code, ran.out, ran.err) == (2, "", "Error: SHELL is 'tcsh'; expected bash, zsh or fish.\n")
    assert "Hint: Did you mean fish?" in tlkit("completion", "fich").err
    assert tlkit("completion").code == 2


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A PATH with the program as ``tlkit``, and its environment."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "tlkit").write_text(f'#!/bin/sh\nexec {sys.executable} -m tlkit "$@"\n')
    (folder / "tlkit").chmod(0o755)
    return {**program.environment(), "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """Run lines in a bash in which the script was read; its stdout, with what compopt was told."""
    script = tmp_path_factory.mktemp("bash") / "tlkit.bash"
    script.write_text(CliRunner().invoke(main, ["completion", "bash"]).stdout)

    def run(lines, environment):
        prelude = f"source {script}\ncompopt() {{ printf '<%s %s>\\n' \"$@\"; }}\n"
        done = subprocess.run(
            ["bash", "--norc", "--noprofile", "-c", prelude + lines], env=environment, capture_output=True, text=True,
            timeout=60,
        )  # fmt: skip
        assert done.stderr == ""
        return done.stdout

    return run


def test_in_bash(bash, path):
    lines = """
complete -p tlkit
COMP_WORDS=(tlkit compare "'my data'" --archs vgg16,xc) COMP_CWORD=4
_tlkit_completion tlkit
printf '%s;' "${COMPREPLY[@]}"
COMP_WORDS=(tlkit finetune "" --arch vgg16) COMP_CWORD=2
_tlkit_completion tlkit
printf '%s;' "${#COMPREPLY[@]}"
"""
    assert bash(lines, path).splitlines() == [
        "complete -o nosort -F _tlkit_completion tlkit", "vgg16,xception;<-o default>", "0;"
    ]  # fmt: skip


def test_the_function_leaves_no_variables_behind(bash, path):
    lines = "before=$(compgen -v | sort)\nCOMP_WORDS=(tlkit pre) COMP_CWORD=1\n_tlkit_completion tlkit\ncompgen -v"
    made = {"COMP_WORDS", "COMP_CWORD", "COMPREPLY", "before"}
    assert not {"line", "response", "type", "value", "completion"} & {*bash(lines, path).split()} - made


def someone_types(shell, begin, steps, path, folder):
    """Type into a shell of a terminal; each step is what is typed, and what the line becomes."""
    pty = pytest.importorskip("pty")
    script = CliRunner().invoke(main, ["completion", shell[0]]).stdout
    (folder / "script").write_text(script)
    process, terminal = pty.fork()
    if not process:
        os.chdir(folder)
        os.execvpe(shell[0], shell, {**path, "PS1": "> ", "TERM": "dumb"})
    shown = b""

    def until(text):
        nonlocal shown
        end = time.monotonic() + 30
        while text not in shown:
            assert time.monotonic() < end, shown
            if select.select([terminal], [], [], 1)[0]:
                shown += os.read(terminal, 4096).replace(b"\a", b"")  # it rings where several may follow

    os.write(terminal, begin + b"source ./script; echo re''ady\n")
    until(b"ready\r\n")
    for typed, completed in steps:
        os.write(terminal, typed)
        until(completed)
    os.write(terminal, b"\x15exit\n")
    assert os.waitpid(process, 0)[1] == 0
    os.close(terminal)


@pytest.mark.every
def test_in_a_bash_that_someone_types_in(path, tmp_path):
    (tmp_path / "image one.png").touch()
    steps = (
        (b"tlkit predict ima\t", rb"predict image\ one.png "),
        (b"--arch incepti\t", b"--arch inception"),
        (b"v3 --engine=op\t", b"--engine=openvino "),
    )
    someone_types(["bash", "--norc", "--noprofile", "-i"], b"", steps, path, tmp_path)


@pytest.mark.every
@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_in_a_zsh_that_someone_types_in(path, tmp_path):
    (tmp_path / "run of today").mkdir()
    steps = (
        (b"tlkit predict --model=ru\t", rb"--model=run\ of\ today/"),
        (b"\x15tlkit finetune --resume ru\t", rb"--resume run\ of\ today/"),
    )
    someone_types(["zsh", "-f", "-i"], b"autoload -U compinit; compinit -u -D; ", steps, path, tmp_path)


@pytest.mark.skipif(not shutil.which("zsh"), reason="zsh is not installed")
def test_in_zsh(path, tmp_path):
    (tmp_path / "script").write_text(CliRunner().invoke(main, ["completion", "zsh"]).stdout)
    lines = (
        "autoload -U compinit; compinit -u -D; source ./script; "
        "compadd() { print -r -- $completions }; _describe() { print -r -- $completions_with_descriptions }; "
        "words=(tlkit compare data --archs vgg16,xc) CURRENT=5; _tlkit_completion"
    )
    done = subprocess.run(["zsh", "-f", "-c", lines], cwd=tmp_path, env=path, capture_output=True, text=True)
    assert done.stdout.split() == ["vgg16,xception"]


@pytest.mark.skipif(not shutil.which("fish"), reason="fish is not installed")
def test_in_fish(path, tmp_path):
    (tmp_path / "script").write_text(CliRunner().invoke(main, ["completion", "fish"]).stdout)
    (tmp_path / "run of today").mkdir()
    (tmp_path / "run.csv").touch()

    def complete(line):
        lines = f"source ./script; complete --do-complete '{line}'"
        words = ["fish", "--no-config", "-c", lines]
        done = subprocess.run(words, cwd=tmp_path, env=path, capture_output=True, text=True)
        assert done.stderr == ""
        return [one.split("\t")[0] for one in done.stdout.splitlines()]

    assert complete("tlkit compare data --archs vgg16,xc") == ["vgg16,xception"]
    assert complete("tlkit predict ru") == ["run of today/", "run.csv"]
    assert complete("tlkit predict --model=ru") == ["--model=run of today/", "--model=run.csv"]
    assert complete("tlkit finetune --resume=ru") == ["--resume=run of today/"]
