"""Variables that look like settings of runguard and are none. Looked for once in a process."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from typing import Final

from .._errors import did_you_mean
from .._events import UNKNOWN_SETTING, Events
from .._settings import OWN_NAMES

_PREFIX: Final = "RUNGUARD_"
_TEST_PREFIX: Final = "RUNGUARD_TEST_"  # the test suite's, not ours to judge
# What Kubernetes sets in every pod beside a Service called `runguard`, or `runguard-…`.
_OF_A_SERVICE: Final = r"(RUNGUARD(?:_\w+?)?)_(?:SERVICE_(?:HOST|PORT\w*)|PORT(?:_\d+_\w+)?)"


def tell_unknown_names(events: Events) -> None:
    """Log each variable of this process that looks like a setting and is none."""
    for name, hint in unknown_names(os.environ):
        events.emit(UNKNOWN_SETTING, variable=f"{name}{hint}")


def unknown_names(environ: Collection[str]) -> list[tuple[str, str]]:
    """List each `RUNGUARD_*` variable that means nothing, with a ` (did you mean …?)` or ''."""
    return [
        (name, did_you_mean(name, OWN_NAMES))
        for name in sorted(environ)
        if name.startswith(_PREFIX)
        and not name.startswith(_TEST_PREFIX)
        and name not in OWN_NAMES
        and not _is_of_a_service(name, environ)
    ]


def _is_of_a_service(name: str, environ: Collection[str]) -> bool:
    found = re.fullmatch(_OF_A_SERVICE, name)
    return found is not None and f"{found[1]}_SERVICE_HOST" in environ
