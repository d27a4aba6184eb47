"""``finetune --tensorboard`` and ``--mlflow``: what TensorBoard and MLflow read back."""

import csv
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers import program
from helpers.interrupting import interrupted_in_phase_2
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import tlkit as api
from tlkit.config import FinetuneConfig
from tlkit.errors import TlkitError
from tlkit.training.trackers.mlflow import MlflowRun
from tlkit.training.trackers.tensorboard import EventFiles

pytestmark = [
    pytest.mark.usefixtures("toy"),
    # of MLflow's tables under SQLAlchemy 2.1
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy:DeprecationWarning"),
]

TOY = ("--arch", "toy", "--batch-size", 8)
FAST = (*TOY, "--recipe", "fast")
BOTH = (*TOY, "--epochs", 2, "--finetune-epochs", 2, "--freeze", "block1_add", "--finetune-schedule", "linear")
METRICS = {"loss", "accuracy", "val_loss", "val_accuracy"}


@pytest.fixture(autouse=True)
def _own_store(tmp_path, monkeypatch):
    """MLflow's default store is in the working folder, and nothing of the environment or another test reaches it."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "")  # restored afterwards, whatever MLflow sets
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # as the program sets it, for what reads back
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def mislabelled(textures, tmp_path_factory):
    """Class folders in which two validation images have the wrong label."""
    data = tmp_path_factory.mktemp("mislabelled") / "data"
    shutil.copytree(textures, data)
    for number in range(2):
        (data / "validation" / "brick" / f"{number}.png").rename(data / "validation" / "grass" / f"odd-{number}.png")
    return data


def events(folder):
    """What TensorBoard reads of one folder."""
    found = EventAccumulator(str(folder), size_guidance={"images": 0})
    found.Reload()
    return found


def scalars(folder):
    """``{tag: [(step, value)]}``."""
    found = events(folder)
    return {tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def client(uri):
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=str(uri))


def runs_of(uri, experiment="tlkit"):
    """The runs of a store, the first first."""
    found = client(uri)
    identifier = found.get_experiment_by_name(experiment).experiment_id
    return found.search_runs([identifier], order_by=["attributes.start_time"])


def history(run):
    """``[(phase, {metric: value})]`` of the epochs that a run folder records."""
    with (run / "history.csv").open() as file:
        return [(row["phase"], {name: float(row[name]) for name in METRICS}) for row in csv.DictReader(file)]


def load(uri, run):
    import mlflow

    mlflow.set_tracking_uri(str(uri))
    try:
        return mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    finally:
        mlflow.set_tracking_uri(None)


@pytest.mark.every
def test_both_phases_reach_both_trackers(mislabelled, tlkit, tmp_path):
    run, store = tmp_path / "run", tmp_path / "store"
    ran = tlkit("finetune", mislabelled, *BOTH, "-o", run, "--tensorboard", "events", "--mlflow", store)
    assert ran.code == 0, ran.err
    epochs = history(run)
    assert [phase for phase, _ in epochs] == ["head", "head", "finetune", "finetune"]
    for phase, steps in (("head", [1, 2]), ("finetune", [3, 4])):
        found = scalars(tmp_path / "events" / "run" / phase)
        assert found.keys() == {*METRICS, "learning_rate"}
        for name in METRICS:
            assert found[name] == [(step, pytest.approx(epochs[step - 1][1][name], rel=1e-6)) for step in steps]
    rates = [value for _, value in found["learning_rate"]]
    assert 0 <= rates[1] < rates[0] < 1e-4  # falls to 0 in a line

    images = events(tmp_path / "events" / "run")
    tags = images.Tags()["images"]
    errors = [tag for tag in tags if tag.startswith("validation_errors/")]
    heat = [tag for tag in tags if tag.startswith("validation_heat_maps/")]
    wrong = api.evaluate(run, mislabelled).to_dict()["confusion"]
    assert len(errors) == len(heat) == sum(map(sum, wrong)) - sum(wrong[index][index] for index in (0, 1)) >= 2
    assert any("grass predicted as brick" in tag for tag in errors)
    for tag in ("validation/confusion_matrix", errors[0], heat[0]):
        (shown,) = images.Images(tag)
        assert (shown.step, shown.encoded_image_string[:4]) == (4, b"\x89PNG")
    assert images.Images("validation/confusion_matrix")[0].encoded_image_string == (run / "confusion.png").read_bytes()

    (tracked,) = runs_of(store)
    assert (tracked.info.status, tracked.info.run_name) == ("FINISHED", "run")
    for name in METRICS:
        logged = client(store).get_metric_history(tracked.info.run_id, name)
        assert [(metric.step, metric.value) for metric in logged] == [
            (step, values[name]) for step, (_, values) in enumerate(epochs, start=1)
        ]
    record = json.loads((run / "run.json").read_text())
    assert tracked.data.metrics["validation/accuracy"] == record["results"]["val_accuracy"]
    assert (tracked.data.params["arch"], tracked.data.params["finetune_epochs"]) == ("toy", "2")
    saved = {item.path for item in client(store).list_artifacts(tracked.info.run_id, "model")}
    assert {f"model/{path.name}" for path in run.iterdir()} < saved
    exported = Path(client(store).download_artifacts(tracked.info.run_id, "export"))
    kept = {"run.onnx", "run.onnx.proof.json", "run.onnx.proof.html", "labels.txt", "tlkit.json"}
    assert {path.name for path in exported.iterdir()} == kept
    again = api.evaluate(exported / "run.onnx", mislabelled).to_dict()["accuracy"]
    assert again == record["results"]["val_accuracy"]


@pytest.mark.every
@pytest.mark.parametrize("error", [TlkitError("The layer x does not exist there."), ValueError("No such node")])
def test_a_run_that_cannot_be_exported_is_tracked(textures, tlkit, tmp_path, monkeypatch, error):
    def refuse(*given):
        raise error

    monkeypatch.setattr("tlkit.commands.export.write_attempts", refuse)
    ran = tlkit("finetune", textures, *FAST, "-o", tmp_path / "run", "--mlflow", tmp_path / "store")
    assert ran.code == 0
    assert f"MLflow has no export of {tmp_path / 'run'}: {str(error).rstrip('.')}.\n" in ran.err
    (tracked,) = runs_of(tmp_path / "store")
    assert tracked.info.status == "FINISHED"
    assert not client(tmp_path / "store").list_artifacts(tracked.info.run_id, "export")


@pytest.mark.every
def test_trackers_change_nothing_of_a_run(textures, tlkit, tmp_path):
    records = []
    for name, options in (("plain", ()), ("tracked", ("--tensorboard", "events", "--mlflow"))):
        assert tlkit("finetune", textures, *BOTH, "-o", tmp_path / name / "run", *options).code == 0
        records.append(json.loads((tmp_path / name / "run" / "run.json").read_text()))
    plain, tracked = records
    assert history(tmp_path / "plain" / "run") == history(tmp_path / "tracked" / "run")
    assert {path.name for path in (tmp_path / "plain" / "run").iterdir()} == {
        path.name for path in (tmp_path / "tracked" / "run").iterdir()
    }
    assert plain["arguments"] == {**tracked["arguments"], "output": plain["arguments"]["output"]}
    assert "mlflow" not in tracked["command"] and "tensorboard" not in tracked["command"]
    assert "--mlflow" not in (tmp_path / "tracked" / "run" / "report.html").read_text("utf-8")


@pytest.mark.every
def test_the_default_store_and_the_model_that_mlflow_loads(textures, tlkit, tmp_path, monkeypatch):
    import pandas

    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "textures")
    run = tmp_path / "run"
    assert tlkit("finetune", textures, *FAST, "-o", run, "--mlflow").code == 0
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tracked,) = runs_of(store, "textures")
    model = load(store, tracked)
    files = sorted(map(str, (textures / "validation").rglob("*.png")))
    expected = [
        {score["name"]: score["probability"] for score in each["predictions"]}
        for each in tlkit("predict", "--model", run, *files, "--format", "json").json
    ]
    table = model.predict(pandas.DataFrame({"path": files}, index=range(10, 10 + len(files))))
    assert list(table["probabilities"]) == expected
    assert list(table["class"]) == [max(each, key=each.get) for each in expected]
    assert list(table["probability"]) == [max(each.values()) for each in expected]
    assert list(table.index) == list(range(10, 10 + len(files)))
    pixels = [np.asarray(Image.open(file)) for file in files]
    several = np.stack(pixels)
    for given in (pixels, several, several.astype(np.int64), pandas.DataFrame({"image": pixels}), several.tolist()):
        assert list(model.predict(given)["probabilities"]) == expected
    assert list(model.predict(files[0])["probabilities"]) == expected[:1]
    colour = np.repeat(pixels[0][..., None], 3, axis=2)
    for image in (pixels[0], pixels[0].tolist(), colour, colour.astype(np.int64), colour.tolist()):
        assert list(model.predict(image)["probabilities"]) == expected[:1]
    assert model.metadata.get_model_info().flavors["python_function"]["loader_module"].startswith("tlkit.")
    requirements = client(store).download_artifacts(tracked.info.run_id, "model/requirements.txt")
    assert f"tlkit=={api.__version__}" in Path(requirements).read_text()


@pytest.mark.every
def test_what_the_model_of_mlflow_refuses(textures, tlkit, tmp_path):
    import pandas

    from tlkit.training.trackers.mlflow_model import RunModel

    tlkit("finetune", textures, *FAST, "-o", "run")
    model, file = RunModel(tmp_path / "run"), str(textures / "validation" / "brick" / "0.png")
    found = model.predict([file, "nothing.png"])
    assert [isinstance(name, str) for name in found["class"]] == [True, False]
    assert "no such file" in found["error"][1]
    with pytest.raises(api.TlkitError, match="Image 0 is neither a path nor an array .* not 0 to 255"):
        model.predict([np.full((8, 8, 3), 0.5)])
    with pytest.raises(api.TlkitError, match="Image 0 is neither a path nor an array .* its shape is"):
        model.predict([1, 2, 3])
    with pytest.raises(api.TlkitError, match="has one column, of paths or arrays; this has 2"):
        model.predict(pandas.DataFrame({"a": [file], "b": [file]}))
    with pytest.raises(api.TlkitError, match="2 paths name 9 images; expected a path for each image"):
        model.predict([file, str(textures / "validation")])
    assert len(model.predict([])) == 0


@pytest.mark.every
def test_a_linear_head_is_tracked_without_tensorflow(textures, tmp_path):
    code = (
        "import sys; from helpers.toy import registered; import tlkit\n"
        "with registered():\n"
        f"    data, options = {str(textures)!r}, {{'arch': 'toy', 'recipe': 'fast', 'output': 'run'}}\n"
        "    tlkit.finetune(data, **options, tensorboard='tb', mlflow='auto')\n"
        "print(sorted({'tensorflow', 'keras', 'mlflow', 'tensorboard'} & {*sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=program.environment(), cwd=tmp_path
    )
    assert done.stdout == "['mlflow', 'tensorboard']\n", done.stderr
    found = scalars(tmp_path / "tb" / "run" / "head")
    assert {name: [step for step, _ in values] for name, values in found.items()} == {name: [1] for name in METRICS}
    assert runs_of(f"sqlite:///{tmp_path / 'mlflow.db'}")[0].info.status == "FINISHED"


@pytest.mark.every
def test_resumed_runs_continue_their_records(textures, tlkit, tmp_path, monkeypatch):
    store = tmp_path / "store"
    arguments = ("finetune", textures, *BOTH, "-o", "run", "--tensorboard", "events", "--mlflow", store)
    with interrupted_in_phase_2(monkeypatch):
        ran = tlkit(*arguments)
    assert ran.code == 130
    (tracked,) = runs_of(store)
    assert tracked.info.status == "KILLED"
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert tlkit("finetune", "--resume", tmp_path / "run").code == 0
    (resumed,) = runs_of(store)
    assert (resumed.info.run_id, resumed.info.status) == (tracked.info.run_id, "FINISHED")
    logged = client(store).get_metric_history(resumed.info.run_id, "loss")
    assert [metric.step for metric in logged] == [1, 2, 3, 4]
    assert [step for step, _ in scalars(tmp_path / "events" / "run" / "head")["loss"]] == [1, 2]
    assert [step for step, _ in scalars(tmp_path / "events" / "run" / "finetune")["loss"]] == [3, 4]
    assert [path.name for path in (tmp_path / "events").iterdir()] == ["run"]
    assert not (tmp_path / "run" / ".trackers.json").exists()


@pytest.mark.every
def test_a_resume_talks_to_mlflow_as_a_new_run_does(textures, tlkit, tmp_path, monkeypatch):
    with interrupted_in_phase_2(monkeypatch):
        tlkit("finetune", textures, *BOTH, "-o", "run", "--mlflow", tmp_path / "store")
    code = (
        "import logging, os; from helpers.toy import registered; import tlkit\n"
        "with registered():\n"
        "    tlkit.resume('run')\n"
        "print(*(os.environ[f'MLFLOW_{name}'] for name in ('DISABLE_TELEMETRY', 'HTTP_REQUEST_MAX_RETRIES')))\n"
        "print(logging.getLogger('mlflow').level)"
    )
    environment = {name: value for name, value in program.environment().items() if not name.startswith("MLFLOW_")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.stdout == f"true 2\n{logging.WARNING}\n", done.stderr
    assert runs_of(tmp_path / "store")[0].info.status == "FINISHED"


@pytest.mark.every
def test_a_tracker_that_is_back_is_continued(textures, tlkit, tmp_path, monkeypatch):
    store, away = tmp_path / "store", tmp_path / "away"
    with interrupted_in_phase_2(monkeypatch):
        tlkit("finetune", textures, *BOTH, "-o", "run", "--mlflow", store, "--tensorboard", "events")
    store.rename(away)
    with interrupted_in_phase_2(monkeypatch):
        assert "MLflow is told nothing of run" in tlkit("finetune", "--resume", "run").err
    away.rename(store)
    assert tlkit("finetune", "--resume", "run").code == 0
    (tracked,) = runs_of(store)
    assert tracked.info.status == "FINISHED"
    logged = client(store).get_metric_history(tracked.info.run_id, "loss")
    assert [metric.step for metric in logged] == [1, 2, 3, 4]


@pytest.mark.every
def test_a_run_of_folds_that_is_finished_stays_when_its_export_is_interrupted(textures, tlkit, tmp_path, monkeypatch):
    def interrupt(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr("tlkit.commands.export.write_attempts", interrupt)
    ran = tlkit("finetune", textures, *FAST, "--folds", 2, "-o", "run", "--mlflow", tmp_path / "store")
    assert ran.code == 130
    assert "resume" not in ran.err
    for run in ("run", "run/fold-1", "run/fold-2"):
        assert (tmp_path / run / "model.keras").exists()
    assert not list((tmp_path / "run").glob(".*"))


@pytest.mark.every
def test_mlflow_that_is_gone_is_said_once_for_all_folds(textures, tlkit, tmp_path, monkeypatch):
    def gone(*given, **more):
        raise OSError("gone")

    monkeypatch.setattr(MlflowRun, "nested", gone)
    ran = tlkit("finetune", textures, *FAST, "--folds", 2, "-o", "run", "--mlflow", tmp_path / "store")
    assert ran.code == 0
    assert ran.err.count("MLflow is told no more of this run: gone.") == 1


@pytest.mark.every
def test_a_resume_without_its_tracker_warns_and_trains(textures, tlkit, tmp_path, monkeypatch):
    with interrupted_in_phase_2(monkeypatch):
        tlkit("finetune", textures, *BOTH, "-o", "run", "--mlflow", tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    ran = tlkit("finetune", "--resume", "run")
    assert ran.code == 0
    assert ran.err.count("MLflow is told nothing of run: Cannot write to MLflow at") == 1


def test_a_training_that_fails_is_a_failed_run(textures, tlkit, tmp_path):
    store = tmp_path / "store"
    options = ("--optimizer", "sgd", "--lr", 1e30, "--epochs", 2, "--finetune-epochs", 0, "-o", "run")
    ran = tlkit("finetune", textures, *TOY, *options, "--mlflow", store)
    assert (ran.code, "diverged" in ran.err) == (1, True)
    assert [run.info.status for run in runs_of(store)] == ["FAILED"]


@pytest.mark.every
def test_folds_are_runs_below_the_run(textures, tlkit, tmp_path):
    store = tmp_path / "store"
    options = ("--folds", 2, "-o", "run", "--tensorboard", "events", "--mlflow", store)
    assert tlkit("finetune", textures, *FAST, *options).code == 0
    whole, *folds = runs_of(store)
    assert [run.info.run_name for run in (whole, *folds)] == ["run", "fold-1", "fold-2"]
    assert {fold.data.tags["mlflow.parentRunId"] for fold in folds} == {whole.info.run_id}
    assert {run.info.status for run in (whole, *folds)} == {"FINISHED"}
    for part in ("", "fold-1", "fold-2"):
        assert scalars(tmp_path / "events" / "run" / part / "head").keys() == METRICS
        assert "validation/confusion_matrix" in events(tmp_path / "events" / "run" / part).Tags()["images"]


@pytest.mark.every
def test_folds_that_were_interrupted_continue_their_runs(textures, tlkit, tmp_path, monkeypatch):
    store = tmp_path / "store"
    options = ("--folds", 2, "-o", "run", "--tensorboard", "events", "--mlflow", store)
    with interrupted_in_phase_2(monkeypatch):
        assert tlkit("finetune", textures, *BOTH, *options).code == 130
    assert [(run.info.run_name, run.info.status) for run in runs_of(store)] == [("run", "KILLED"), ("fold-1", "KILLED")]
    assert tlkit("finetune", "--resume", "run").code == 0
    tracked = runs_of(store)
    assert [run.info.run_name for run in tracked] == ["run", "fold-1", "fold-2"]
    for run, part in zip(tracked, ("", "fold-1", "fold-2"), strict=True):
        assert run.info.status == "FINISHED"
        steps = [metric.step for metric in client(store).get_metric_history(run.info.run_id, "loss")]
        events_of = tmp_path / "events" / "run" / part
        assert steps == [step for phase in ("head", "finetune") for step, _ in scalars(events_of / phase)["loss"]]
        assert steps == [1, 2, 3, 4]


@pytest.mark.every
def test_several_labels_an_image(textures, tlkit, tmp_path):
    rows = [f"{path},{path.parent.name}" for path in sorted(textures.rglob("*.png"))]
    rows += [f"{path},brick|grass" for path in sorted((textures / "train").rglob("0.png"))]
    (tmp_path / "t.csv").write_text("\n".join(["path,labels", *dict.fromkeys(rows)]) + "\n")
    options = ("--multi-label", "-o", "run", "--tensorboard", "events", "--mlflow", tmp_path / "store")
    ran = tlkit("finetune", tmp_path / "t.csv", *FAST, *options)
    assert ran.code in (0, 3), ran.err
    found = events(tmp_path / "events" / "run").Tags()
    assert "validation/mean_average_precision" in found["scalars"]
    assert "validation/confusion_matrix" not in found["images"]
    (tracked,) = runs_of(tmp_path / "store")
    model = load(tmp_path / "store", tracked)
    (row,) = model.predict(str(textures / "train" / "brick" / "1.png")).to_dict("records")
    assert {*row["labels"]} <= {"brick", "grass"} and row["probabilities"].keys() == {"brick", "grass"}


def test_a_second_run_of_the_same_name_has_a_folder_of_its_own(tmp_path):
    first = EventFiles.create("events", "run", {})
    second = EventFiles.create("events", "run", {})
    assert [one.state["folder"] for one in (first, second)] == [
        str(tmp_path / "events" / name) for name in ("run", "run-2")
    ]


def test_epochs_that_are_there_are_not_written_again(tmp_path):
    first = EventFiles.create("events", "run", {})
    for step in (1, 2):
        first.epoch("head", step, {"loss": float(step)})
    first.close("KILLED")
    (file,) = (tmp_path / "events" / "run" / "head").iterdir()
    with file.open("ab") as torn:
        torn.write(b"\x99\0\0\0\0\0\0\0half a record")
    second = EventFiles.resume("events", first.state)
    for step in (1, 2, 3):
        second.epoch("head", step, {"loss": 10.0})
    assert scalars(tmp_path / "events" / "run" / "head")["loss"] == [(1, 1.0), (2, 2.0), (3, 10.0)]  # not closed yet


@pytest.mark.parametrize(("option", "package"), [("tensorboard", "tensorboard"), ("mlflow", "mlflow, pandas")])
def test_without_the_extra(textures, tlkit, tmp_path, monkeypatch, option, package):
    monkeypatch.setattr("tlkit.utils.extras.find_spec", lambda name: name == "tensorflow" or None)
    ran = tlkit("finetune", textures, *FAST, "-o", "run", f"--{option}", "place")
    assert ran.code == 1
    assert ran.err.startswith(f"Error: --{option} needs {package}, which ")
    assert f"pip install 'tlkit[{option}]'" in ran.err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "place", "says"),
    [
        ("--tensorboard", "file/events", "Error: Cannot write to the directory .*file/events of --tensorboard: "),
        ("--mlflow", "file/store", "Error: Cannot write to MLflow at file:///.*file/store: "),
        ("--mlflow", "sqlite:////proc/none/m.db", "Error: Cannot write to MLflow at sqlite:////proc/none/m.db: "),
        ("--mlflow", "http://127.0.0.1:9", "Error: Cannot write to MLflow at http://127.0.0.1:9: "),
        ("--mlflow", "nonsense://x", "Error: Cannot write to MLflow at nonsense://x: "),
    ],
)
def test_places_that_cannot_be_written_to_are_refused_before_training(
    textures, tlkit, tmp_path, monkeypatch, option, place, says
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    (tmp_path / "file").touch()
    ran = tlkit("finetune", textures, *FAST, "-o", "run", option, place)
    assert ran.code == 1
    assert re.search(says, ran.err), ran.err
    assert "head:" not in ran.err
    assert not (tmp_path / "run").exists()


def test_a_password_is_not_saved(tlkit, textures):
    ran = tlkit("finetune", textures, *FAST, "-o", "run", "--mlflow", "http://me:secret@127.0.0.1/")
    assert ran.code == 2
    assert "secret" not in ran.err
    assert "MLFLOW_TRACKING_URI" in ran.err


@pytest.mark.every
@pytest.mark.parametrize(
    ("kind", "name"), [pytest.param(EventFiles, "TensorBoard", marks=pytest.mark.every), (MlflowRun, "MLflow")]
)
@pytest.mark.parametrize("method", ["epoch", pytest.param("finish", marks=pytest.mark.every)])
def test_a_tracker_that_fails_ends_no_training(textures, tlkit, tmp_path, monkeypatch, kind, name, method):
    def full(*given):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kind, method, full)
    options = ("--epochs", 2, "--finetune-epochs", 0, "-o", "run", "--tensorboard", "events", "--mlflow", "store")
    ran = tlkit("finetune", textures, *TOY, *options)
    assert ran.code == 0
    assert ran.err.count(f"{name} is told no more of this run: [Errno 28] No space left on device.") == 1
    assert (tmp_path / "run" / "run.json").exists()
    other = history(tmp_path / "run")
    if kind is EventFiles:
        (tracked,) = runs_of("store")
        assert tracked.info.status == "FINISHED"
        assert tracked.data.metrics["loss"] == other[-1][1]["loss"]
    else:
        assert runs_of("store")[0].info.status == "FAILED"  # its record is incomplete
        assert len(scalars(tmp_path / "events" / "run" / "head")["loss"]) == 2


def test_configuration_files_and_python_name_them_alike(tmp_path):
    from click.testing import CliRunner

    from tlkit.cli import main

    (tmp_path / "c.yaml").write_text("mlflow: auto\ntensorboard: events\n")
    assert FinetuneConfig(data="d", mlflow="auto").words() == ["d", "--mlflow", "auto"]
    assert FinetuneConfig(data="d", tensorboard=tmp_path).tensorboard == str(tmp_path)
    command = main.get_command(None, "finetune")
    for words, expected in (
        (["d", "--mlflow"], {"mlflow": "auto"}),
        (["--mlflow", "--epochs", "2", "d"], {"mlflow": "auto", "epochs": 2}),
        (["d", "--mlflow", "sqlite:///m.db"], {"mlflow": "sqlite:///m.db"}),
        (["d"], {}),
        (["d", "--config", str(tmp_path / "c.yaml")], {"mlflow": "auto", "tensorboard": "events"}),
    ):
        given = {}

        def remember(data, given=given, **options):
            given.update(options)
            raise api.TlkitError("enough")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tlkit.api.finetune", remember)
            CliRunner().invoke(command, words)
        assert given == expected
