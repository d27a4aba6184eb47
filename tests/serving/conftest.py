"""A run of the toy base to serve, and the images that it is asked about."""

import io

import pytest
from helpers.program import invoke
from helpers.served import served
from PIL import Image


@pytest.fixture(scope="module")
def run(toy, textures, tmp_path_factory):
    """A run that knows what is unlike its images."""
    folder = tmp_path_factory.mktemp("served") / "run"
    ran = invoke("finetune", textures, *toy, "--recipe", "fast", "-o", folder)
    assert ran.code == 0, ran.err
    return folder


@pytest.fixture(scope="module")
def server(run):
    with served(run) as client:
        yield client


@pytest.fixture(scope="session")
def brick(textures):
    """The bytes of an image."""
    return (textures / "validation" / "brick" / "0.png").read_bytes()


@pytest.fixture(scope="session")
def photograph(chelsea):
    """The bytes of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(chelsea).save(buffer, "JPEG")
    return buffer.getvalue()
