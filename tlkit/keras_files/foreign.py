"""Name what a file or folder is that is no weights or model file of Keras, and what to do about it.

The content decides, the name only where formats without a signature need it. Nothing is parsed further than it takes to
name it, and h5py is not imported.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from tlkit.errors import WeightsError

START = 2**16
"""Bytes at the start of a file that name it."""
MAX_NAMES = 10_000
"""Names of an archive that are looked at."""
_KERAS_FILES = (".keras", ".h5", ".hdf5")
_ASK = 'its author: Keras saves one file with `model.save("model.keras")`'
_DOWNLOAD = "Download the file itself: the link led to a page (for a confirmation, a login or an error)."
_GRAPH = f"It is for running only and cannot be turned back into a Keras model; ask {_ASK}."
_TORCH = (
    "tlkit reads what Keras saved: take the network's Keras weights (`--weights imagenet` where `tlkit archs` has it), "
    "or copy the tensors into the Keras model with PyTorch and Keras."
)
_SAVED_MODEL = (
    'If Keras 2 saved it, `tf_keras.models.load_model(FOLDER).save("model.keras")` makes it one file; what '
    "`model.export` wrote is for running only: save the model that it came from."
)


@dataclass(frozen=True)
class Foreign:
    """What something is instead of a Keras file.

    Attributes:
        what: With its article, or ``empty``: what follows "it is".
        hint: The next step, or None.
    """

    what: str
    hint: str | None = None


_MAGIC: tuple[tuple[int, bytes, Foreign], ...] = (
    (0, b"\x1f\x8b", Foreign("compressed with gzip", "`gunzip` it first (`tar xzf`, if it is a .tar.gz).")),
    (0, b"BZh", Foreign("compressed with bzip2", "`bunzip2` it first.")),
    (0, b"\xfd7zXZ\0", Foreign("compressed with xz", "`unxz` it first.")),
    (0, b"\x28\xb5\x2f\xfd", Foreign("compressed with zstd", "`unzstd` it first.")),
    (0, b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", "Unpack it, and name the file inside.")),
    (0, b"Rar!\x1a\x07", Foreign("a RAR archive", "Unpack it, and name the file inside.")),
    (257, b"ustar", Foreign("a tar archive", "Unpack it (`tar xf`), and name the file inside.")),
    (4, b"TFL3", Foreign("a TensorFlow Lite model (.tflite)", _GRAPH)),
    (0, b"GGUF", Foreign("a GGUF file of llama.cpp", "tlkit reads image and audio models of Keras.")),
    (0, b"\x93NUMPY", Foreign("a NumPy array (.npy)", "It holds one array, no layers; name a file that Keras saved.")),
    (0, b"PAR1", Foreign("a Parquet table", "Name a file of weights or a model.")),
    (0, b"CDF\x01", Foreign("a netCDF file", "Name a file of weights or a model.")),
    (0, b"CDF\x02", Foreign("a netCDF file", "Name a file of weights or a model.")),
    (0, b"MATLAB 5.0 MAT-file", Foreign("a MATLAB file of version 5", "MATLAB writes HDF5 with `save(…, '-v7.3')`.")),
    (0, b"\x12\x01\0\0\0\0\0\0", Foreign("an MXNet weights file (.params)", f"Ask {_ASK}.")),
    (0, b"\xff\xd8\xff", Foreign("a JPEG image", "Name a file of weights or a model; images are IMAGES.")),
    (0, b"\x89PNG\r\n", Foreign("a PNG image", "Name a file of weights or a model; images are IMAGES.")),
    (0, b"GIF8", Foreign("a GIF image", "Name a file of weights or a model; images are IMAGES.")),
    (0, b"%PDF", Foreign("a PDF document", _DOWNLOAD)),
)


def foreign_file(path: Path) -> Foreign | None:
    """Return what a file is that is neither HDF5 nor a .keras archive; None where nothing tells.

    Args:
        path: A regular file.

    Raises:
        OSError: It cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(START)
        file.seek(max(0, size - 8))
        end = file.read(8)
    for offset, magic, known in _MAGIC:
        if start.startswith(magic, offset):
            return known
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if not text.strip(b"\0"):
        return Foreign("empty" if not size else "nothing but zeros", "Download or copy it again.")
    if text.startswith((b"version https://git-lfs", b"version http://git-media", b"version https://hawser")):
        return Foreign(
            "a Git LFS pointer, not the file itself",
            f"`git lfs pull` in its repository fetches the file{_lfs_size(text)}.",
        )
    if start.startswith(b"PK\x03\x04"):
        return _zip(path)
    if text[:1] == b"<":
        return _markup(text[:4096].lower(), path)
    if text[:1] in (b"{", b"["):
        return _json(path, text)
    if size > 8 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
        return Foreign("a safetensors file", _TORCH)
    if start.startswith(b"\x80") and 2 <= start[1] <= 5:
        torch = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19" in start[:16] or path.suffix in (".pth", ".pt")
        return Foreign("a PyTorch file", _TORCH) if torch else Foreign("a Python pickle", f"Ask {_ASK}.")
    return _protobuf(path, start) or _by_name(path, start, end)


def _lfs_size(text: bytes) -> str:
    found = re.search(rb"^size (\d{1,15})$", text, re.MULTILINE)
    return f" of {int(found[1]):,} bytes" if found else ""


def _markup(text: bytes, path: Path) -> Foreign:
    if b"<html" in text or text.startswith(b"<!doctype"):
        return Foreign("a web page, not a weights file", _DOWNLOAD)
    if b"<error>" in text:
        return Foreign("the error message of a web server", _DOWNLOAD)
    if b"<net " in text:
        return Foreign("an OpenVINO model (.xml)", _GRAPH)
    return Foreign("XML, not a weights file", _DOWNLOAD if path.suffix in _KERAS_FILES else None)


def _json(path: Path, text: bytes) -> Foreign:
    def has(*keys: str) -> bool:
        return all(re.search(rb'"%b"\s*:' % key.encode(), text) for key in keys)

    name = path.name
    if b"graph-model" in text or b"tfjs_graph_model" in text:
        return Foreign("a TensorFlow.js graph model", _GRAPH)
    if b"layers-model" in text or has("modelTopology"):
        return Foreign(
            "a TensorFlow.js layers model",
            "Convert it: `tensorflowjs_converter --input_format tfjs_layers_model --output_format keras "
            "model.json model.h5` (`pip install tensorflowjs`).",
        )
    if has("weight_map"):
        shards = b".weights.h5" in text or name.endswith(".weights.json")
        return (
            Foreign("the index of Keras weights split over several files", _one_file("load_weights", "save_weights"))
            if shards
            else Foreign("the index of a model split over several files", _TORCH)
        )
    if name == "config.json" and (path.parent / "model.weights.h5").is_file():
        found = foreign_folder(path.parent)
        return Foreign(f"the configuration of a model whose folder is {found.what}", found.hint)
    if has("class_name", "config"):
        return Foreign(
            "the configuration of a Keras model, without its weights",
            "Build the model with `keras.models.model_from_json`, load its weights, and save both: "
            '`model.save("model.keras")`.',
        )
    return Foreign("a JSON file, not a weights file")


def _one_file(load: str, save: str) -> str:
    return f"Load it with Keras (`{load}`) and save it as one file (`{save}` without `max_shard_size`)."


def _zip(path: Path) -> Foreign | None:
    """Name an archive by the names in it; None for a .keras model, and for one that is damaged."""
    import zipfile

    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()[:MAX_NAMES]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
    if {"config.json", "model.weights.h5"} <= set(names):
        return None
    bases = {name.rsplit("/", 1)[-1] for name in names}
    if "data.pkl" in bases or any("/.data/" in name for name in names):
        return Foreign("a PyTorch file", _TORCH)
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("an archive of NumPy arrays (.npz)", "It holds arrays, no layers; name a file that Keras saved.")
    if any(name.startswith("model") and name.endswith(".weights.json") for name in names):
        return Foreign(
            "a .keras model with its weights split over several files", _one_file("keras.models.load_model", "save")
        )
    if "saved_model.pb" in bases:
        return Foreign("a zip archive of a TensorFlow SavedModel", f"Unpack it. {_SAVED_MODEL}")
    if {"config.json", "model.weights.h5"} <= bases:
        return Foreign(
            "a zip archive of a folder that holds an unpacked .keras model",
            "In a .keras file, config.json and model.weights.h5 stand at the top: unpack it, then "
            "`python -m zipfile -c model.keras FOLDER/*`.",
        )
    inside = [name for name in names if name.endswith(_KERAS_FILES) and not name.startswith("__MACOSX/")]
    if inside:
        return Foreign(f"a zip archive that holds {inside[0]}", "Unpack it (`unzip`), and name the file inside.")
    if any(name.endswith(".mlmodel") for name in names):
        return Foreign("a Core ML package", _GRAPH)
    return Foreign("a zip archive without model.weights.h5 and config.json: not a .keras model")


_SAVED_MODEL_START = re.compile(rb"\x08\x01\x12[\x80-\xff]{0,4}[\0-\x7f][\x0a\x12]")
_ONNX_START = re.compile(rb"\x08[\x03-\x20][\x12\x1a\x22\x28\x32\x3a\x42]")


def _protobuf(path: Path, start: bytes) -> Foreign | None:
    if path.name == "saved_model.pb" or _SAVED_MODEL_START.match(start):
        return Foreign("the graph of a TensorFlow SavedModel", _SAVED_MODEL)
    if path.suffix == ".onnx" or _ONNX_START.match(start):
        return Foreign("an ONNX model", _GRAPH)
    if path.suffix in (".pb", ".pbtxt") or (start[:1] == b"\x0a" and b"Placeholder" in start):
        return Foreign("a frozen TensorFlow graph", _GRAPH)
    return None


_TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"
_ENDINGS = {
    ".mlmodel": Foreign("a Core ML model", _GRAPH),
    ".caffemodel": Foreign("a Caffe model", f"Ask {_ASK}."),
    ".prototxt": Foreign("the configuration of a Caffe model", f"Ask {_ASK}."),
    ".msgpack": Foreign("a Flax weights file", f"Ask {_ASK}."),
    ".weights": Foreign("a Darknet weights file", "Convert it to Keras first, for instance with YAD2K."),
    ".onnx": Foreign("an ONNX model", _GRAPH),
    ".engine": Foreign("a TensorRT engine", _GRAPH),
}
_CHECKPOINT = Foreign(
    "a TensorFlow checkpoint",
    "Load it into the model that it was saved from (`model.load_weights`), and save that as one file: "
    '`model.save("model.keras")`.',
)


def _by_name(path: Path, start: bytes, end: bytes) -> Foreign | None:
    checkpoint = end == _TABLE_END or re.search(r"\.data-\d{5}-of-\d{5}$|\.index$", path.name)
    if checkpoint or start.startswith(b"model_checkpoint_path:"):
        return _CHECKPOINT
    if path.suffix in _ENDINGS:
        return _ENDINGS[path.suffix]
    words = start[:1024]
    if all(byte >= 32 or byte in b"\t\r\n" for byte in words) and b"\0" not in words:
        return Foreign("a text file, not an HDF5 file")
    return None


def foreign_error(path: Path) -> WeightsError:
    """Return the error for a file that is neither HDF5 nor a .keras archive: what it is, and the next step.

    Raises:
        OSError: It cannot be read.
    """
    found = foreign_file(path) or Foreign("not an HDF5 file")
    return WeightsError(
        f"{path} cannot be read: it is {found.what}.",
        hint=found.hint or "tlkit reads the weights and the full models of any Keras (.h5, .weights.h5, .keras).",
    )


def foreign_folder(path: Path) -> Foreign:
    """Return what a folder is, and which file in it to name.

    Args:
        path: A folder.
    """
    try:
        names = {entry.name for entry in path.iterdir()}
    except OSError as error:
        return Foreign(f"a folder that cannot be read ({error.strerror})")
    name = shlex.quote(str(path))
    if {"run.json", "model.keras"} <= names:
        return Foreign("the folder of a run", f"Its model is {path / 'model.keras'}.")
    if "saved_model.pb" in names or "saved_model.pbtxt" in names:
        return Foreign("a TensorFlow SavedModel", _SAVED_MODEL)
    if "config.json" in names and any(re.fullmatch(r"model.*\.weights\.(h5|json)", entry) for entry in names):
        return _unpacked(path, names, name)
    if "model.json" in names:
        try:
            with (path / "model.json").open("rb") as file:
                return _json(path / "model.json", file.read(START))
        except OSError:
            pass
    weights = sorted(entry for entry in names if entry.endswith(_KERAS_FILES))
    if weights:
        more = f", or another of its {len(weights)}" if len(weights) > 1 else ""
        return Foreign("a folder", f"Name the file in it: {path / weights[0]}{more}.")
    if names & {"pytorch_model.bin", "model.safetensors"} or any(entry.endswith((".pth", ".pt")) for entry in names):
        return Foreign("the folder of a PyTorch model", _TORCH)
    if "checkpoint" in names or any(entry.endswith(".index") for entry in names):
        return Foreign(f"the folder of {_CHECKPOINT.what}", _CHECKPOINT.hint)
    if path.suffix == ".mlpackage":
        return Foreign("a Core ML package", _GRAPH)
    for entry in sorted(names):
        if entry.endswith((".onnx", ".tflite", ".mlmodel", ".xml")) and (path / entry).is_file():
            found = foreign_file(path / entry)
            return Foreign(f"a folder with {found.what}", found.hint) if found else Foreign("a folder")
    return Foreign("a folder")


def _unpacked(path: Path, names: set[str], name: str) -> Foreign:
    """Name the folder of an unpacked .keras file, or of a preset of KerasHub, which has the same files."""
    try:
        metadata = json.loads((path / "metadata.json").read_text("utf-8"))
        config = json.loads((path / "config.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        metadata = config = None
    registered = f"{config.get('registered_name')} {config.get('module')}" if isinstance(config, dict) else ""
    hub = isinstance(metadata, dict) and any(key.startswith(("keras_hub", "keras_nlp", "keras_cv")) for key in metadata)
    if hub or re.search("keras_hub|keras_nlp|keras_cv", registered):
        return Foreign(
            "a preset of KerasHub, whose layers are not Keras's own",
            "Load it with `keras_hub`; tlkit reads models of Keras's own layers.",
        )
    if "model.weights.h5" not in names:
        return Foreign("an unpacked .keras model with its weights split over several files", _one_file("load", "save"))
    return Foreign(
        "an unpacked .keras model",
        f"Pack it: `python -m zipfile -c {shlex.quote(f'{path.resolve().name}.keras')} {name}/*`.",
    )


def is_torch_stream(path: Path) -> bool:
    """Return True if the file starts with a pickle, like old PyTorch files."""
    with path.open("rb") as file:
        return file.read(1) == b"\x80"
