"""Read any Keras file since 2015, safely: weights and models of Keras 0.3 to 3, ``.h5``, ``.weights.h5``, ``.keras``.

    from pathlib import Path
    from tlkit import keras_files

    with keras_files.open_file(Path("vgg16.h5")) as file:
        print(file.header.dialect, len(file.layers))
    model = keras_files.load_model(Path("model_2017.h5")).model
    report = keras_files.load_weights(model, Path("weights_2016.h5"))

This module imports nothing heavy; h5py, NumPy and Keras are imported by the functions that need them. README.md beside
it describes the formats, the layout of this package and its safety promises.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tlkit.keras_files.foreign import foreign_error as foreign_error
    from tlkit.keras_files.foreign import foreign_folder as foreign_folder
    from tlkit.keras_files.foreign import is_torch_stream as is_torch_stream
    from tlkit.keras_files.full_model import LoadedModel as LoadedModel
    from tlkit.keras_files.full_model import ModelDescription as ModelDescription
    from tlkit.keras_files.full_model import describe_model as describe_model
    from tlkit.keras_files.full_model import load_model as load_model
    from tlkit.keras_files.full_model import read_model_arrays as read_model_arrays
    from tlkit.keras_files.hdf5.spare_process import fork_spare as fork_spare
    from tlkit.keras_files.hdf5.subprocess_guard import run_in_subprocess as run_in_subprocess
    from tlkit.keras_files.hdf5.validate import SIGNATURE as SIGNATURE
    from tlkit.keras_files.hdf5.validate import check_is_file as check_is_file
    from tlkit.keras_files.hdf5.validate import is_archive as is_archive
    from tlkit.keras_files.hdf5.validate import is_hdf5 as is_hdf5
    from tlkit.keras_files.hdf5.validate import structure_problem as structure_problem
    from tlkit.keras_files.keras_file import KerasFile as KerasFile
    from tlkit.keras_files.keras_file import open_file as open_file
    from tlkit.keras_files.loading.assign import LoadReport as LoadReport
    from tlkit.keras_files.loading.assign import assign_arrays as assign_arrays
    from tlkit.keras_files.loading.assign import assign_by_name as assign_by_name
    from tlkit.keras_files.loading.assign import match_by_name as match_by_name
    from tlkit.keras_files.loading.assign import read_arrays as read_arrays
    from tlkit.keras_files.loading.assign import report_of as report_of
    from tlkit.keras_files.loading.layer_spec import LayerSpec as LayerSpec
    from tlkit.keras_files.loading.layer_spec import groups_of as groups_of
    from tlkit.keras_files.loading.layer_spec import layer_arrays as layer_arrays
    from tlkit.keras_files.loading.layer_spec import recurrent_activation_of as recurrent_activation_of
    from tlkit.keras_files.loading.layer_spec import target_layers as target_layers
    from tlkit.keras_files.loading.load import load_weights as load_weights
    from tlkit.keras_files.loading.load import require_loadable as require_loadable
    from tlkit.keras_files.loading.load import why_not as why_not
    from tlkit.keras_files.loading.plan import Plan as Plan
    from tlkit.keras_files.loading.plan import plan_loading as plan_loading
    from tlkit.keras_files.loading.steps import Network as Network
    from tlkit.keras_files.loading.steps import layer_options as layer_options
    from tlkit.keras_files.loading.steps import read_network as read_network
    from tlkit.keras_files.model_config import ConfigLayer as ConfigLayer
    from tlkit.keras_files.model_config import data_layout as data_layout
    from tlkit.keras_files.torch_legacy_reader import read_torch_stream as read_torch_stream
    from tlkit.keras_files.types import FEATURES as FEATURES
    from tlkit.keras_files.types import Header as Header
    from tlkit.keras_files.verify import check_crc as check_crc
    from tlkit.keras_files.verify import start_verifying as start_verifying
    from tlkit.keras_files.verify import verify_readable as verify_readable
    from tlkit.keras_files.write_archive import write_archive as write_archive

_NAMES = {
    "foreign": ("foreign_error", "foreign_folder", "is_torch_stream"),
    "full_model": ("LoadedModel", "ModelDescription", "describe_model", "load_model", "read_model_arrays"),
    "hdf5.spare_process": ("fork_spare",),
    "hdf5.subprocess_guard": ("run_in_subprocess",),
    "hdf5.validate": ("SIGNATURE", "check_is_file", "is_archive", "is_hdf5", "structure_problem"),
    "keras_file": ("KerasFile", "open_file"),
    "loading.assign": ("LoadReport", "assign_arrays", "assign_by_name", "match_by_name", "read_arrays", "report_of"),
    "loading.steps": ("Network", "layer_options", "read_network"),
    "loading.layer_spec": ("LayerSpec", "groups_of", "layer_arrays", "recurrent_activation_of", "target_layers"),
    "loading.load": ("load_weights", "require_loadable", "why_not"),
    "loading.plan": ("Plan", "plan_loading"),
    "model_config": ("ConfigLayer", "data_layout"),
    "torch_legacy_reader": ("read_torch_stream",),
    "types": ("FEATURES", "Header"),
    "verify": ("check_crc", "start_verifying", "verify_readable"),
    "write_archive": ("write_archive",),
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(_MODULES)
