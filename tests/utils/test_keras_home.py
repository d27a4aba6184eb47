"""Keras's folder and settings, found as Keras finds them, and read without it."""

import os
from pathlib import Path

import pytest

from tlkit.utils.keras_home import keras_home, read_settings, settings


def test_a_user_without_a_home_has_the_folder_that_keras_uses(monkeypatch):
    monkeypatch.delenv("KERAS_HOME")
    assert keras_home() == Path.home() / ".keras"
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert keras_home() == Path("/tmp/.keras")


@pytest.mark.parametrize(
    ("content", "expected", "problem"),
    [
        (None, {}, None),
        ('{"backend": "jax"}', {"backend": "jax"}, None),
        ("{broken", None, "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        ("[]", None, "it holds a list, not settings by name"),
    ],
)
def test_what_is_read_and_what_is_wrong(monkeypatch, tmp_path, content, expected, problem):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    if content is not None:
        (tmp_path / "keras.json").write_text(content)
    assert read_settings() == (expected, problem)
    assert settings() == expected


def test_a_file_that_cannot_be_read(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").mkdir()
    assert read_settings() == (None, "it cannot be read (Is a directory)")
