"""The command line: the group, its global options, and nothing heavy."""

from __future__ import annotations

import click

from tlkit import __version__
from tlkit.cli.app import TlkitGroup, set_up_output

COMMANDS = {
    "predict": "tlkit.cli.predict:predict",
    "check": "tlkit.cli.check:check",
    "compare": "tlkit.cli.compare:compare",
    "extract": "tlkit.cli.extract:extract",
    "bottleneck": "tlkit.cli.bottleneck:bottleneck",
    "finetune": "tlkit.cli.finetune:finetune",
    "find-lr": "tlkit.cli.find_lr:find_lr",
    "evaluate": "tlkit.cli.evaluate:evaluate",
    "export": "tlkit.cli.export:export",
    "serve": "tlkit.cli.serve:serve",
    "archs": "tlkit.cli.archs:archs",
    "inspect-h5": "tlkit.cli.inspect_h5:inspect_h5",
    "convert-h5": "tlkit.cli.convert_h5:convert_h5",
    "weights": "tlkit.cli.weights:weights",
    "cache": "tlkit.cli.cache:cache",
    "doctor": "tlkit.cli.doctor:doctor",
    "completion": "tlkit.cli.completion:completion",
}


@click.group(
    cls=TlkitGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("-v", "--verbose", is_flag=True, help="Show debug messages, those of TensorFlow, and tracebacks.")
@click.option("-q", "--quiet", is_flag=True, help="Show warnings and errors only; results still go to stdout.")
@click.version_option(__version__, prog_name="tlkit", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, verbose: bool, quiet: bool) -> None:
    """Transfer learning for images from the command line, on Keras.

    Classify images, train a classifier for your own folders of images, and use it:

    \b
        tlkit predict img.jpg
        tlkit finetune data/ -o flowers
        tlkit predict --model flowers img.jpg

    Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 an error, 2 wrong usage, 3 done but some
    inputs were skipped, 130 interrupted.
    """
    set_up_output(context, verbose=verbose, quiet=quiet)
