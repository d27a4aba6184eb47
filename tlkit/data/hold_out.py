"""Divide labelled files: which are held out for validation, and what must not be divided."""

from __future__ import annotations

import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from tlkit.data.digests import Digest, repeated
from tlkit.data.labelled_files import ClassFiles
from tlkit.utils.text import join_truncated, pluralize


def unit(file: str, digest: Digest, groups: Mapping[str, str]) -> str | bytes:
    """Return what a file belongs to: files of one group, or of the same bytes, are in one split and one fold."""
    return groups.get(file) or digest or file


def unit_numbers(files: Sequence[str], digests: Sequence[Digest], groups: Mapping[str, str]) -> np.ndarray:
    """Return the number of what each file belongs to, ``(files,)`` int64."""
    units = [unit(file, digest, groups) for file, digest in zip(files, digests, strict=True)]
    numbers = {each: number for number, each in enumerate(dict.fromkeys(units))}
    return np.array([numbers[each] for each in units], np.int64)


def hold_out(
    found: ClassFiles, share: float, seed: int, digest_of: Mapping[str, Digest], _: Mapping[str, str]
) -> tuple[ClassFiles, ClassFiles]:
    """Split each class into training and validation files; with two or more, each side gets at least one.

    A class is seeded by its own name, so adding a class moves no file of another. Files of the same bytes are on one
    side; those under two classes train, so that no accuracy is measured on a label that may be wrong.
    """
    train: ClassFiles = {}
    validation: ClassFiles = {}
    again = repeated(digest_of[file] for files in found.values() for file in files)
    shared = repeated(digest for files in found.values() for digest in again.intersection(map(digest_of.get, files)))
    for name, files in found.items():
        count = min(max(round(len(files) * share), 1), len(files) - 1)
        order = np.random.default_rng([seed, zlib.crc32(os.fsencode(name))]).permutation(len(files)).tolist()
        groups: dict[Digest | int, list[int]] = {}
        for number in order:
            digest = digest_of[files[number]]
            if digest not in shared:
                groups.setdefault(digest if digest in again else number, []).append(number)
        chosen: set[int] = set()
        for group in groups.values():
            if len(chosen) + len(group) <= count:
                chosen.update(group)
        smallest = min(groups.values(), key=len, default=[])
        if not chosen and len(smallest) < len(files):  # every group is larger than the share
            chosen.update(smallest)
        validation[name] = [file for number, file in enumerate(files) if number in chosen]
        train[name] = [file for number, file in enumerate(files) if number not in chosen]
    return train, validation


def hold_out_groups(
    found: ClassFiles, share: float, seed: int, digest_of: Mapping[str, Digest], groups: Mapping[str, str]
) -> tuple[ClassFiles, ClassFiles]:
    """Split into training and validation files so that each group, and files of the same bytes, are on one side.

    Source: Sechidis, Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data (2011): the rarest class is
    dealt out first, because it has the least choice. A class with two groups or more keeps one to train on, and no
    group is held out that brings the classes further from their shares.
    """
    counts: dict[str | bytes, Counter[str]] = {}
    for name, files in found.items():
        for file in files:
            counts.setdefault(unit(file, digest_of[file], groups), Counter())[name] += 1
    left = {name: len(files) for name, files in found.items()}
    target = {name: min(max(round(count * share), 1), max(count - 1, 0)) for name, count in left.items()}
    wanted = dict(target)
    random = np.random.default_rng(seed)
    keys, held, dealt = list(counts), set(), set()
    for name in sorted(found, key=lambda name: (left[name], name)):
        for place in random.permutation(len(keys)).tolist():
            key = keys[place]
            if key in dealt or not counts[key][name]:
                continue
            dealt.add(key)
            gain = sum(
                (abs(wanted[other]) - abs(wanted[other] - count)) / max(target[other], 1)
                for other, count in counts[key].items()
            )
            if wanted[name] > 0 and gain > 0 and all(left[other] > count for other, count in counts[key].items()):
                held.add(key)
                for other, count in counts[key].items():
                    wanted[other] -= count
                    left[other] -= count
    parts = [
        {name: [file for file in files if (unit(file, digest_of[file], groups) in held) is is_held]
         for name, files in found.items()}
        for is_held in (False, True)
    ]  # fmt: skip
    return parts[0], parts[1]


def shared_groups(by_split: Mapping[str, ClassFiles], groups: Mapping[str, str]) -> list[str]:
    """Describe groups that are on both sides of a split."""
    of_split = {
        split: {groups[file] for files in found.values() for file in files if file in groups}
        for split, found in by_split.items()
    }
    return [
        f"{pluralize(len(shared), 'group')} of {second} {'is' if len(shared) == 1 else 'are'} also in {first} "
        f"({join_truncated(sorted(shared), most=3)}): the {second} accuracy is too optimistic."
        for first, second in combinations(of_split, 2)
        if (shared := of_split[first] & of_split[second])
    ]
