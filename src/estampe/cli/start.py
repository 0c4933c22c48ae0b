"""The console script: nothing heavy is imported before Ctrl-C is answered."""

from __future__ import annotations


def main() -> None:
    """Run the command line. Ctrl-C while its modules are imported (0.2 s) ends it as later on: 130, without a traceback."""
    try:
        from estampe.cli import main as tree

        tree.main()
    except KeyboardInterrupt:
        raise SystemExit(130) from None  # `exits.INTERRUPTED`, which may be what was being imported
