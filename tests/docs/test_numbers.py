"""Numbers that the documentation states are those of the code."""

import re

import pytest
from helpers.pages import ROOT

from tlkit.architectures.registry.lookup import all_architectures
from tlkit.data.images.decode import MAX_PIXELS
from tlkit.data.url import LIMITS

pytestmark = pytest.mark.docs


def test_the_networks_are_counted():
    for page, noun in (
        ("README.md", " networks"),
        ("README.zh-CN.md", " 个网络"),
        ("docs/reference/networks.md", " networks"),
    ):
        text = (ROOT / page).read_text("utf-8")
        assert {*re.findall(rf"\b(\d+){noun}", text)} == {str(len(all_architectures()))}


def test_the_limits_of_images_and_downloads():
    text = (ROOT / "docs" / "reference" / "inputs.md").read_text("utf-8")
    assert f"{MAX_PIXELS // 10**6} million pixels" in text
    assert f"({LIMITS.seconds:.0f} seconds, {LIMITS.max_bytes // 10**6} MB)" in text
