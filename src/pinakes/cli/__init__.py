"""The command line. Commands load what they need when they run, so that `pinakes --help` is quick."""

import sys


def main() -> None:
    """Run a command. Exit status 0, 1 with one line on standard error if it failed, 2 if it was called wrongly."""
    from pinakes.cli.app import app

    try:
        app()
    except Exception as error:
        from pinakes.failures import explain

        for line in explain(error):
            sys.stderr.write(f"pinakes: {line}\n")
        sys.exit(1)
