"""Files that nobody sees half-written: reports, and the records of the spool."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from runguard._run.atomic_file import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    handle = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield handle
    finally:
        os.close(handle)


def test_what_fails_leaves_the_file_as_it_was_and_nothing_beside_it(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_whole(folder, "report", b"old")

    def fail(_file: int) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="full"):
        write_whole(folder, "report", b"new")

    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["report"]
    assert (tmp_path / "report").read_bytes() == b"old"


@pytest.mark.parametrize(("mode", "found"), [(None, 0o640), (0o666, 0o666), (0o600, 0o600)])
def test_a_file_has_the_mode_that_is_asked_for_or_that_of_the_umask(
    mode: int | None, found: int, folder: int, tmp_path: Path
) -> None:
    before = os.umask(0o027)
    try:
        write_whole(folder, "report", b"", mode=mode)
    finally:
        os.umask(before)

    assert stat.S_IMODE((tmp_path / "report").stat().st_mode) == found
