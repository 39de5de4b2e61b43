"""Which channel a configuration makes."""

from __future__ import annotations

import pytest

from runguard import ConfigurationError
from tests.support.channels import channel


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        ({"url": "smtp://h/?from=a@x.org&to=b@y.org"}, "smtp"),
        ({"url": "SMTPS://h/?from=a@x.org&to=b@y.org"}, "smtp"),
        ({"url": "webhook+https://h/x"}, "webhook"),
        ({"webhook": "https://h/x"}, "webhook"),
        ({"command": ("tell",)}, "command"),
        ({"url": "json://localhost"}, "json"),
        ({"url": "env:ONCALL_URL"}, "webhook"),
    ],
)
def test_the_scheme_decides_the_protocol(parts: dict[str, object], kind: str) -> None:
    made = channel(**parts, environ={"ONCALL_URL": " webhook+https://h/x\n"})

    assert (made.name, made.kind) == ("oncall", kind)
    assert len(made.config_hash) == 16


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ({}, "expected one of url, webhook and command, found none"),
        ({"url": "json://h", "webhook": "https://h"}, "found url and webhook: keep one"),
        ({"name": "On Call", "command": ("tell",)}, "expected a name of 1 to 40"),
        ({"url": "s3cret"}, "found a text without a scheme"),
        ({"url": "env:NOT_SET"}, "expected a value in the variable NOT_SET"),
        ({"url": "smtp://h/", "secrets": ("s3cret",)}, "expected a secret with a webhook only"),
        ({"command": ("tell",), "secrets": ("s3cret",)}, "expected a secret with a webhook only"),
    ],
)
def test_what_cannot_be_a_channel_is_an_error_that_says_why(
    parts: dict[str, object], expected: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        channel(**parts)

    assert expected in str(caught.value)
    assert "s3cret" not in str(caught.value)
