"""A weights file of any dialect into a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tlkit.config import LoadOptions
from tlkit.errors import WeightsError
from tlkit.keras_files.format_detection import read_header
from tlkit.keras_files.hdf5.open import OpenFile, open_file
from tlkit.keras_files.layers import saved_layers
from tlkit.keras_files.loading.assign import LoadReport, assign_plan
from tlkit.keras_files.loading.layer_spec import TargetLayer
from tlkit.keras_files.loading.plan import Plan, SavedFile, make_plan
from tlkit.keras_files.types import TITLES
from tlkit.utils.text import join_truncated, pluralize

QUESTIONS = {
    "layout": "whether it was trained with channels first (--layout th) or last (--layout tf)",
    "flip_kernels": "whether its kernels are Theano's (--flip-kernels) or TensorFlow's (--no-flip-kernels)",
}
"""What a file may leave open, in words."""


@contextmanager
def open_saved(path: Path) -> Iterator[tuple[OpenFile, SavedFile]]:
    """Open a weights or model file and read what layers it has.

    Raises:
        WeightsError: No such file, or damaged, or it points outside itself.
    """
    with open_file(path) as opened:
        header = read_header(opened)
        yield opened, SavedFile(header, saved_layers(opened.root, header))


def load_file(
    path: Path,
    places: Sequence[TargetLayer],
    options: LoadOptions,
    *,
    into: str,
    old_names: Mapping[str, str] | None = None,
) -> LoadReport:
    """Load a file into the layers of a model.

    Args:
        path: The file.
        places: The layers.
        options: How, where the file leaves it open.
        into: The model's name, for messages.
        old_names: ``{name of a layer in old files: its name today}``.

    Raises:
        WeightsError: It does not fit, says too little, or is damaged; the model is as it was.
    """
    with open_saved(path) as (_, file):
        plan = make_plan(file, [place.spec for place in places], options, old_names=old_names)
        refuse(plan, file, path, options, into)
        return assign_plan(places, plan)


def refuse(plan: Plan, file: SavedFile, path: Path, options: LoadOptions, into: str) -> None:
    """Raise unless the plan may be carried out.

    Raises:
        WeightsError: With what the file has and what the model wants.
    """
    name, title = str(path), TITLES[file.header.dialect]
    holders = [layer for layer in file.layers if layer.tensors]
    if not holders:
        raise WeightsError(
            f"{name} ({title}) holds no layer with weights that tlkit knows how to read.",
            hint=f"`tlkit inspect-h5 {name}` shows what it holds.",
        )
    if not plan.layers or (not plan.complete and not options.skip_mismatch):
        raise WeightsError(f"{name} does not load into {into}: {why_not(plan, holders)}.", hint=_way_out(plan, options))
    if plan.questions:
        raise WeightsError(
            f"{name} ({title}) does not say {' nor '.join(QUESTIONS[question] for question in plan.questions)}.",
            hint="Say which; weights on the internet usually tell in their name or on their page.",
        )


def why_not(plan: Plan, holders: Sequence[object]) -> str:
    """Why a plan is not complete, in one line."""
    reasons = []
    if plan.missing:
        names = join_truncated([layer.name for layer in plan.missing], most=3)
        reasons.append(
            f"the file holds {pluralize(len(holders), 'layer')} with weights, the network {plan.expected}; "
            f"{pluralize(len(plan.missing), 'layer')} of it "
            f"{'has' if len(plan.missing) == 1 else 'have'} no partner ({names})"
        )
    if plan.mismatched:
        expected, saved, reason = plan.mismatched[0]
        other = f" (in the file {saved.name})" if saved.name != expected.name else ""
        more = f", and {pluralize(len(plan.mismatched) - 1, 'layer')} more" if len(plan.mismatched) > 1 else ""
        reasons.append(f"of layer {expected.name}{other}, {reason}{more}")
    return "; ".join(reasons)


def _way_out(plan: Plan, options: LoadOptions) -> str:
    other = "by order (leave --by-name out)" if options.by_name else "--by-name"
    if plan.layers and not options.skip_mismatch:
        return (
            f"Is it of another architecture, or of one with (or without) its classifier? Try {other}; "
            f"--skip-mismatch takes the {pluralize(len(plan.layers), 'layer')} that fit."
        )
    return f"Is it of another architecture, or of one with (or without) its classifier? Try {other}."
