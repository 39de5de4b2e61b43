"""`runguard exec`: a command line as a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

from ..._settings import MOST_FAILURES_TO_ALERT
from .. import execution
from ..exec_line import LARGEST_EXIT_CODE
from ..execution import EX_UNAVAILABLE
from ..expectation_options import Calendar, Cron, Every, Grace, MaxRuntime, Zone
from ..lengths import read_cooldown
from ..options import DatabaseUrl, command_app, read_duration, read_length, reading

app = command_app()

_SEPARATOR: Final = "--"

EPILOG: Final = (
    "\b\nExamples:\n"
    "  $ runguard exec hello -- echo hello\n"
    "  $ runguard exec disk_report --trigger SCHEDULER -- df -h\n"
    "  $ runguard exec invoices --lock --timeout 15m -- sh -c 'true | cat'\n"
    "  $ runguard exec mirror --wait-lock 10m --ok-exit 24 -- true\n"
    "  $ runguard exec backup --cron '0 2 * * *' --tz Asia/Seoul -- true\n"
    "\n"
    "\b\nExit codes:\n"
    "  the command's own; 128+n where signal n ended it\n"
    "    2  wrong usage, or a setting that cannot be used: nothing was run\n"
    f"   {EX_UNAVAILABLE}  --lock, and the store cannot be reached: nothing was run\n"
    "   75  --lock, and another run holds the lock: nothing was run\n"
    "    0  --skip-if-locked, and another run holds the lock: nothing was run\n"
    "  124  --timeout ended the command\n"
    "  126  the command cannot be executed, or no process can be started\n"
    "  127  the command was not found"
)


class ExecCommand(TyperCommand):
    """Insists on `--`, so that no option of the command is taken for one of runguard's."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ARG002 - its signature
        """Show the form that `parse_args` insists on."""
        return ["[OPTIONS] JOB -- COMMAND [ARG]..."]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before `--`; all behind it is the command."""
        if _SEPARATOR not in args and not {"-h", "--help"} & set(args):
            ctx.fail("expected -- before the command: runguard exec JOB -- COMMAND [ARG]...")
        command = args[args.index(_SEPARATOR) + 1 :] if _SEPARATOR in args else []
        rest = super().parse_args(ctx, list(args))
        if list(ctx.params["command"]) != command:
            ctx.fail("expected one JOB before --: runguard exec JOB -- COMMAND [ARG]...")
        return rest


@app.command(cls=ExecCommand, epilog=EPILOG)
def execute(
    job: Annotated[str, typer.Argument(metavar="JOB", help="The job's name.")],
    command: Annotated[
        list[str],
        typer.Argument(metavar="COMMAND", help="The command. No shell is used."),
    ],
    *,
    lock: Annotated[
        bool, typer.Option("--lock", help="Allow one run of the job at a time.")
    ] = False,
    lock_ttl: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_length,
            metavar="DURATION",
            help="Lease of the lock; it is renewed while the command runs.",
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_duration,
            metavar="DURATION",
            help="End the command's whole process group after 90s, 15m …",
            show_default=False,
        ),
    ] = None,
    kill_after: Annotated[
        timedelta,
        typer.Option(
            parser=read_duration,
            metavar="DURATION",
            help="Time between SIGTERM (at the timeout) and SIGKILL.",
        ),
    ] = "10s",  # type: ignore[assignment] # the parser reads it, and the help shows it
    trigger: Annotated[
        str | None,
        typer.Option(metavar="TYPE", help="MANUAL, SCHEDULER or RETRY.", show_default=False),
    ] = None,
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Keep the run apart from those of other environments, such as staging.",
            show_default=False,
        ),
    ] = None,
    cooldown: Annotated[
        timedelta | None,
        typer.Option(
            parser=reading(read_cooldown),
            metavar="DURATION",
            help="No second alert of the same group for so long; 0 alerts every time.",
            show_default=False,
        ),
    ] = None,
    failures_to_alert: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_FAILURES_TO_ALERT,
            metavar="N",
            help="Alert when it has failed so often in a row.",
            show_default=False,
        ),
    ] = None,
    wait_lock: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_duration,
            metavar="DURATION",
            help="Wait so long for a lock that another run holds. Implies --lock.",
            show_default=False,
        ),
    ] = None,
    skip_if_locked: Annotated[
        bool,
        typer.Option(
            "--skip-if-locked",
            help="Where another run holds the lock, end with 0 and record nothing. Implies --lock.",
        ),
    ] = False,
    ok_exit: Annotated[
        list[int] | None,
        typer.Option(
            min=1,
            max=LARGEST_EXIT_CODE,
            metavar="CODE",
            help="This exit code is a success too. Repeat it for more. It is handed on.",
            show_default=False,
        ),
    ] = None,
    quiet_when_suppressed: Annotated[
        bool,
        typer.Option(
            "--quiet-when-suppressed",
            help="Show the output at the end, and nothing of a failure that an earlier alert"
            " covers: cron then mails only what is new.",
        ),
    ] = False,
    keep_stdout_tail: Annotated[
        bool,
        typer.Option(
            "--keep-stdout-tail",
            help="Record the end of stdout with an error too, for commands that report there.",
        ),
    ] = False,
    keep_env: Annotated[
        bool,
        typer.Option(
            "--keep-env",
            help="Let the command see RUNGUARD_DATABASE_URL and the web page's secrets: where it"
            " is itself a tracked program.",
        ),
    ] = False,
    note: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=VALUE",
            help="Keep this with the run. Repeat it for more.",
            show_default=False,
        ),
    ] = None,
    store_timeout: Annotated[
        timedelta | None,
        typer.Option(
            parser=read_length,
            metavar="DURATION",
            help="The most that a dead store may add to the run (default 5s).",
            show_default=False,
        ),
    ] = None,
    every: Every = None,
    cron: Cron = None,
    calendar: Calendar = None,
    tz: Zone = None,
    grace: Grace = None,
    max_runtime: MaxRuntime = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Run a command as a run of JOB.

    The run is recorded, and a failure raises one alert. The command has this process's stdin and
    stdout. Its stderr is passed on as it comes; its last lines decide the group of a failure. HUP,
    INT, QUIT, TERM, USR1, USR2 and WINCH are passed on to its process group.

    With --every, --cron or --calendar, `runguard monitor` alerts where the job does not start.
    """
    code = execution.execute(
        job,
        command,
        lock=lock,
        lock_ttl=lock_ttl,
        timeout=timeout,
        kill_after=kill_after,
        trigger=trigger,
        environment=environment,
        cooldown=cooldown,
        failures_to_alert=failures_to_alert,
        wait_lock=wait_lock,
        skip_if_locked=skip_if_locked,
        ok_exit=ok_exit,
        quiet_when_suppressed=quiet_when_suppressed,
        keep_stdout_tail=keep_stdout_tail,
        keep_env=keep_env,
        note=note,
        store_timeout=store_timeout,
        every=every,
        cron=cron,
        calendar=calendar,
        tz=tz,
        grace=grace,
        max_runtime=max_runtime,
        database_url=database_url,
    )
    raise typer.Exit(code)
