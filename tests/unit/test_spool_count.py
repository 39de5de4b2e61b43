"""Counting records that wait, again and again."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from runguard._run import spool_count
from runguard._run.spool import Spool
from runguard._run.spool_count import SpoolCounter

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with three records, which nobody has written to for a minute."""
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    for name in "abc":
        (folder / f"{name}.json").touch()
    a_minute_ago = time.time() - 60
    os.utime(folder, (a_minute_ago, a_minute_ago))
    return folder


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    reads: list[int] = []
    read = spool_count.records_in
    monkeypatch.setattr(
        spool_count, "records_in", lambda handle: reads.append(handle) or read(handle)
    )
    return reads


def test_a_folder_that_has_not_changed_is_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, counter = count_reads(monkeypatch), SpoolCounter()

    assert [counter.count(Spool(folder)) for _ in range(3)] == [3, 3, 3]
    assert len(reads) == 1
    (folder / "d.json").touch()
    assert counter.count(Spool(folder)) == 4


def test_a_folder_that_has_just_changed_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads, counter = count_reads(monkeypatch), SpoolCounter()
    os.utime(folder)

    assert [counter.count(Spool(folder)) for _ in range(2)] == [3, 3]
    assert len(reads) == 2


def test_a_folder_that_is_gone_has_no_records(folder: Path, tmp_path: Path) -> None:
    counter = SpoolCounter()
    assert counter.count(Spool(folder)) == 3
    folder.rename(tmp_path / "elsewhere")

    assert counter.count(Spool(folder, instead=[tmp_path / "never"])) == 0
