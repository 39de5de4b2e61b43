"""What `import runguard` shows."""

from __future__ import annotations

import inspect

import pytest

import runguard


def test_all_is_sorted_and_is_what_can_be_seen() -> None:
    loaded = {name: getattr(runguard, name) for name in runguard.__all__}  # some only now

    visible = {
        name
        for name, value in vars(runguard).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }

    assert runguard.__all__ == sorted(runguard.__all__, key=str)
    assert set(runguard.__all__) == visible == set(loaded)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'runguard' has no attribute 'expects'"):
        runguard.expects  # noqa: B018


def test_the_contract_is_there() -> None:
    assert set(runguard.__all__) >= {
        "tracked_run",
        "run_scope",
        "Run",
        "current_run",
        "classify",
        "Failure",
        "configure",
        "ErrorGroup",
        "Severity",
        "RunStatus",
        "TriggerType",
        "RunguardError",
        "ConfigurationError",
        "StoreUnavailable",
        "SchemaOutOfDate",
        "JobLockActive",
    }


def test_every_public_name_says_what_it_is() -> None:
    undocumented = [name for name in runguard.__all__ if not getattr(runguard, name).__doc__]

    assert undocumented == []


def test_the_enums_have_exactly_the_values_of_the_contract() -> None:
    assert list(runguard.ErrorGroup) == [
        "LOCK_CONFLICT", "HTTP_409", "HTTP_5XX", "HTTP_4XX", "TIMEOUT", "UNKNOWN",
    ]  # fmt: skip
    assert list(runguard.Severity) == ["low", "medium", "high"]
    assert list(runguard.RunStatus) == ["RUNNING", "SUCCESS", "FAILED"]
    assert list(runguard.TriggerType) == ["MANUAL", "SCHEDULER", "RETRY"]
