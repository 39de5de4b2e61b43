"""What a person reads: subjects, texts, HTML for mail, and the JSON of webhooks."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import fields, replace
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runguard._monitor.changes import Changed, RanAs
from runguard._monitor.notices import ChannelState, NoticeFacts, NoticeKind, RunFacts, Silence
from runguard._notify.config import NotifyConfig
from runguard._notify.message import LONGEST_TEXT, Message, build_message

from .facts import BEGAN, FIRST, NOW, TRACEBACK, covered, notice, recovery

CONFIG = NotifyConfig(web_url="https://ops.example/runguard")
SILENCE = Silence(
    id=4,
    job="enrol*",
    error_group=None,
    alert_type=None,
    starts_at=BEGAN,
    ends_at=NOW,
    reason="upgrade of the database",
    created_by="kim",
)
FAILING = ChannelState(
    channel="oncall", failing_since=BEGAN, failures=4, last_error="connection refused"
)


CHANGED = Changed(
    RanAs(991, BEGAN, version="1.5", host="etl-3"),
    RanAs(900, version="1.4", host="etl-2"),
    successes=42,
)
ON_NO_VERSION = RunFacts(id=900, started_at=BEGAN, host="etl-2")


def message_of(facts: NoticeFacts, config: NotifyConfig = CONFIG) -> Message:
    return build_message(facts, config, now=NOW)


@pytest.mark.parametrize(
    ("facts", "subject"),
    [
        (notice(), "TIMEOUT enrolment_sync failed (high)"),
        (
            notice(
                error_group="UNKNOWN",
                title="enrolment_sync failed: connection refused",
                severity="medium",
            ),
            "UNKNOWN enrolment_sync failed: connection refused (medium)",
        ),
        (
            notice(error_group="LOCK_CONFLICT", severity="low"),
            "LOCK_CONFLICT enrolment_sync did not run (low)",
        ),
        (notice("reminder", failures=14), "STILL TIMEOUT enrolment_sync: 14th, since 02:00"),
        (
            notice("reminder", failures=3, opened_at=BEGAN - timedelta(days=1)),
            "STILL TIMEOUT enrolment_sync: third, since 2026-02-28 02:00",
        ),
        (
            notice("reminder", failures=3, silences_ended=(SILENCE,)),
            "STILL TIMEOUT enrolment_sync: silence ended, since 02:00",
        ),
        (notice("raised"), "WORSE TIMEOUT enrolment_sync: now high, since 02:00"),
        (recovery(), "OK enrolment_sync: recovered after 3 h 10 min"),
        (recovery(detail={"down_seconds": 90}), "OK enrolment_sync: recovered after 1 min 30 s"),
        (
            recovery(was_told=False),
            "OK enrolment_sync: failed at 02:00, recovered after 3 h 10 min",
        ),
        (
            notice(reopened=1, recent=(True, False) * 5),
            "AGAIN TIMEOUT enrolment_sync: on and off, 5 of the last 10 runs (high)",
        ),
        (
            notice(alert_type="REOPENED", reopened=2),
            "AGAIN TIMEOUT enrolment_sync: failed again, the third time (high)",
        ),
        (
            notice("digest", covered=(covered("a"), covered("b"))),
            "TIMEOUT 2 jobs failed (high): a, b",
        ),
        (
            notice("digest", covered=tuple(covered(f"job{number}") for number in range(1, 8))),
            "TIMEOUT 7 jobs failed (high): job1, job2, job3 and 4 more",
        ),
        (
            notice(
                "digest",
                covered=(covered("a", word="UNKNOWN", severity="low"), covered("b"), covered("c")),
            ),
            "3 alerts (high): 2 TIMEOUT, 1 UNKNOWN",
        ),
        (
            notice("digest", covered=(covered("a", kind="recovered"),) * 2),
            "OK 1 job recovered: a",
        ),
        (
            notice("digest", covered=(covered("a"), covered("b"), covered("c", kind="recovered"))),
            "TIMEOUT 2 jobs failed (high): a, b; 1 recovered",
        ),
        (
            notice("digest", covered=(covered("a"), covered("c", kind="recovered"))),
            "TIMEOUT a failed (high); 1 recovered",
        ),
        (
            notice(
                "digest",
                covered=(
                    covered("a", word="MISSED", title="a: not begun"),
                    covered("c", kind="recovered"),
                ),
            ),
            "MISSED a: not begun; 1 recovered",
        ),
        (
            notice("undelivered", failing_channel=FAILING),
            "UNDELIVERED channel oncall is failing, since 02:00",
        ),
        (notice("test"), "TEST runguard: channel mail works"),
        (
            notice(
                alert_type="MISSED",
                source_type="job",
                error_group=None,
                job_name="nightly_backup",
                title="nightly_backup: due 02:00, not started",
            ),
            "MISSED nightly_backup: due 02:00, not started",
        ),
        (
            notice(alert_type="NEW", error_group=None, job_name=None, title="Call 12 published"),
            "NEW Call 12 published",
        ),
        (notice(is_repeat=True), "TIMEOUT enrolment_sync failed (high) (may be a repeat)"),
    ],
)
def test_the_subject_says_what_happened(facts: NoticeFacts, subject: str) -> None:
    assert message_of(facts).subject == subject


def test_times_are_those_of_the_configured_zone() -> None:
    seoul = replace(CONFIG, timezone=ZoneInfo("Asia/Seoul"))
    message = message_of(notice("reminder", failures=2), seoul)

    assert message.subject.endswith("since 11:00")
    assert "Since:              11:00 KST, 3 h 10 min ago" in message.text


def test_the_text_of_a_failure_says_all_that_helps() -> None:
    text = message_of(notice(log_tail="page 2\npage 3", runbook="https://wiki.example/x")).text

    assert text == (
        "enrolment_sync failed: timed out, while connecting\n"
        "\n"
        "ConnectTimeout: no connection to api.example:443 within 5 s (page 3 of 12)\n"
        "\n"
        "Job:                enrolment_sync\n"
        "Severity:           high\n"
        "Where:              sync.py:41 in fetch, on etl-3\n"
        "Upstream:           api.example\n"
        "At:                 02:00 UTC, 3 h 10 min ago\n"
        "Last success:       01:45 UTC on etl-2\n"
        "Changed since then: version 1.4 → 1.5; host etl-2 → etl-3\n"
        "\n"
        "Last lines of its log:\n"
        "page 2\n"
        "page 3\n"
        "\n"
        "This covers later failures of enrolment_sync with TIMEOUT, until it recovers.\n"
        "If it still fails after 09:10 UTC, you are told again; if it recovers, at once.\n"
        "\n"
        'Acknowledge: runguard ack 17 --reason "…"\n'
        "Explain: runguard explain 991\n"
        "\n"
        "Run: https://ops.example/runguard/runs/991\n"
        "Alert: https://ops.example/runguard/alerts/17\n"
        "Runbook: https://wiki.example/x\n"
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (notice(last_success=None), "Last success: none known"),
        (
            notice(last_success=replace(FIRST.last_success or RunFacts(id=1), host="etl-3")),
            "version 1.4 → 1.5\n",
        ),
        (
            notice(last_success=FIRST.failed_run),
            "nothing that is known (same version 1.5, same host etl-3): look upstream, at api.ex",
        ),
        (
            notice(last_success=FIRST.failed_run, upstream=None),
            "same host etl-3): look upstream, or at the data\n",
        ),
        (notice(last_success=ON_NO_VERSION, upstream=None), "host etl-2 → etl-3\n"),
        (
            notice(last_success=replace(ON_NO_VERSION, host="etl-3")),
            "not known: the last success names no version (same host etl-3)\n",
        ),
        (
            notice(last_success=ON_NO_VERSION, failed_run=ON_NO_VERSION),
            "not known: no version is recorded (same host etl-2)\n",
        ),
        (notice(changed=CHANGED), "01:45 UTC on etl-2, after 42 in a row\n"),
        (
            notice(changed=replace(CHANGED, successes=1000, is_all=False)),
            "etl-2, after at least 1,000 in a row\n",
        ),
        (notice(links=(("Report", "https://r.example/7"),)), "Report: https://r.example/7\n"),
        (notice("reminder", failures=14), "Failures:           this is the 14th"),
        (notice(next_reminder_at=None), "If it still fails in 4 h, you are told again"),
        (notice("reminder", recent=(True, False)), "1 of the last 2 failed"),
        (notice("reminder", silences_ended=(SILENCE,)), "Silence 4 ended while this goes on: upg"),
        (notice(expired=1), "1 older alert was not sent: no process with channels had looked"),
        (notice(is_repeat=True), "This message may be a repeat"),
        (notice(has_waited=True), "This alert waited, so that others could go with it."),
        (notice(acked_by="kim"), "Acknowledged by:    kim"),
        (
            notice(failed_run=replace(FIRST.failed_run or RunFacts(id=1), attempt=3)),
            "Attempt:            3\n",
        ),
        (notice(acked_by="kim"), "No reminder comes while it is acknowledged."),
        (
            notice(message="no answer\nin 5 s", detail={"error_type": "builtins.TimeoutError"}),
            "\n\nTimeoutError: no answer\nin 5 s\n\n",
        ),
        (notice(detail={"error_type": "requests.ConnectTimeout"}), "\n\nConnectTimeout: no conn"),
        (notice(alert_type="NEW", source_type="notice"), "Resolve: runguard resolve 17"),
        (recovery(), "Failing since: 02:00 UTC, for 3 h 10 min"),
        (recovery(), "https://ops.example/runguard/runs/1000"),
        (recovery(was_told=False), "You were not told when it began"),
        (recovery(was_told=False), "ConnectTimeout: no connection"),
        (notice("digest", covered=(covered("a"),) * 31), "- and 1 more"),
        (notice("undelivered", failing_channel=FAILING), "connection refused"),
    ],
)
def test_the_text_says_what_is_special(facts: NoticeFacts, said: str) -> None:
    assert said in message_of(facts).text


def test_the_users_innermost_frames_stand_in_the_text_and_the_whole_traceback_in_the_json() -> None:
    message = message_of(notice(traceback=TRACEBACK))

    assert (
        "\n\nWhere in your code:\n"
        'File "~/app/nightly.py", line 12, in main\n'
        "  sync.fetch(3)\n"
        'File "~/app/sync.py", line 41, in fetch\n'
        "  page = client.get(url)\n\n"
    ) in message.text
    assert "_client.py" not in message.text
    assert "page = client.get(url)" in (message.html or "")
    assert message.data["traceback"] == TRACEBACK


def test_a_text_has_the_end_of_a_long_log() -> None:
    text = message_of(notice(log_tail="\n".join(f"line {n}" for n in range(50)))).text

    assert "Last lines of its log:\nline 30\n" in text
    assert "line 49\n" in text


def test_where_there_is_little_room_the_error_goes_before_frames_of_code() -> None:
    facts = notice(traceback=TRACEBACK.replace("get(url)", "x" * 2_000), message="e" * 9_000)
    text = build_message(facts, CONFIG, now=NOW, longest=1_200).text

    assert "Where in your code" not in text
    assert "e" * 200 in text
    assert len(text) <= 1_200


def test_the_json_has_what_changed_and_what_the_run_linked() -> None:
    odd = (
        "javascript:alert(1)",
        "https://",
        "https://a b/",
        "https://bank.example@evil.example/",
        "//x/",
        "https://x/\u202e",
        "http://[",
    )
    links = (("run", "https://r.example/7"), *(("odd", address) for address in odd))
    data = message_of(notice(changed=CHANGED, links=links)).data

    assert data["changed"] == {
        "code": True,
        "host": True,
        "first_failure": 991,
        "last_success": 900,
        "successes": 42,
        "is_all": True,
    }
    assert data["run_links"] == [{"name": "run", "url": "https://r.example/7"}]
    assert data["links"]["run"] == "https://ops.example/runguard/runs/991"
    assert message_of(notice(changed=Changed(CHANGED.first_failure))).data["changed"] is None


def test_whole_commits_are_short_in_the_text_and_whole_in_the_json() -> None:
    old, new = "a" * 40, "b" * 40
    runs = {"last_success": RunFacts(id=1, version=old), "failed_run": RunFacts(id=2, version=new)}
    message = message_of(notice(**runs))

    assert "Changed since then: version aaaaaaa → bbbbbbb\n" in message.text
    assert message.data["failed_run"]["version"] == new


def test_a_recovery_that_was_told_of_does_not_repeat_the_error() -> None:
    assert "ConnectTimeout" not in message_of(recovery()).text


@pytest.mark.parametrize("kind", ["digest", "undelivered", "test"])
def test_a_message_about_more_than_one_alert_says_nothing_of_the_one_it_hangs_on(kind: str) -> None:
    message = message_of(notice(kind, log_tail="page 3", runbook="https://wiki.example/x"))

    for of_the_alert in ("ConnectTimeout", "page 3", "wiki.example", "/alerts/17"):
        assert of_the_alert not in message.text


def test_without_an_address_of_the_page_there_are_no_links_to_it() -> None:
    assert "http" not in message_of(notice(), NotifyConfig()).text


def test_a_long_text_is_cut_in_the_middle_and_keeps_its_end() -> None:
    facts = notice(message="e" * 16_000 + "!", log_tail="\n".join(map(str, range(2_000))) + " end")
    message = message_of(facts)

    assert len(message.text) <= LONGEST_TEXT
    assert "1999 end\n" in message.text
    assert message.text.endswith("alerts/17\n")
    assert len(message.html or "") > 10_000


def test_mail_may_have_a_longer_text() -> None:
    text = build_message(notice(message="e" * 9_000), CONFIG, now=NOW, longest=30_000).text

    assert "e" * 9_000 in text


def test_secrets_of_other_programs_rows_are_hidden() -> None:
    url = "postgresql://app:hunter2@db/sales"
    facts = notice(
        title=f"no {url}", message=url, log_tail=url, detail={"password": "hunter2", "url": url}
    )
    message = message_of(facts)

    assert "hunter2" not in repr(message)
    assert "[redacted]" in message.text


def test_keys_are_the_same_for_each_attempt_and_conversations_for_each_incident() -> None:
    first, again = message_of(notice()), message_of(notice(is_repeat=True))
    later = replace(recovery(), alert_id=44, delivery=replace(recovery().delivery, id=9))
    other = replace(notice(), delivery=replace(FIRST.delivery, incident=18))

    assert first.key == again.key
    assert message_of(later).key != first.key
    assert message_of(later).conversation == first.conversation
    assert message_of(other).conversation != first.conversation
    assert message_of(notice("test")).conversation != first.conversation


def test_an_unknown_severity_counts_as_medium() -> None:
    message = message_of(notice(severity="page me"))

    assert message.severity == "medium"
    assert "(page me)" in message.subject


def test_the_json_of_a_recovery_says_whether_the_channel_knew_of_the_failure() -> None:
    assert message_of(recovery(was_told=False)).data["opening_was_told"] is False
    assert message_of(notice(was_told=False)).data["opening_was_told"] is True


def test_the_json_names_everything_and_its_times_are_in_utc() -> None:
    data = message_of(notice("reminder", failures=14, reopened=1, recent=(True, False))).data

    assert json.loads(json.dumps(data)) == data
    assert data["alert"]["created_at"] == "2026-03-01T02:00:00Z"
    assert data["incident"] == {
        "id": 17,
        "opened_at": "2026-03-01T02:00:00Z",
        "failures": 14,
        "reopened": 1,
        "recent": [True, False],
        "acknowledged_by": None,
    }
    assert data["failed_run"]["host"] == "etl-3"
    assert data["links"]["alert"] == "https://ops.example/runguard/alerts/17"
    assert message_of(notice(is_repeat=True)).data == {
        **message_of(notice()).data,
        "may_be_repeat": True,
    }


class Tags(HTMLParser):
    """The tags of a page, and where its links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]


def tags_of(message: Message) -> Tags:
    tags = Tags()
    tags.feed(message.html or "")
    return tags


OWN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "div", "h1", "h2", "p", "a", "span"),
    *("table", "tr", "th", "td", "ul", "li", "code"),
}
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_markup_in_a_text_is_text_in_the_mail() -> None:
    facts = notice(
        job_name=MARKUP,
        title=MARKUP,
        message=MARKUP,
        log_tail=MARKUP,
        upstream=MARKUP,
        runbook=f"javascript:alert(1)//{MARKUP}",
        detail={"error_location": MARKUP},
    )
    found = tags_of(message_of(facts))

    assert not {"script", "img"} & found.names
    assert not {name for name in found.attributes if name.startswith("on")}
    assert found.links == [
        "https://ops.example/runguard/runs/991",
        "https://ops.example/runguard/alerts/17",
    ]


ODD = "\x00\x07\x1b[31m\r\n\t\u2028\u202e\u2066\ud800\udfff\x85"
HOSTILE = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=()), max_size=400),
    st.text(alphabet=ODD + "ab %{}<&", max_size=60),
    st.just(MARKUP + ODD + "x" * 16_384),
)
TEXTS = [field.name for field in fields(NoticeFacts) if str(field.type).startswith("str")]


@st.composite
def hostile_facts(draw: st.DrawFn) -> NoticeFacts:
    """Facts whose every text may be anything."""
    kind = draw(st.sampled_from(NoticeKind))
    texts: dict[str, Any] = {name: draw(HOSTILE) for name in TEXTS}
    word, job = draw(HOSTILE), draw(HOSTILE)
    return notice(
        kind,
        **texts,
        detail={draw(HOSTILE): draw(HOSTILE), "down_seconds": draw(st.floats() | st.text())},
        was_told=draw(st.booleans()),
        is_repeat=draw(st.booleans()),
        reopened=draw(st.integers(0, 3)),
        failures=draw(st.integers(0, 10**6)),
        covered=(covered(job, word=word, title=job, severity=word), covered("b")),
        failing_channel=draw(st.none() | st.just(replace(FAILING, channel=job, last_error=word))),
        silences_ended=draw(st.sampled_from([(), (replace(SILENCE, reason=word),)])),
        failed_run=RunFacts(id=1, host=job, version=word),
        links=((job, word), (word, f"https://{job}")),
    )


def is_odd(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in "\u202e\u2066"


@given(facts=hostile_facts())
@settings(max_examples=25, deadline=None)
def test_hostile_texts_are_harmless_everywhere(facts: NoticeFacts) -> None:
    message = message_of(facts)

    assert 0 < len(message.subject) <= 160
    assert not any(is_odd(letter) for letter in message.subject)
    assert not any(is_odd(letter) for letter in message.text if letter not in "\n\t")
    assert len(message.text) <= LONGEST_TEXT
    assert not any(is_odd(letter) for letter in message.html or "" if letter not in "\n\t")
    assert tags_of(message).names <= OWN_TAGS
    written = json.dumps(dict(message.data), ensure_ascii=False, allow_nan=False)
    assert not any(is_odd(letter) for letter in written)
