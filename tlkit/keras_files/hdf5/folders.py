"""The groups of a file that Keras 3 names, as a tree."""

from __future__ import annotations

from functools import cached_property

import h5py

from tlkit.errors import WeightsError
from tlkit.keras_files.hdf5.links import has, inside, names
from tlkit.utils.text import MAX_NAME


class Folder:
    """A group, with the groups in it by name.

    Args:
        place: Its path in the file.
        group: The group; None for a part of a name that has no group of its own.
    """

    def __init__(self, place: str = "", group: h5py.Group | None = None) -> None:
        self.place, self.group = place, group

    @cached_property
    def folders(self) -> dict[str, Folder]:
        """The groups in it, reached over hard links only.

        Raises:
            WeightsError: A name is longer than any that Keras gives.
        """
        found: dict[str, Folder] = {}
        if self.group is None:
            return found
        for name in names(self.group):
            if len(name) > MAX_NAME:
                raise WeightsError(f"{self.group.file.filename} holds a group with a name of {len(name):,} characters.")
            if has(self.group, name):
                item = inside(self.group, name)
                if isinstance(item, h5py.Group):
                    found[name] = Folder(f"{self.place}/{name}".lstrip("/"), item)
        return found


def split_backslashes(top: Folder) -> None:
    r"""Put each group of a name like ``layers\conv2d`` where the name says.

    On Windows, Keras 2.12 to 2.14 joined the path to a layer with backslashes, which HDF5 takes as a part of the name.
    """
    for name in [name for name in top.folders if "\\" in name]:
        *outer, last = filter(None, name.split("\\")) or (name,)
        folder, node = top.folders.pop(name), top
        for part in outer:
            node = node.folders.setdefault(part, Folder())
        if last in node.folders:
            folder.folders.update(node.folders[last].folders)
        node.folders[last] = folder
