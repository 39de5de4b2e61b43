"""The channels of a process that delivers: a mistake in a file keeps nobody from being told."""

from __future__ import annotations

from pathlib import Path

import pytest

from runguard._rounds.channels import Channels

GOOD = """
[channels.page]
command = ["/bin/true"]

[channels.mail]
command = ["/bin/true"]

[[routes]]
job = "billing.*"
to = ["page"]

[[quiet]]
job = "*"
cron = "0 2 * * *"
for = "1h"
reason = "backup"
"""
MISTAKES = {
    "a route to nobody that is known": (GOOD.replace('to = ["page"]', 'to = ["pgae"]'), "pgae"),
    "a group that is none": (GOOD.replace('job = "*"', 'group = "TIMEOOT"'), "TIMEOOT"),
    "a channel of two kinds": (
        GOOD + '\n[channels.both]\nurl = "env:X"\nwebhook = "https://x.example"\n',
        "channels.both",
    ),
}


def read(channels: Channels) -> list[str]:
    return [str(problem) for problem in channels.read()]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "runguard.toml"
    file.write_text(GOOD)
    return file


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_file_is_told_and_every_channel_is_used(file: Path, mistake: str) -> None:
    content, named = MISTAKES[mistake]
    file.write_text(content)
    channels = Channels({}, file.parent)

    [problem] = read(channels)
    assert named in problem
    assert [channel.name for channel in channels.usable] == ["page", "mail"]
    assert (channels.config.routes, channels.config.quiet) == ((), ())


def test_a_mistake_in_a_job_changes_nothing_of_who_is_told(file: Path) -> None:
    file.write_text(f'{GOOD}\n[jobs.nightly]\nevery = "often"\n')
    channels = Channels({}, file.parent)

    [problem] = read(channels)
    assert "jobs.nightly.every" in problem
    assert (len(channels.config.routes), len(channels.config.quiet)) == (1, 1)


def test_a_mistake_that_comes_later_leaves_what_was_read_before(file: Path) -> None:
    channels = Channels({}, file.parent)
    assert read(channels) == []
    before = channels.config

    file.write_text("no TOML at all")

    assert len(read(channels)) == 1
    assert channels.config is before
    assert [channel.name for channel in channels.usable] == ["page", "mail"]


def test_a_channel_that_cannot_be_opened_leaves_the_others(file: Path) -> None:
    file.write_text(f'{GOOD}\n[channels.lost]\nurl = "env:NOT_SET_ANYWHERE"\n')
    channels = Channels({}, file.parent)

    [problem] = read(channels)
    assert "NOT_SET_ANYWHERE" in problem
    assert [channel.name for channel in channels.usable] == ["page", "mail"]
    assert len(channels.config.routes) == 1


def test_a_file_that_cannot_be_read_leaves_the_channels_of_the_environment(file: Path) -> None:
    file.write_text("no TOML at all")
    channels = Channels({"RUNGUARD_NOTIFY": "smtp://127.0.0.1/?from=a@x&to=b@x"}, file.parent)

    assert len(read(channels)) == 1
    assert [channel.name for channel in channels.usable] == ["smtp"]
