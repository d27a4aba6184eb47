"""``tlkit bottleneck``."""

from __future__ import annotations

from typing import Any

import click

from tlkit.cli.app import SOME_SKIPPED
from tlkit.cli.options import GroupedOption, config_option, job_command
from tlkit.cli.output import echo, echo_json
from tlkit.cli.parts import end_with_part
from tlkit.config import BottleneckConfig
from tlkit.utils.text import pluralize


@job_command(BottleneckConfig, summary="Compute bottleneck features of a data folder.")
@config_option
@click.option("--json", "as_json", cls=GroupedOption, is_flag=True, help="Print the result as JSON.")
@click.pass_context
def bottleneck(context: click.Context, /, options: dict[str, Any], as_json: bool) -> None:
    """Compute bottleneck features, what a network without its classifier gives, for every image in DATA.

    DATA holds class folders as for `tlkit finetune`, of images, or of recordings where the base takes audio.

    For each split of DATA (train, validation, test): bottleneck_features_SPLIT.npy, bottleneck_labels_SPLIT.npy and
    bottleneck_SPLIT.json (class names, files, provenance); or with --format hdf5 one bottleneck_features.h5 with a
    group for each split. Interrupted, the same command resumes; run again, it computes only what is new or changed.

    \b
        tlkit bottleneck data/ -o features/
        tlkit bottleneck data/ -o maps/ --arch vgg16 --size 150 --pooling none
        tlkit finetune data/ --features features/
    """
    from tlkit import api

    result = api.bottleneck(**options)
    if options.get("part"):
        end_with_part(context, result, as_json=as_json)
    if as_json:
        echo_json(result.to_dict())
    else:
        for name, shape in result.shapes.items():
            count = f"{pluralize(shape[0], 'sample')} of {'x'.join(map(str, shape[1:]))}"
            echo(f"{name:<10}  {count}  {result.files[name][0]}")
    if result.skipped:
        context.exit(SOME_SKIPPED)
