"""The unit of systemd that keeps `runguard monitor` running."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

UNIT: Final = "runguard-monitor.service"

# Commands of channels run inside of this too: no rule here keeps a program from running.
_HARDENED: Final = """\
NoNewPrivileges=yes
CapabilityBoundingSet=
PrivateTmp=yes
PrivateDevices=yes
ProtectSystem=strict
ProtectHome=read-only
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
UMask=0077
"""


def monitor_unit(written: Iterable[Path]) -> str:
    """Write the unit for this interpreter, this user and this folder.

    Args:
        written: Folders in which rounds write: the spool's, and that of a store in a file.
    """
    paths = "".join(f"ReadWritePaths={_word(f'-{path}')}\n" for path in written)
    return f"""\
# /etc/systemd/system/{UNIT}
[Unit]
Description=runguard: notice what did not run, and tell people
Wants=network-online.target
After=network-online.target

[Service]
User={getpass.getuser()}
# RUNGUARD_DATABASE_URL, RUNGUARD_CONFIG, RUNGUARD_PING_URL and the secrets of channels
EnvironmentFile=/etc/runguard/environment
WorkingDirectory={_escaped(str(Path.cwd()))}
ExecStart={" ".join(map(_word, _command()))}
Restart=always
RestartSec=5

{_HARDENED}{paths}
[Install]
WantedBy=multi-user.target
"""


def _command() -> Iterator[str]:
    """Name the program that is installed for this interpreter."""
    program = Path(sys.executable).with_name("runguard")
    if program.exists():
        yield str(program)
    else:
        yield from (sys.executable, "-m", "runguard")
    yield from ("monitor", "--quiet")


def _word(text: str) -> str:
    """Spell one word of a line: systemd takes `%`, `$`, quotes and white space as its own."""
    escaped = _escaped(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if any(sign.isspace() or sign in "\"'\\;" for sign in text) else escaped


def _escaped(text: str) -> str:
    return text.replace("%", "%%")
