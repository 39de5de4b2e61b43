"""What is expected of jobs: read, declared, withdrawn and retired; and what is found open."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from types import EllipsisType
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Text,
    and_,
    case,
    cast,
    func,
    literal_column,
    null,
    or_,
    select,
    type_coerce,
    update,
)

from ..._frozen import field_names
from ..._monitor.expectations import (
    JOB_SOURCE_TYPE,
    Declarer,
    FindingType,
    JobDeclaration,
    JobRecord,
    OpenFinding,
    expectation_from,
    job_in,
    source_id_of,
)
from ..._monitor.filters import fits
from ..declaring import TEXTS, UNJUDGED, schedule_hash, voice_of
from ..schema.clock import db_now
from ..schema.expressions import finite
from ..schema.watch_tables import alert, alert_cooldown, job
from .foreign import json_object
from .outbox import OutboxQueries
from .terms import fits_any, inserting, storable

WRITE_TIMEOUT_SECONDS: Final = 30.0
JobKey = tuple[str, str | None]  # the job's name and its environment

_GUARD: Final = alert_cooldown.c
IS_OF_JOB: Final = _GUARD.source_type == literal_column(f"'{JOB_SOURCE_TYPE}'")
JOB_COLUMNS: Final[tuple[ColumnElement[Any], ...]] = tuple(
    type_coerce(finite(job.c[name]), job.c[name].type).label(name)
    if name.endswith("_at")
    else job.c[name]
    for name in field_names(JobRecord)
)
_AT: Final = literal_column("'@'", Text())
# As `source_id_of` makes it.
SOURCE_ID: Final = case(
    (job.c.environment != literal_column("''"), job.c.job_name + _AT + job.c.environment),
    (
        func.replace(job.c.job_name, _AT, literal_column("''")) != job.c.job_name,
        job.c.job_name + _AT,
    ),
    else_=job.c.job_name,
)
# Whether anybody still says something of it
IS_SAID: Final = or_(
    *(one.is_not(null()) for one in (job.c.expectation, *(job.c[name] for name in TEXTS)))
)
_BY_RANK: Final = (Declarer.PERSON, Declarer.FILE, Declarer.CODE)


class ExpectationQueries(OutboxQueries):
    """What is expected of jobs, for both databases."""

    def expected_jobs(
        self,
        job_names: Sequence[str] | None = None,
        *,
        environment: str | EllipsisType | None = ...,
        with_retired: bool = False,
    ) -> Sequence[JobRecord]:
        """Return the jobs that somebody said something about, by name and environment.

        Args:
            job_names: Names and patterns, of which one must fit; all where None.
            environment: Only those of it; None means those without one, `...` all.
            with_retired: Whether those are there too that are not watched any more.
        """
        wanted = select(*JOB_COLUMNS).order_by(job.c.job_name, job.c.environment).where(IS_SAID)
        if job_names is not None:
            wanted = wanted.where(fits_any(job.c.job_name, job_names, self.engine))
        if not isinstance(environment, EllipsisType):
            wanted = wanted.where(job.c.environment == storable(environment or ""))
        if not with_retired:
            wanted = wanted.where(job.c.retired_at.is_(None))
        return [job_from(row) for row in self._rows(wanted)]

    def open_findings(
        self, job_names: Sequence[str] | None = None
    ) -> Mapping[JobKey, Mapping[FindingType, OpenFinding]]:
        """Return the findings whose incidents are open, by job and environment: one statement.

        `job_names` are names and patterns, of which one must fit. UNWATCHED is of no job and not
        among them.
        """
        found: dict[JobKey, dict[FindingType, OpenFinding]] = {}
        for row in self._rows(newest_of_open()):
            finding = finding_from(row)
            if finding is None or finding.type is FindingType.UNWATCHED:
                continue
            key = job_key_of(row.source_id, finding.detail)
            if job_names is None or any(fits(key[0], asked) for asked in job_names):
                found.setdefault(key, {})[finding.type] = finding
        return found

    def declare(self, declaration: JobDeclaration) -> JobRecord:
        """Write what somebody says of a job; return what holds now."""
        return self._transact(
            lambda connection: _declared(connection, declaration), timeout=WRITE_TIMEOUT_SECONDS
        )

    def declare_file(
        self,
        declarations: Sequence[JobDeclaration],
        *,
        who: str,
        environment: str | None = None,
        keeping: Collection[str] = (),
    ) -> int:
        """Write all that a file says, and withdraw what it said before and does not any more.

        Args:
            declarations: All that stands in the file, `by` and `who` being the file's.
            who: The file. What another one says is left alone.
            environment: The one that it is read in: what it says in others is left alone too.
            keeping: Jobs of which nothing is withdrawn: it cannot be read what the file says now.

        Returns:
            How many jobs have changed.
        """
        said = {
            (storable(one.job_name), storable(one.environment or "")): one for one in declarations
        }

        def work(connection: Connection) -> int:
            rows = connection.execute(select(*JOB_COLUMNS).order_by(*job.primary_key)).all()
            known = {(row.job_name, row.environment): row.declarations for row in rows}
            new = [one for key, one in said.items() if not _is_said(one, known.get(key))]
            for one in new:
                _declared(connection, one)
            changed = len(new)
            file = Declarer.FILE
            its = [row for row in rows if row.environment == storable(environment or "")]
            for row in [row for row in its if _says(row, file, who)]:
                key = (row.job_name, row.environment)
                if key in said or row.job_name in keeping:
                    continue
                changed += _without(connection, *key, by=file) is not None
            return changed

        return self._transact(work, timeout=WRITE_TIMEOUT_SECONDS)

    def withdraw(
        self,
        job_name: str,
        environment: str | None,
        *,
        by: Declarer,
        who: str,  # noqa: ARG002 - whoever withdraws it, its voice is gone
    ) -> JobRecord | None:
        """Take back what one voice says of a job; return what holds now.

        Returns None where it has said nothing.
        """
        key = (storable(job_name), storable(environment or ""))
        return self._transact(
            lambda connection: _without(connection, *key, by=by), timeout=WRITE_TIMEOUT_SECONDS
        )

    def retire(self, job_name: str, environment: str | None = None) -> JobRecord | None:
        """End the watch over a job; None where nobody said anything about it."""
        values = {"retired_at": func.coalesce(job.c.retired_at, db_now())}
        return self._changed(job_name, environment, values)

    def unretire(self, job_name: str, environment: str | None = None) -> JobRecord | None:
        """Watch over a job again, from now on."""
        anew = {"declared_at": db_now(), "look_at": db_now(), **UNJUDGED}
        return self._changed(job_name, environment, {"retired_at": null(), **anew})

    def _changed(
        self, job_name: str, environment: str | None, values: Mapping[str, Any]
    ) -> JobRecord | None:
        its = _is_its(storable(job_name), storable(environment or ""))
        change = update(job).where(*its).values(updated_at=db_now(), **values)
        return next((job_from(row) for row in self._rows(change.returning(*JOB_COLUMNS))), None)


def job_from(row: Any) -> JobRecord:
    """Return a row of `job` as a record."""
    values = dict(zip(field_names(JobRecord), row, strict=True))
    values["environment"] = values["environment"] or None
    values["expectation"] = expectation_from(values["expectation"])
    values["declarations"] = _voices_in(values["declarations"])
    with suppress(ValueError):  # a word of a later release stays as it is
        values["declared_by"] = Declarer(values["declared_by"])
    return JobRecord(**values)


def newest_of_open() -> Select[Any]:
    """Select the guards of the findings that are open, with the detail of their newest alert."""
    is_open = (IS_OF_JOB, _GUARD.open_alert_id.is_not(None))
    # Joined, not asked for each: thousands may be open that the planner has heard nothing of.
    further, its = alert.alias("further"), alert.alias("its")
    newest = (
        select(further.c.incident, further.c.alert_type, func.max(further.c.id).label("id"))
        .join_from(
            alert_cooldown,
            further,
            and_(
                further.c.incident == _GUARD.open_alert_id,
                further.c.alert_type == _GUARD.alert_type,
            ),
        )
        .where(*is_open)
        .group_by(further.c.incident, further.c.alert_type)
        .subquery("newest")
    )
    newest_id = func.coalesce(newest.c.id, _GUARD.open_alert_id)
    return (
        select(
            *(_GUARD.source_id, _GUARD.alert_type, _GUARD.open_alert_id, _GUARD.opened_at),
            *(_GUARD.last_alert_at, cast(its.c.detail, Text).label("detail")),
        )
        .select_from(alert_cooldown)
        .outerjoin(newest, newest.c.incident == _GUARD.open_alert_id)
        .outerjoin(its, its.c.id == newest_id)
        .where(*is_open)
    )


def finding_from(row: Any) -> OpenFinding | None:
    """Return a row of `newest_of_open`; None where it is of a type that is not known here."""
    if row.alert_type not in FindingType.__members__:
        return None
    return OpenFinding(
        type=FindingType(row.alert_type),
        incident=row.open_alert_id,
        opened_at=row.opened_at or row.last_alert_at,
        last_alert_at=row.last_alert_at,
        detail=json_object(row.detail),
    )


def job_key_of(source_id: str, detail: Mapping[str, Any]) -> JobKey:
    """Return the job and the environment of a finding, which its alert's detail names."""
    name, environment = detail.get("job_name"), detail.get("environment")
    if isinstance(name, str) and source_id_of(name, environment) == source_id:
        return name, environment
    return job_in(source_id)  # the alert was deleted


def _voices_in(declarations: object) -> dict[str, dict[str, Any]]:
    """Return what was declared by who did, without what somebody wrote by hand otherwise."""
    known = declarations if isinstance(declarations, dict) else {}
    return {name: said for name, said in known.items() if isinstance(said, dict)}


def _is_its(job_name: str, environment: str) -> tuple[Any, ...]:
    return job.c.job_name == job_name, job.c.environment == environment


def _locked(connection: Connection, job_name: str, environment: str) -> Any:
    its = select(*JOB_COLUMNS).where(*_is_its(job_name, environment))
    return connection.execute(its.with_for_update()).one_or_none()


def _declared(connection: Connection, declaration: JobDeclaration) -> JobRecord:
    key = {
        "job_name": storable(declaration.job_name),
        "environment": storable(declaration.environment or ""),
    }
    connection.execute(inserting(connection, job).values(**key, look_at=db_now()))
    row = _locked(connection, **key)
    voices = {**_voices_in(row.declarations), declaration.by.value: voice_of(declaration)}
    return _rewritten(connection, row, voices)


def _is_said(declaration: JobDeclaration, declarations: object) -> bool:
    """Whether it was declared so before."""
    voice = _voices_in(declarations).get(declaration.by.value, {})
    said = voice_of(declaration)
    return (voice.get("hash"), voice.get("who")) == (said["hash"], said["who"])


def _says(row: Any, by: Declarer, who: str) -> bool:
    return _voices_in(row.declarations).get(by.value, {}).get("who") == who


def _without(
    connection: Connection, job_name: str, environment: str, *, by: Declarer
) -> JobRecord | None:
    row = _locked(connection, job_name, environment)
    known = {} if row is None else _voices_in(row.declarations)
    if by.value not in known:
        return None
    voices = {name: said for name, said in known.items() if name != by.value}
    return _rewritten(connection, row, voices)


def _rewritten(connection: Connection, row: Any, voices: Mapping[str, Any]) -> JobRecord:
    """Write what was declared, and what of it holds."""
    holding = _first(voices, "expectation")
    document = voices[holding.value]["expectation"] if holding else None
    highest = holding or next((one for one in _BY_RANK if one.value in voices), Declarer.CODE)
    spec_hash = None if document is None else schedule_hash(expectation_from(document))
    anew = {"declared_at": db_now(), **UNJUDGED} if spec_hash != row.spec_hash else {}
    texts = {name: _first(voices, name) for name in TEXTS}
    change = (
        update(job)
        .where(*_is_its(row.job_name, row.environment))
        .values(
            expectation=document,
            declared_by=highest.value,
            declared_who=voices.get(highest.value, {}).get("who"),
            declarations=dict(voices),
            spec_hash=spec_hash,
            look_at=db_now(),
            updated_at=db_now(),
            **{name: voices[by.value][name] if by else None for name, by in texts.items()},
            **anew,
        )
    )
    return job_from(connection.execute(change.returning(*JOB_COLUMNS)).one())


def _first(voices: Mapping[str, Any], name: str) -> Declarer | None:
    """Return the highest voice that says this."""
    return next((by for by in _BY_RANK if name in voices.get(by.value, {})), None)
