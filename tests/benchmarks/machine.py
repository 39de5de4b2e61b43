"""Where it was measured: the machine's shape, and the versions of what took part."""

from __future__ import annotations

import os
import platform
import statistics
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil
import psycopg
import psycopg.pq
import sqlalchemy

PEERS = ("cronwatch-sdk", "sentry-sdk")


def shape() -> dict[str, Any]:
    """Cores, memory, processor, system, and what the disk takes to sync one small write."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "cpu": _processor(),
        "system": f"{platform.system()} {platform.release()}",
        "disk_sync_ms": round(_sync_ms(), 3),
    }


def versions(server_version: str) -> dict[str, str]:
    """What took part; a peer that is not installed says so."""
    installed = {name: _installed(name) for name in ("runguard-runlog", *PEERS)}
    return {
        "Python": platform.python_version(),
        "PostgreSQL": server_version,
        "SQLAlchemy": sqlalchemy.__version__,
        "psycopg": f"{psycopg.__version__} ({psycopg.pq.__impl__})",
        **installed,
    }


def _installed(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _sync_ms() -> float:
    """The median of some appended and synced pages: the floor under every durable commit."""
    times = []
    with tempfile.TemporaryFile(dir="/tmp") as file:  # where the servers have their folders
        for _ in range(100):
            begun = time.perf_counter()
            file.write(b"\0" * 8192)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)
