"""The command line in this process, as the tests of the other commands have it."""

from tests.cli.conftest import _plain_output, cli

__all__ = ["_plain_output", "cli"]
