"""The folder of a SQLite file."""

from __future__ import annotations

from pathlib import Path

from ..._errors import StoreUnavailable


def make_folder_of(file: str | None) -> None:
    """Make the folder of a SQLite file."""
    try:
        Path(file or "").parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot create the folder of {file}: {error.strerror}; set RUNGUARD_DATABASE_URL"
        ) from error
