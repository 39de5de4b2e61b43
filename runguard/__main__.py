"""`python -m runguard` and the console script."""

from __future__ import annotations


def main() -> int:
    """Run the command line; returns its exit code."""
    raise NotImplementedError


if __name__ == "__main__":
    raise SystemExit(main())
