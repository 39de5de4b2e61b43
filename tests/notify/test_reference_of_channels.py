"""The reference of the channels says what they really send and take."""

from __future__ import annotations

import json
import re
from pathlib import Path

from runguard._monitor.notices import NoticeKind
from runguard._notify.channels import apprise, command, smtp, webhook
from runguard._notify.channels.payload import payload
from tests.support.channels import message

PAGE = (Path(__file__).parents[2] / "docs/reference/channels.md").read_text()


def first_cells(heading: str) -> list[str]:
    """The code in the first column of a part's tables."""
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    cells = re.findall(r"^\| (`[^|]*?) \|", part, re.MULTILINE)
    return [code for cell in cells for code in re.findall(r"`([^`]*)`", cell)]


def test_every_key_of_the_json_is_listed() -> None:
    keys = set(json.loads(payload(message())))

    assert keys == set(first_cells("Webhook")) & keys
    assert [str(kind) for kind in NoticeKind if f"`{kind}`" not in PAGE] == []


def test_every_option_of_mail_is_listed() -> None:
    assert {one for one in first_cells("Mail") if "/" not in one} == set(smtp._OPTIONS)


def test_the_longest_times_are_those_of_the_channels() -> None:
    [row] = re.findall(r"^\| longest time \|(.*)\|$", PAGE, re.MULTILINE)
    limits = [one.LONGEST_SECONDS for one in (smtp, webhook, command, apprise)]

    assert [float(cell.strip().removesuffix(" s")) for cell in row.split("|")] == limits
