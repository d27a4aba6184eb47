"""``tlkit`` and ``python -m tlkit``."""

import gc
import os
import sys


def main() -> None:
    """Run the command line and end the process."""
    gc.set_threshold(50_000)  # nothing that modules define as they are imported is garbage: a tenth of a short command
    if "inspect-h5" in sys.argv[1:3]:
        from tlkit.keras_files import fork_spare

        fork_spare()
    try:
        from tlkit.cli import main
        from tlkit.cli.interrupts import run

        run(main)
    except KeyboardInterrupt:  # before it could be handled: click is being imported
        os.write(2, b"Interrupted.\n")
        os._exit(130)


if __name__ == "__main__":
    main()
