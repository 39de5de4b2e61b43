"""What every test has around it, for what happens before the first."""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from runguard import _settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def world_in(folder: Path) -> Iterator[None]:
    """No setting of the developer's, the state in a folder, and no alert in the log."""
    with pytest.MonkeyPatch.context() as world:
        for name in os.environ:
            if name.startswith("RUNGUARD_") or name in _settings.__dict__.values():
                world.delenv(name)
        world.setenv("XDG_STATE_HOME", str(folder / "state"))
        world.setattr(logging.getLogger("runguard"), "level", logging.ERROR)
        yield
