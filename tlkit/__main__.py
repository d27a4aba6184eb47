"""``tlkit`` and ``python -m tlkit``."""

import os


def main() -> None:
    """Run the command line and end the process."""
    try:
        from tlkit.cli import main
        from tlkit.cli.interrupts import run

        run(main)
    except KeyboardInterrupt:  # before it could be handled: click is being imported
        os.write(2, b"Interrupted.\n")
        os._exit(130)


if __name__ == "__main__":
    main()
