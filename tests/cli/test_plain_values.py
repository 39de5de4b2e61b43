"""What is read plainly is what Typer would read, and what Typer refuses stays refused."""

from __future__ import annotations

import shlex
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from runguard._cli.plain_values import read_plainly


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


def read_length(text: str) -> int:
    if text == "bad":
        raise typer.BadParameter("expected a length, found bad")
    return int(text, 16)


def command_of(seen: list[Any]) -> Any:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def command(
        place: Annotated[str, typer.Argument()] = "here",
        others: Annotated[list[int] | None, typer.Argument()] = None,
        *,
        count: Annotated[int, typer.Option(min=1, max=9)] = 3,
        seconds: Annotated[float | None, typer.Option(min=0.1)] = None,
        jobs: Annotated[list[str] | None, typer.Option()] = None,
        length: Annotated[Any, typer.Option(parser=read_length)] = None,
        colour: Annotated[Colour, typer.Option()] = Colour.RED,
        file: Annotated[Path | None, typer.Option()] = None,
        quiet: Annotated[bool, typer.Option("--quiet/--loud")] = False,
    ) -> None:
        seen.append((place, others, count, seconds, jobs, length, colour, file, quiet))
        seen.append([type(one) for one in seen[-1]])

    return typer.main.get_command(app)


@pytest.mark.parametrize(
    "line",
    [
        *("", "x", "x 1 -- 2", "x y", "x 1.0", "--help", "--count", "--nothing"),
        *("--count 5", "--count 0", "--count 10", "--count 5.0", "--count x", "--count ' 5'"),
        *("--count=-1", "--count 1_0", "--count ٣", "--count=+3", "--count ''"),
        *("--seconds 2", "--seconds 2.5", "--seconds .5", "--seconds 1e1", "--seconds 0"),
        *("--seconds nan", "--seconds inf", "--seconds 0.1", "--seconds ''"),
        *("--jobs a", "--jobs a --jobs 'b c'", "--jobs ''"),
        *("--length ff", "--length bad", "--length zz"),
        *("--colour blue", "--colour green", "--file a/b", "--quiet", "--loud"),
    ],
)
def test_a_value_is_read_as_typer_reads_it(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    theirs: list[Any] = []
    ours: list[Any] = []
    plain = command_of(ours)
    read_plainly(plain)

    expected = end_of(command_of(theirs), line), capsys.readouterr()
    found = end_of(plain, line), capsys.readouterr()

    assert found == expected
    assert ours == theirs


def end_of(command: Any, line: str) -> object:
    with pytest.raises(SystemExit) as end:
        command.main(args=shlex.split(line), prog_name="command")
    return end.value.code
