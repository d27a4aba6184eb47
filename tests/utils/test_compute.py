"""Which backend and device are chosen, without either being imported."""

import sys
from types import SimpleNamespace

import pytest

from tlkit.errors import TlkitError, UsageError
from tlkit.utils import compute


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process in which nothing has been chosen or imported; ``installed`` are the backends there are."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for module in ("keras", "tlkit.backend"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(compute, "_backend", None)
    monkeypatch.setattr(compute, "_device", "auto")
    installed = {"tensorflow", "jax"}
    monkeypatch.setattr(compute, "is_installed", installed.__contains__)
    return installed


@pytest.mark.parametrize(
    ("variable", "saved", "without", "expected"),
    [
        (None, None, None, "tensorflow"),
        ("jax", None, None, "jax"),
        (None, "jax", None, "jax"),
        ("tensorflow", "jax", None, "tensorflow"),
        (None, None, "tensorflow", "jax"),
        (None, "tensorflow", "tensorflow", "jax"),  # Keras has written that by itself
        ("torch", None, None, "tensorflow"),
    ],
)
def test_the_backend_is_keras_setting_where_tlkit_has_it(
    fresh, monkeypatch, tmp_path, variable, saved, without, expected
):
    if variable:
        monkeypatch.setenv("KERAS_BACKEND", variable)
    if saved:
        (tmp_path / "keras.json").write_text(f'{{"backend": "{saved}"}}')
    fresh.discard(without)
    assert compute.backend() == expected
    assert "keras" not in sys.modules


def test_an_option_comes_first(fresh, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    compute.use(None, "tensorflow", "cpu")
    assert (compute.backend(), compute.device(), compute.uses_gpu()) == ("tensorflow", "cpu", False)
    compute.use(None, None, "gpu:1")
    assert (compute.backend(), compute.device(), compute.uses_gpu()) == ("jax", "gpu:1", True)


def test_a_backend_that_is_not_installed_is_named(fresh, monkeypatch):
    monkeypatch.setattr("tlkit.utils.extras.is_installed", lambda name: False)
    with pytest.raises(TlkitError, match="Keras's backend jax needs jax, which is not installed") as raised:
        compute.use_backend("jax")
    assert raised.value.hint == "pip install 'tlkit[jax]'"


@pytest.mark.parametrize(("package", "backend", "expected"), [
    ("nvidia.cudnn", "tensorflow", True), ("jax_cuda13_plugin", "jax", True),
    ("jax_cuda13_plugin", "tensorflow", False),
])  # fmt: skip
def test_a_gpu_is_used_where_there_is_a_driver_and_the_backend_has_its_libraries(
    fresh, monkeypatch, tmp_path, package, backend, expected
):
    monkeypatch.setattr(compute, "_backend", backend)
    fresh.add(package)
    monkeypatch.setattr(compute, "DRIVER", tmp_path / "version")
    assert not compute.uses_gpu()
    (tmp_path / "version").touch()
    assert compute.uses_gpu() is expected
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert not compute.uses_gpu()


def test_a_process_keeps_its_device(fresh, monkeypatch):
    compute.use_device("cpu")
    monkeypatch.setitem(sys.modules, "tlkit.backend", object())
    compute.use_device("cpu")
    compute.use_device("auto")
    assert compute.device() == "cpu"
    with pytest.raises(UsageError, match="--device gpu: this process computes on cpu"):
        compute.use_device("gpu")


def test_what_a_process_computes_on_anyhow_may_be_named(fresh, monkeypatch):
    monkeypatch.setitem(sys.modules, "tlkit.backend", object())
    compute.use_device("cpu")  # there is no GPU
    with pytest.raises(UsageError, match="--device gpu:1: this process computes on the cpu since Keras has started"):
        compute.use_device("gpu:1")


def test_what_needs_a_backend_is_named(fresh, monkeypatch):
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: "jax"))
    monkeypatch.setitem(sys.modules, "keras", keras)
    with pytest.raises(TlkitError, match="TensorFlow writes litert: Keras was imported with jax in this process"):
        compute.use_backend("tensorflow", by="TensorFlow writes litert")
