"""One wall: command line, YAML and Python refuse the same values with the same words."""

import dataclasses
import inspect
import os
import shlex
import sys
import threading

import click
import pytest
from click.testing import CliRunner

import tlkit as api
from tlkit.cli import main
from tlkit.cli.options import JobCommand
from tlkit.config import FinetuneConfig
from tlkit.data.dataset import scan_dataset
from tlkit.errors import ConfigError, TlkitError
from tlkit.training.reproduce import command_line
from tlkit.utils.options import options_of

COMMANDS = {name: main.get_command(None, name) for name in main.list_commands(None)}
JOBS = {name: command for name, command in COMMANDS.items() if isinstance(command, JobCommand)}
REQUIRED = {"arch": "vgg16", "output": "out"}  # of those that have no default


def yaml_value(value) -> str:
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


@pytest.mark.parametrize(
    ("command", "option", "value", "message", "hint"),
    [
        ("finetune", "engine", "opnvino", "expected auto, keras or openvino", "Did you mean openvino?"),
        ("finetune", "schedule", "cos", "expected constant, linear or cosine", "cosine"),
        ("finetune", "class_weight", "balanced", "expected none or auto", "Did you mean auto"),
        ("finetune", "batchnorm", "Frozen", "expected frozen or train", "Did you mean frozen?"),
        ("finetune", "augment", "ligth", "expected none, light, recipe2017 or randaugment", "Did you mean light?"),
        ("finetune", "head", "dens", "expected dense, linear or flatten", "Did you mean dense?"),
        ("finetune", "finetune_optimizer", "Adam", "expected sgd, rmsprop, adam or adamw", "adam"),
        ("finetune", "val_split", 1.0, "expected a number above 0 and below 1", None),
        ("finetune", "lr", float("nan"), "expected auto or a number above 0", None),
        ("finetune", "finetune_lr", float("inf"), "expected auto or a finite number above 0", None),
        ("finetune", "head_units", 65537, "expected a whole number from 1 to 65,536", None),
        ("finetune", "epochs", 2.5, "expected a whole number of at least 0", None),
        ("finetune", "epochs", -1, "expected a whole number of at least 0", None),
        ("finetune", "size", "16x", "expected N, HxW or (height, width), in pixels", None),
        ("bottleneck", "pooling", "average", "expected avg, max or none", "Did you mean avg?"),
        ("bottleneck", "format", "parket", "expected npy, hdf5 or parquet", None),
        ("extract", "resize", "cropp", "expected squash or crop", "Did you mean crop?"),
        ("extract", "data_format", "channels_frist", "expected channels_last or channels_first", "channels_first"),
        ("predict", "preprocess", "caffee", "expected caffe, tf, torch, lite, unit or none", "Did you mean caffe?"),
        ("predict", "precision", "float16", "expected float32 or bfloat16", "bfloat16"),
        ("predict", "alpha", 0.0, "expected a number above 0 and at most 10", None),
        ("predict", "top", 0, "expected a whole number of at least 1", None),
        ("evaluate", "split", "valid", "expected test, validation or train", "Did you mean validation?"),
        ("inspect-h5", "layout", "tff", "expected tf or th", "Did you mean tf"),
        ("convert-h5", "depth_multiplier", 0, "expected a whole number from 1 to 64", None),
    ],
)  # fmt: skip
def test_command_line_yaml_and_python_refuse_alike(tlkit, tmp_path, command, option, value, message, hint):
    job = JOBS[command]
    items = {item.name: item for item in options_of(job.config)}
    arguments = ["x" for item in items.values() if item.argument and not item.optional]
    needed = {name: REQUIRED[name] for name, item in items.items() if name in REQUIRED and not item.argument}
    needed = {name: word for name, word in needed.items() if items[name].default is dataclasses.MISSING}
    with pytest.raises(ConfigError) as caught:
        getattr(api, command.replace("-", "_"))(*arguments, **needed, **{option: value})
    assert caught.value.message == f"{option} is {value!r}; {message}."
    assert hint is None or hint in caught.value.hint
    error = f"Error: {caught.value.message}\n" + (f"Hint: {caught.value.hint}\n" if caught.value.hint else "")

    typed = [word for name, given in needed.items() for word in (items[name].flag, given)]
    ran = tlkit(command, *arguments, *typed, items[option].flag, value)
    assert (ran.code, ran.err) == (2, error)
    if any(param.name == "config" for param in job.params):
        (tmp_path / "c.yaml").write_text(f"{items[option].flag[2:]}: {yaml_value(value)}\n")
        ran = tlkit(command, *arguments, *typed, "--config", tmp_path / "c.yaml")
        assert (ran.code, ran.err) == (2, error.replace("Error: ", f"Error: {tmp_path / 'c.yaml'}: "))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"epochs": True}, "epochs is True; expected a whole number of at least 0."),
        ({"epochs": "12"}, "epochs is '12'; expected a whole number of at least 0."),
        ({"weights": False}, "weights is False; expected imagenet, none or a path."),
        ({"by_name": "yes"}, "by_name is 'yes'; expected True or False."),
        ({"by_name": None}, "by_name is None; expected True or False."),
        ({"output": b"run"}, "output is b'run'; expected a path."),
        ({"freeze": True}, "freeze is True; expected a number of layers, a layer or auto."),
        ({"size": (224,)}, "size is (224,); expected N, HxW or (height, width), in pixels."),
        ({"size": (0, 224)}, "size is (0, 224); expected N, HxW or (height, width), in pixels."),
        ({"lr": 10**400}, "expected auto or a number above 0."),
        ({"epoch": 3}, "There is no option epoch."),
        ({"classes": 3}, "There is no option classes."),
    ],
)
def test_types_are_those_of_python(value, expected):
    with pytest.raises(ConfigError) as caught:
        api.finetune("data", **value)
    assert caught.value.message.endswith(expected)
    assert "epoch" not in value or caught.value.hint.startswith("Did you mean epochs")


def test_values_take_the_declared_type(tmp_path):
    import numpy as np

    config = FinetuneConfig(data=tmp_path, size="150x200", freeze=np.int64(172), lr=1, epochs=np.int32(3))
    assert (config.data, config.size, config.freeze, config.epochs) == (str(tmp_path), (150, 200), "172", 3)
    assert type(config.epochs) is int
    assert type(config.lr) is float
    assert FinetuneConfig(data="d", size=[150, 200]).size == FinetuneConfig(data="d", size=(150, 200)).size
    assert FinetuneConfig(data="d", size=150).size == (150, 150)
    predict = JOBS["predict"].config
    assert predict(images=tmp_path).images == predict(images=[str(tmp_path)]).images == (str(tmp_path),)


def other_value(item):
    """A valid value that is not the default."""
    if item.kind == "choice":
        return next(choice for choice in item.choices if choice != item.default)
    if item.metavar == "K/N":
        return "3/8"
    values = {
        "bool": item.default is not True and item.default is not None,
        "int": (item.at_least or 0) + 3, "float": 0.123456789, "size": (75, 96), "str": "a b'c", "paths": ("a", "b c"),
    }  # fmt: skip
    return {"device": "gpu:3", "coordinator": "a:1"}.get(item.name, values[item.kind])


@pytest.mark.parametrize("command", ["finetune", "bottleneck", "extract", "predict", "evaluate", "convert-h5"])
def test_the_printed_command_gives_the_same_config(command, monkeypatch):
    """Every option by itself, so that those that exclude each other are there too."""
    job = JOBS[command]
    items = options_of(job.config)
    built = []
    monkeypatch.setattr(job, "callback", lambda options, **others: built.append(job.config.of(options)))
    required = {item.name: other_value(item) for item in items if item.default is dataclasses.MISSING}
    augmented, fitted = {"augment": "light"}, {"head": "linear"} if command == "finetune" else {}
    beside = {"augment_copies": augmented, "mixup": augmented, "cutmix": augmented, "optimizer": fitted,
              "workers": {"ray": "local"}}  # fmt: skip
    for item in items:
        given = {**required, **beside.get(item.name, {}), item.name: other_value(item)}
        config = job.config.of(given)
        words = shlex.split(command_line(command, config))
        assert words[:2] == ["tlkit", command]
        ran = CliRunner().invoke(job, words[2:], catch_exceptions=False)
        assert ran.exit_code == 0, ran.output
        assert built.pop() == config
        assert item.name in config.given(), item.name
    config = job.config.of({**required, **({"data": "-d"} if "data" in required else {})})
    assert (
        CliRunner().invoke(job, shlex.split(command_line(command, config))[2:], catch_exceptions=False).exit_code == 0
    )
    assert built == [config]


def test_keywords_of_the_api_are_the_options():
    functions = {name: getattr(api, name.replace("-", "_")) for name in JOBS}
    for name, function in functions.items():
        options = inspect.get_annotations(inspect.unwrap(function))["options"]
        keywords = getattr(inspect.getmodule(function), options.removeprefix("Unpack[").removesuffix("]"))
        arguments = [parameter for parameter in inspect.signature(function).parameters if parameter != "options"]
        assert {*keywords.__annotations__, *arguments} == {item.name for item in options_of(JOBS[name].config)}, name
        for item in options_of(JOBS[name].config):
            assert item.name in arguments or f"\n        {item.name} (" in function.__doc__


@pytest.mark.parametrize(
    ("options", "unused"),
    [
        ({}, []),
        ({"momentum": 0.5, "finetune_optimizer": "adam"}, ["--momentum"]),
        ({"momentum": 0.5, "optimizer": "sgd", "finetune_optimizer": "adam"}, []),
        (
            {"momentum": 0.5, "optimizer": "sgd", "finetune_optimizer": "adam", "epochs": 0},
            ["--optimizer", "--momentum"],
        ),
        ({"stage_decay": 0.1}, ["--stage-decay"]),
        ({"stage_decay": 0.1, "stages": "a,b"}, []),
        ({"epochs": 0, "lr": 0.1, "schedule": "linear"}, ["--lr", "--schedule"]),
        ({"finetune_epochs": 0, "freeze": 3, "batchnorm": "train"}, ["--freeze", "--batchnorm"]),
        ({"finetune_epochs": 0, "stages": "a,b", "stage_decay": 0.1}, ["--stages", "--stage-decay"]),
        ({"finetune_epochs": 0, "momentum": 0.1}, ["--momentum"]),
        (
            {"finetune_epochs": 0, "unfreeze": 2, "finetune_lr": 1, "finetune_schedule": "cosine",
             "finetune_optimizer": "adam"},
            ["--unfreeze", "--finetune-optimizer", "--finetune-lr", "--finetune-schedule"],
        ),
        ({"finetune_epochs": 0, "unfreeze_blocks": 2}, ["--unfreeze-blocks"]),
    ],
)  # fmt: skip
def test_options_without_effect_are_named(options, unused, caplog):
    config = FinetuneConfig.of({"data": "d", **options})
    assert sorted(config.unused()) == sorted(flag[2:].replace("-", "_") for flag in unused)
    assert sorted(record.getMessage().split(" has no effect: ")[0] for record in caplog.records) == sorted(unused)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("size: 12:30", "size is '12:30'; expected N, HxW"),  # YAML 1.1 reads 750
        ("lr: 1:30.5", "lr is '1:30.5'; expected auto or a number"),
        ("epochs: 010", "epochs is 010, which YAML may read as an octal number"),
        ("epochs: 0b11", "epochs is '0b11'; expected a whole number"),
        ("head: no", "head is 'no'; expected dense, linear or flatten"),
        ("epochs: !!int 5", "is not plain YAML at line 1, column 9: could not determine a constructor"),
        ("output: !!python/object:os.system {}", "is not plain YAML"),
        ("epochs:", "epochs takes one value, not a null"),
        ("epochs: [1, 2]", "epochs takes one value, not a list"),
        ("epochs: 1\nepochs: 2", "epochs is given twice"),
        ("<<: {epochs: 2}", "unknown option '<<'"),
        ("[" * 5000, "is nested too deep"),
        ("{a: " * 5000, "is nested too deep"),
        ("a: &a [*a]", "unknown option 'a'"),
        ("#" * 200_000, "it is larger than 100.0 kB"),
    ],
)
def test_yaml_never_changes_what_stands_there(tlkit, tmp_path, line, message):
    (tmp_path / "c.yaml").write_text(line + "\n")
    ran = tlkit("finetune", tmp_path, "--config", tmp_path / "c.yaml")
    assert ran.code == 2
    assert message in ran.err
    assert len(ran.err.splitlines()) <= 2


def test_words_and_names_of_yaml_are_those_of_the_command_line(tlkit, tmp_path, monkeypatch):
    given = []
    monkeypatch.setattr("tlkit.api.finetune", lambda **options: given.append(options) or sys.exit())
    (tmp_path / "c.yaml").write_text("output: 2024-01-01\nby-name: yes\nflip_kernels: off\nfreeze: 172\nlr: 1e-4\n")
    tlkit("finetune", "data", "--config", tmp_path / "c.yaml")
    expected = {"output": "2024-01-01", "by_name": True, "flip_kernels": False, "freeze": "172", "lr": 1e-4}
    assert given == [{"data": "data", **expected}]


def test_a_configuration_without_end_is_refused_and_a_pipe_is_read(tlkit, tmp_path, monkeypatch):
    monkeypatch.setattr("tlkit.utils.bounded_read.WAIT_SECONDS", 0.2)
    os.mkfifo(tmp_path / "pipe")
    for path, reason in (("/dev/zero", "larger than"), (tmp_path / "pipe", "nothing was written to it")):
        ran = tlkit("finetune", tmp_path, "--config", path)
        assert ran.code == 2
        assert f"Cannot read the configuration {path}: " in ran.err
        assert reason in ran.err
    reader = os.open(tmp_path / "pipe", os.O_RDWR)
    os.write(reader, b"epochs: 010\n")
    writer = threading.Timer(0.1, os.close, [reader])  # the end, once the other side has opened it
    writer.start()
    assert "epochs is 010" in tlkit("finetune", tmp_path, "--config", tmp_path / "pipe").err
    writer.join()


def test_a_size_that_no_memory_holds_is_refused_before_anything_starts(tlkit, tmp_path):
    for size, shown in (("99999", "99999x99999"), ("224x5000", "224x5000"), ("999999999", "999999999x999999999")):
        ran = tlkit("extract", tmp_path, "-o", tmp_path / "f.npy", "--size", size)
        assert (ran.code, ran.err) == (
            2, f"Error: size is {shown}, which is too large: a side has at most 4,096 pixels.\n"
        )  # fmt: skip


def test_options_without_effect_are_warned_of_from_everywhere(tlkit, textures, noise, tmp_path, caplog):
    image = noise(tmp_path / "a.png")
    arguments = (image, "-o", tmp_path / "f.npy", "--arch", "nothing")
    assert "Warning: --seed has no effect" in tlkit("extract", *arguments, "--seed", 3).err
    (tmp_path / "c.yaml").write_text("seed: 3\n")
    assert "Warning: --seed has no effect" in tlkit("extract", *arguments, "--config", tmp_path / "c.yaml").err
    for command, *given in (("extract", *arguments), ("predict", image, "--arch", "nothing")):
        assert "Warning: --seed has no effect" in tlkit(command, *given, "--seed", 3).err
        for random in (("--weights", "none"), ("--weights", "w.h5", "--skip-mismatch")):
            assert "--seed" not in tlkit(command, *given, "--seed", 3, *random).err
    assert "--val-split has no effect" in scan_dataset(str(textures), val_split=0.3).warnings[0]
    assert scan_dataset(str(textures)).warnings == ()
    assert not [line for line in scan_dataset(str(textures / "train"), val_split=0.3).warnings if "val-split" in line]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0, "finetune_epochs": 0}, "nothing to train"),
        ({"augment_copies": 3}, "--augment is none"),
        ({"augment": "light", "features": "x"}, "--features holds features of unchanged images"),
        ({"stages": "a", "freeze": 3}, "--stages has freeze points of its own"),
    ],
)
def test_contradictions_are_refused_where_the_config_is_built(options, message):
    with pytest.raises(TlkitError, match=message):
        FinetuneConfig(data="d", **options)


def test_loading_options_need_a_network():
    with pytest.raises(TlkitError, match="--by-name describes how FILE loads"):
        api.inspect_h5("x.h5", by_name=True)


def test_format_before_cache_clear_is_refused(tlkit):
    ran = tlkit("cache", "--format", "json", "clear")
    assert ran.code == 2
    assert "--format before clear has no effect" in ran.err
    assert tlkit("cache", "clear", "features", "--format", "json").json["removed"] == 0


def every_command():
    yield (), main
    for name, command in COMMANDS.items():
        yield (name,), command
        yield from (((name, inner), one) for inner, one in getattr(command, "commands", {}).items())


@pytest.mark.parametrize(("words", "command"), [pytest.param(*one, id=" ".join(one[0])) for one in every_command()])
def test_help_fits_80_columns(words, command):
    text = CliRunner(env={"COLUMNS": "80"}).invoke(main, [*words, "-h"], prog_name="tlkit").output
    assert max(map(len, text.splitlines())) <= 80
    assert "RANGE" not in text
    assert "..." not in text.partition("Commands:")[2]
    assert ("FLOAT" in text, "INTEGER" in text) == (False, False)


def test_options_of_finetune_stand_in_groups():
    text = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["finetune", "-h"]).output
    headings = [line for line in text.splitlines() if line and line[0] != " " and line.endswith(":")]
    assert headings == [
        "Recipe:", "Data:", "Network:", "Head:", "Freezing:", "Phase 1 (head):", "Phase 2 (fine-tuning):",
        "Both phases:", "Augmentation:", "Execution:", "Output:", "Other:",
    ]  # fmt: skip
    assert "[OPTIONS] [DATA]" in text


def test_the_shell_completes_choices_and_files():
    command = JOBS["finetune"]
    options = {param.name: param for param in command.params}
    context = click.Context(command)
    assert [item.value for item in options["optimizer"].shell_complete(context, "ad")] == ["adam", "adamw"]
    assert [item.type for item in options["features"].shell_complete(context, "fe")] == ["file"]


@pytest.mark.parametrize("name", ["predict", "extract", "bottleneck", "finetune", "find-lr"])
def test_the_network_is_named_before_what_changes_how_its_file_is_read(name):
    flags = [item.flag for item in options_of(JOBS[name].config) if item.group == "Network"]
    assert flags[0] == "--arch" and flags.index("--size") < flags.index("--by-name")
