"""`runguard expect`: what is expected of jobs, said by a person, and who said what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from ..._clock import is_in_utc
from ..._errors import did_you_mean
from ..._frozen import field_names
from ..._monitor.expectations import (
    Declarer,
    Expectation,
    JobDeclaration,
    JobRecord,
    expectation_from,
)
from ..._monitor.filters import environment_asked, is_pattern, read_environment
from ..._run.options import check_job_name
from ..._store.operator import OperatorStore
from ..._watch.declaration import check_expectation, check_texts
from ..._watch.schedule import ClockSchedule, expectation_problem, schedule_of
from ..actor import By, actor
from ..completion import environments, expected_jobs
from ..errors import named_as_options
from ..expectation_options import (
    Calendar,
    Cron,
    Every,
    Grace,
    MaxRuntime,
    Zone,
)
from ..expected_jobs import expected, listing, summary, wait_for_a_monitor
from ..options import AsJson, DatabaseUrl, command_app, help_end, reading, refuse_together
from ..output import write_json, write_listing
from ..stores import opened_with_settings
from ..suggestions import write_suggestions
from ..talk import one_line, say

app = command_app()

_Key = tuple[str, str | None]  # the job's name and its environment

_RULES: Final = frozenset(field_names(Expectation))
_TEXTS: Final = ("owner", "runbook", "description")
_WHO: Final = {Declarer.PERSON: "", Declarer.FILE: "the file", Declarer.CODE: "code on"}


@app.command(
    epilog=help_end(
        "runguard expect",
        "runguard expect backup --cron '0 2 * * *' --tz Asia/Seoul --grace 30m",
        "runguard expect backup --max-runtime 2h --owner data-team",
        "runguard expect backup --remove",
        "runguard expect --suggest",
    )
)
def expect(
    job: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="JOB",
            help="Jobs to show: names or patterns such as 'billing.*'. To say something, one job.",
            show_default=False,
            autocompletion=expected_jobs,
        ),
    ] = None,
    *,
    every: Every = None,
    cron: Cron = None,
    calendar: Calendar = None,
    learn: Annotated[
        bool, typer.Option("--learn", help="Expect it as it usually runs, once that is known.")
    ] = False,
    tz: Zone = None,
    grace: Grace = None,
    max_runtime: MaxRuntime = None,
    min_records: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="N",
            help="The least total_records of a successful run.",
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose job it is; routes of alerts can ask for it.",
            show_default=False,
        ),
    ] = None,
    runbook: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Address of a page that says what to do.", show_default=False
        ),
    ] = None,
    description: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="What it is for, one line.", show_default=False),
    ] = None,
    ping_url: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            help="env:NAME or file:/path of an address that the monitor tells of each ending.",
            show_default=False,
        ),
    ] = None,
    remove: Annotated[
        bool, typer.Option("--remove", help="Take back what was said with this command.")
    ] = False,
    retire: Annotated[
        bool, typer.Option("--retire", help="Watch the job no more, whoever expects it.")
    ] = False,
    unretire: Annotated[
        bool, typer.Option("--unretire", help="Watch a retired job again, from now on.")
    ] = False,
    suggest: Annotated[
        bool,
        typer.Option(
            "--suggest", help="Print TOML of what the history of jobs proves, with its evidence."
        ),
    ] = False,
    environment: Annotated[
        str | None,
        typer.Option(
            parser=reading(read_environment),
            metavar="NAME",
            help="The environment that is meant, none for what has none. Default:"
            " RUNGUARD_ENVIRONMENT; a list and --suggest: all.",
            show_default=False,
            autocompletion=environments,
        ),
    ] = None,
    by: By = None,
    as_json: AsJson = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Show what is expected of jobs, or say what is expected of one.

    What is said here counts more than what a file says, which counts more than code. Where one
    schedule is given, it replaces the one before; all else that was said stays.
    """
    rules = {
        "every": every,
        "cron": cron,
        "calendar": calendar,
        "learn": learn or None,
        "tz": tz,
        "grace": grace,
        "max_runtime": max_runtime,
        "min_records": min_records,
        "ping_url": ping_url,
    }
    texts = {"owner": owner, "runbook": runbook, "description": description}
    said = {name: value for name, value in {**rules, **texts}.items() if value is not None}
    actions = {"remove": remove, "retire": retire, "unretire": unretire, "suggest": suggest}
    refuse_together(**actions)
    action = next((name for name, is_asked in actions.items() if is_asked), None)
    if said and action is not None:
        refuse_together(**{next(iter(said)): True, action: True})
    with opened_with_settings(database_url) as opened:
        store = opened.store
        if suggest:
            write_suggestions(store, job, environment=environment, as_json=as_json)
            return
        if not said and action is None:
            _list(store, job, environment, as_json=as_json)
            return
        its = opened.settings.environment
        key = _the_job(job), its if environment is None else environment_asked(environment)
        if said:
            record = _declare(store, key, said, who=actor(by))
        elif remove:
            record = _withdraw(store, key, who=actor(by))
        else:
            record = _retire(store, key, ends=retire)
        if as_json:
            write_json([one.document for one in expected(store, [record])])
        else:
            _tell(store, record)


def _the_job(names: Sequence[str] | None) -> str:
    if names is None or len(names) != 1:
        raise typer.BadParameter(f"expected one JOB to say it of, found {len(names or ())}")
    if is_pattern(names[0]):
        raise typer.BadParameter(f"expected the name of one job, found the pattern {names[0]!r}")
    check_job_name(names[0])
    return names[0]


def _declare(store: OperatorStore, key: _Key, said: Mapping[str, Any], *, who: str) -> JobRecord:
    """Add to what people said of the job before."""
    known = _known(store, key)
    voice = _voice(known, Declarer.PERSON)
    rules = {name: said[name] for name in said if name in _RULES}
    expectation: Expectation | None = None
    if "expectation" in voice:
        expectation = expectation_from(voice["expectation"])
    if rules:
        held = known.expectation if known is not None else Expectation()
        expectation = _changed(expectation or held, rules)
    texts = {name: said.get(name, voice.get(name)) for name in _TEXTS}
    with named_as_options():
        if expectation is not None:
            check_expectation(expectation, in_utc=is_in_utc())
        check_texts(**texts)
    name, environment = key
    return store.declare(
        JobDeclaration(
            job_name=name,
            environment=environment,
            expectation=expectation,
            **texts,
            by=Declarer.PERSON,
            who=who,
        )
    )


def _changed(before: Expectation, rules: Mapping[str, Any]) -> Expectation:
    """Return an expectation with new rules; a new schedule takes the place of the old one."""
    if rules.keys() & {"cron", "calendar"}:
        before = replace(before, every=None, cron=None, calendar=None, learn=False)
    elif rules.keys() & {"every", "learn"}:
        before = replace(before, every=None, cron=None, calendar=None, learn=False, tz=None)
    return replace(before, **rules)


def _withdraw(store: OperatorStore, key: _Key, *, who: str) -> JobRecord:
    record = store.withdraw(*key, by=Declarer.PERSON, who=who)
    if record is not None:
        return record
    known = _known(store, key)
    if known is None:
        _tell_unknown(store, key)
    else:
        say(f"Nothing was said of {key[0]} with this command. {_whose_word(known)}")
        say(f"Change it there, or watch the job no more: runguard expect {key[0]} --retire")
    raise typer.Exit(1)


def _retire(store: OperatorStore, key: _Key, *, ends: bool) -> JobRecord:
    record = store.retire(*key) if ends else store.unretire(*key)
    if record is None:
        _tell_unknown(store, key)
        raise typer.Exit(1)
    return record


def _known(store: OperatorStore, key: _Key) -> JobRecord | None:
    name, environment = key
    found = store.expected_jobs([name], environment=environment, with_retired=True)
    return next(iter(found), None)


def _voice(record: JobRecord | None, by: Declarer) -> Mapping[str, Any]:
    voice = record.declarations.get(by) if record is not None else None
    return voice if isinstance(voice, Mapping) else {}


def _tell(store: OperatorStore, record: JobRecord) -> None:
    """Say what holds now, whose word it is, and what may be amiss."""
    name = one_line(record.job_name)
    if record.retired_at is not None:
        say(f"{name} is retired: nobody watches it. To watch it again: --unretire")
        return
    if not record.declarations:
        say(f"Nothing is expected of {name} any more.")
        return
    say(f"{name}: {summary(record)}. {_whose_word(record)}")
    if (problem := expectation_problem(record.expectation)) is not None:
        say(f"Nobody can watch it from here: {problem}")
    elif isinstance(schedule := schedule_of(record.expectation), ClockSchedule):
        due = schedule.due_after(store.now())
        if due is not None:
            say(f"The next start is due at {due.astimezone(schedule.zone):%Y-%m-%d %H:%M %Z}.")
    known = store.job_names()
    if record.job_name not in known:
        say(f"No run of it was ever recorded{did_you_mean(record.job_name, known)}.")


def _whose_word(record: JobRecord) -> str:
    """Say whose word counts, and whose does not."""
    voices = [by for by in reversed(Declarer) if _voice(record, by).get("expectation")]
    said = [f"{_WHO[by]} {one_line(_voice(record, by).get('who', ''))}".strip() for by in voices]
    if not said:
        return "Nothing is expected of its runs."
    others = f", over {' and '.join(said[1:])}" if said[1:] else ""
    return f"Said by {said[0]}{others}."


def _tell_unknown(store: OperatorStore, key: _Key) -> None:
    name, environment = key
    known = [one.job_name for one in store.expected_jobs(with_retired=True)]
    where = f" in the environment {environment}" if environment is not None else ""
    say(f"Nothing is expected of {one_line(name)}{where}{did_you_mean(name, known)}.")


def _list(
    store: OperatorStore, names: Sequence[str] | None, environment: str | None, *, as_json: bool
) -> None:
    its: Any = ... if environment is None else environment_asked(environment)
    found = store.expected_jobs(names or None, environment=its, with_retired=True)
    rows = expected(store, found)
    if as_json:
        write_json([one.document for one in rows])
    elif rows:
        write_listing(listing(rows))
    if rows:
        if wait_for_a_monitor(rows) and store.last_round_at() is None:
            say("No monitor has ever looked, so nothing is judged: start `runguard monitor`.")
        return
    if names:
        for name in names:
            _tell_unknown(store, (name, environment))
        raise typer.Exit(1)
    say("Nothing is expected of any job, so nobody notices one that does not run.")
    say("To say something: runguard expect JOB --every 1h")
    say("To see what jobs usually do: runguard expect --suggest")
