"""``tlkit`` and ``python -m tlkit``."""

import gc
import os
import signal
import sys


def main() -> None:
    """Run the command line and end the process."""
    # until tlkit.cli.interrupts takes over: importing swallows a KeyboardInterrupt that comes at the wrong moment
    signal.signal(signal.SIGINT, _end)
    gc.set_threshold(50_000)  # nothing that modules define as they are imported is garbage: a tenth of a short command
    if "inspect-h5" in sys.argv[1:3]:
        from tlkit.keras_files import fork_spare

        fork_spare()
    from tlkit.cli import main
    from tlkit.cli.interrupts import run

    run(main)


def _end(number: int, frame: object) -> None:
    os.write(2, b"Interrupted.\n")
    os._exit(128 + number)


if __name__ == "__main__":
    main()
