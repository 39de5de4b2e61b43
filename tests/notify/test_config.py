"""Who is told, how and when: what variables and files give, and what is said of their mistakes."""

from __future__ import annotations

import os
import sys
from datetime import UTC, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from runguard import ConfigurationError
from runguard._notify import config as module
from runguard._notify.config import NotifyConfig, load_config, read_config

SECRET = "hunter2-and-more"
FULL = """
[notify]
web_url = "https://ops.example/runguard/"
remind_every = "2h30m"
timezone = "Asia/Seoul"
[channels.oncall]
url = "env:ONCALL_URL"
[channels.hook]
webhook = "https://hooks.example/rg"
secret = ["env:HOOK_SECRET", "env:HOOK_SECRET_OLD"]
[channels.pager]
command = ["/usr/local/bin/page", "--team", "night"]
[[routes]]
job = "billing.*"
severity = ["high"]
to = ["oncall"]
continue = true
[[routes]]
after = "4h"
to = ["oncall", "hook"]
[[quiet]]
cron = "0 2 * * 0"
for = "2h"
reason = "database upgrade window"
"""


@pytest.fixture(autouse=True)
def no_system_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that stands for /etc/runguard.toml: none, unless a test writes it."""
    path = tmp_path / "etc" / "runguard.toml"
    path.parent.mkdir()
    monkeypatch.setattr(module, "SYSTEM_FILE", str(path))
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    return folder


def problems_of(text: str, here: Path, **environ: str) -> list[str]:
    """What is wrong with a file, each sentence without the file's name."""
    (here / "runguard.toml").write_text(text)
    problems = read_config(environ, here).problems
    assert SECRET not in " ".join(problems)
    return [problem.removeprefix(f"{here / 'runguard.toml'}: ") for problem in problems]


def test_without_variable_and_file_nobody_is_told(here: Path) -> None:
    config = load_config({}, here)

    assert config == NotifyConfig(sources=config.sources)
    assert (config.channels, config.file, config.timezone) == ({}, None, UTC)
    assert set(config.sources.values()) == {"default"}


def test_a_file_gives_channels_routes_windows_and_values(here: Path) -> None:
    (here / "runguard.toml").write_text(FULL)
    config = load_config({}, here)

    assert config.web_url == "https://ops.example/runguard"
    assert config.remind_every == timedelta(hours=2, minutes=30)
    assert config.timezone == ZoneInfo("Asia/Seoul")
    assert config.channels["oncall"].url == "env:ONCALL_URL"
    assert config.channels["hook"].secrets == ("env:HOOK_SECRET", "env:HOOK_SECRET_OLD")
    assert config.channels["pager"].command == ("/usr/local/bin/page", "--team", "night")
    assert [route.to for route in config.routes] == [("oncall",), ("oncall", "hook")]
    assert [route.goes_on for route in config.routes] == [True, False]
    assert config.routes[1].after == timedelta(hours=4)
    [window] = config.quiet
    assert (window.length, window.timezone) == (timedelta(hours=2), ZoneInfo("Asia/Seoul"))
    assert config.sources["remind_every"] == str(here / "runguard.toml")


def test_channels_of_the_variable_are_named_after_their_schemes(here: Path) -> None:
    urls = "smtp://a/?to=x\n smtp://b/?to=y 'webhook+https://hooks.example/rg'"
    config = load_config({"RUNGUARD_NOTIFY": urls}, here)

    assert {name: spec.url for name, spec in config.channels.items()} == {
        "smtp": "smtp://a/?to=x",
        "smtp-2": "smtp://b/?to=y",
        "webhook": "webhook+https://hooks.example/rg",
    }
    assert config.channels["smtp"].source == "RUNGUARD_NOTIFY"
    assert config.sources["channels.smtp-2"] == "RUNGUARD_NOTIFY"


def test_a_file_of_urls_may_have_comments(here: Path) -> None:
    (here / "urls").write_text(
        "# the team\nslack://a/b/#general  # its chat\n\nsmtp://mail/?to=x\n"
    )
    config = load_config({"RUNGUARD_NOTIFY_FILE": "urls"}, here)

    assert [spec.url for spec in config.channels.values()] == [
        "slack://a/b/#general",
        "smtp://mail/?to=x",
    ]


def test_channels_of_the_variable_join_those_of_the_file_and_win_over_their_names(
    here: Path,
) -> None:
    (here / "runguard.toml").write_text(
        '[channels.smtp]\nurl = "smtp://file/?to=x"\n[channels.chat]\nurl = "slack://a/b/c"\n'
    )
    config = load_config({"RUNGUARD_NOTIFY": "smtp://variable/?to=y"}, here)

    assert list(config.channels) == ["smtp", "chat"]
    assert config.channels["smtp"].url == "smtp://variable/?to=y"


def test_the_first_file_that_is_there_counts(here: Path, no_system_file: Path) -> None:
    def found(**environ: str) -> str | None:
        return load_config(environ, here).web_url

    no_system_file.write_text('[notify]\nweb_url = "https://system.example"\n')
    (here / "pyproject.toml").write_text("[tool.other]\n")
    assert found() == "https://system.example"

    (here / "pyproject.toml").write_text(
        '[tool.runguard.notify]\nweb_url = "https://project.example"\n'
    )
    assert found() == "https://project.example"

    (here / "runguard.toml").write_text('[notify]\nweb_url = "https://own.example"\n')
    assert found() == "https://own.example"

    (here / "named.toml").write_text('[notify]\nweb_url = "https://named.example"\n')
    assert found(RUNGUARD_CONFIG="named.toml") == "https://named.example"


def test_a_broken_project_file_of_others_is_none_of_ours(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.other\n")

    assert load_config({}, here).file is None


def test_a_named_file_that_is_not_there_is_an_error(here: Path) -> None:
    with pytest.raises(ConfigurationError, match="RUNGUARD_CONFIG: expected a file that can be"):
        load_config({"RUNGUARD_CONFIG": "/nowhere/runguard.toml"}, here)


def test_keys_in_the_project_file_are_named_as_they_stand_there(here: Path) -> None:
    (here / "pyproject.toml").write_text("[tool.runguard.notify]\nremind_evry = '4h'\n")

    [problem] = read_config({}, here).problems

    assert problem.endswith(
        "pyproject.toml: tool.runguard.notify.remind_evry: unknown (did you mean 'remind_every'?)"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[channel.x]", "channel: unknown (did you mean 'channels'?)"),
        ("notify = 4", "notify: expected a table written [notify], found a number"),
        ("[notify]\nremind_every = 4", f"notify.remind_every: expected {module.A_LENGTH}, found a"),
        ("[notify]\nremind_every = '4x'", "found '4x'"),
        ("[notify]\ntimezone = 'Asia/Soul'", "time zone such as Asia/Seoul, found 'Asia/Soul'"),
        ("[notify]\ntimezone = '../etc'", "time zone such as Asia/Seoul, found '../etc'"),
        (f"[notify]\nweb_url = 'https://me:{SECRET}@x/'", "without a password, found something"),
        ("[channels.A]\nurl = 'a://b'", "channels.A: expected a name of 1 to 40 of a-z"),
        ("[channels.x]", "channels.x: expected one of url, webhook and command, found none"),
        ("[channels]\nx = 'a://b'", "channels.x: expected a table written [channels.x], found a t"),
        (f"[channels.x]\nurl = '{SECRET}'", "channels.x.url: expected a URL such as smtp://"),
        (
            f"[channels.x]\nurl = 'a://b'\nurll = '{SECRET}'",
            "channels.x.urll: unknown (did you mean 'url'?)",
        ),
        ("[channels.x]\nurl = 'env:'", "channels.x.url: expected a URL"),
        ("[channels.x]\nurl = 'file:token'", "channels.x.url: expected a URL"),
        ("[channels.x]\nurl = 'a://b'\nwebhook = 'https://b'", "found url and webhook"),
        ("[channels.x]\nwebhook = 'a://b'", "channels.x.webhook: expected an address such as"),
        ("[channels.x]\ncommand = 'page me'", "no shell, found one text"),
        (
            f"[channels.x]\nwebhook = 'https://b'\nsecret = '{SECRET}'",
            "channels.x.secret: expected env:NAME or file:/path, or a list of them, found another",
        ),
        ("[channels.x]\nurl = 'a://b'\nsecret = 'env:A'", "expected none beside url"),
        ("[[routes]]", "routes[1].to: expected names of channels, [] for nobody, found none"),
        ("[routes]\nto = []", "routes: expected tables written [[routes]], found a table"),
        ("[[routes]]\nto = 5", "routes[1].to: expected a text, or a list of texts, found a number"),
        ("[[routes]]\nto = []\ncontinue = 'yes'", "expected true or false, found a text"),
        ("[[routes]]\nto = []\nseverity = 'hihg'", "found 'hihg' (did you mean 'high'?)"),
        ("[[routes]]\nto = []\ngroup = 'timeout'", "found 'timeout' (did you mean 'TIMEOUT'?)"),
        (
            "[channels.oncall]\nurl='a://b'\n[[routes]]\nto = ['oncal']",
            "routes[1].to: expected one of oncall, found 'oncal' (did you mean 'oncall'?)",
        ),
        ("[[quiet]]\ncron = '0 2 * *'\nfor='1h'\nreason='x'", "found '0 2 * *'"),
        ("[[quiet]]\ncron = '0 2 30 2 *'\nfor='1h'\nreason='x'", "found '0 2 30 2 *'"),
        ("[[quiet]]\ncron = '0 2 * * 0'\nfor='1h'", "quiet[1].reason: expected why, found none"),
        ("[[quiet]]\ncron = '0 2 * * 0'\nfor='9w'\nreason='x'", "expected at most 31d, found more"),
    ],
)
def test_a_mistake_is_named_with_what_was_expected(text: str, said: str, here: Path) -> None:
    [problem] = problems_of(text, here)

    assert said in problem


@pytest.mark.parametrize(
    "text",
    [
        f"[channels.x]\nurl = slack://{SECRET}\n",
        f"[channels.x]\nurl = 'slack://{SECRET}\n",
        f"[channels.x]\n'{SECRET}' {SECRET}\n",
        f"[channels.x]\nurl = 'a'\nurl = '{SECRET}'\n",
        f"[channels.x]\nurl = '\\u0007' {SECRET}\n",
    ],
)
def test_a_file_that_is_no_toml_names_the_place_and_quotes_nothing(text: str, here: Path) -> None:
    [problem] = problems_of(text, here)

    assert "expected TOML, found something else (at " in problem


def test_several_mistakes_are_counted_in_the_error(here: Path) -> None:
    (here / "runguard.toml").write_text("[a]\n[b]\n[c]\n")

    with pytest.raises(ConfigurationError, match=r"a: unknown \(and 2 more: `runguard config"):
        load_config({}, here)


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"RUNGUARD_NOTIFY": f"smtp://ok {SECRET}"}, "found another text at place 2"),
        ({"RUNGUARD_NOTIFY": "a://b", "RUNGUARD_NOTIFY_FILE": "/x"}, "found both: unset one"),
        ({"RUNGUARD_NOTIFY_FILE": "/nowhere/urls"}, "/nowhere/urls: No such file"),
    ],
)
def test_a_variable_that_cannot_be_used_is_an_error_without_its_value(
    environ: dict[str, str], said: str, here: Path
) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load_config(environ, here)

    assert said in str(raised.value)
    assert SECRET not in str(raised.value)


def test_references_stand_for_variables_and_files(here: Path) -> None:
    (here / "token").write_text(f"slack://{SECRET}\n")
    config = load_config({"ONCALL_URL": f" smtp://{SECRET} "}, here)

    assert config.resolve("env:ONCALL_URL") == f"smtp://{SECRET}"
    assert config.resolve(f"file:{here / 'token'}") == f"slack://{SECRET}"
    assert config.resolve(f"file://{here / 'token'}") == f"slack://{SECRET}"
    assert config.resolve("https://plain.example") == "https://plain.example"
    assert SECRET not in repr(config)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("env:ONCALL_URL", "expected a value in the variable ONCALL_URL, found none"),
        ("file:/nowhere/token", "found /nowhere/token: No such file"),
        ("env:1", "expected env: and the name of a variable"),
    ],
)
def test_a_reference_to_nothing_is_an_error(reference: str, said: str, here: Path) -> None:
    with pytest.raises(ConfigurationError, match=said):
        load_config({"ONCALL_URL": " "}, here).resolve(reference)


def test_a_window_without_the_library_that_reads_it_names_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cronsim", None)

    [problem] = problems_of("[[quiet]]\ncron='0 2 * * 0'\nfor='1h'\nreason='x'\n", here)

    assert "found none: pip install 'runguard-runlog[monitor]'" in problem


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_a_file_that_anybody_may_have_put_there_counts_only_where_it_is_named(
    here: Path, no_system_file: Path
) -> None:
    no_system_file.write_text('[channels.ours]\ncommand = ["true"]\n')
    file = here / "runguard.toml"
    file.write_text('[channels.theirs]\ncommand = ["/bin/sh", "-c", "id"]\n')
    os.chown(file, 12345, -1)
    in_a_folder_of_its_owner = load_config({}, here)
    here.chmod(0o1777)

    config, [problem] = read_config({}, here)

    assert [*in_a_folder_of_its_owner.channels] == ["theirs"]
    assert "found one of another user" in problem
    assert [*config.channels] == ["ours"]
    assert [*load_config({"RUNGUARD_CONFIG": str(file)}, here).channels] == ["theirs"]
