"""What the README shows of `explain` is what it says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.docs.test_readme import blocks, run_command, run_python

if TYPE_CHECKING:
    from pathlib import Path


def without_times(text: str) -> list[list[str]]:
    text = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "TIME", text)
    text = re.sub(r"\(for [^)]*\)", "(for SO LONG)", text)
    text = re.sub(r"after [^:]*:", "after SO LONG:", text)
    return [line.split() for line in text.splitlines()]


def test_explain_says_what_the_readme_shows(tmp_path: Path) -> None:
    [code, *_] = blocks("python")
    [shown] = [block.text for block in blocks("text") if block.text.startswith("enrolment_sync")]
    for _ in range(2):
        run_python(code.text, tmp_path)

    printed = run_command("runguard explain failed")

    assert printed.returncode == 0
    assert without_times(printed.stdout) == without_times(shown)
