"""The tables of vendors' tokens and of addresses that are secrets: every entry, and near misses."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from runguard._failure.redaction import Redactor
from runguard._failure.secret_options import TOOLS, Tool
from runguard._failure.vendor_tokens import (
    APPRISE_SCHEMES,
    SECRET_ADDRESSES,
    VENDOR_TOKENS,
    SecretAddress,
    VendorToken,
)

clean = Redactor().clean


def name_of(entry: VendorToken | SecretAddress) -> str:
    return entry.name


@pytest.mark.parametrize("token", VENDOR_TOKENS, ids=name_of)
def test_the_example_of_a_token_is_hidden_wherever_it_stands(token: VendorToken) -> None:
    for frame in ("sync failed: {} was rejected", "({})", "id={}", "x/{}", "a_{}", "'{}'", "{}"):
        assert token.example not in clean(frame.format(token.example))
    assert clean(f"upstream said {token.example}") == "upstream said [redacted]"


@pytest.mark.parametrize("token", VENDOR_TOKENS, ids=name_of)
def test_the_pattern_of_a_token_is_its_own(token: VendorToken) -> None:
    assert re.fullmatch(token.pattern, token.example)


@pytest.mark.parametrize("token", VENDOR_TOKENS, ids=name_of)
def test_the_head_of_a_token_alone_is_none(token: VendorToken) -> None:
    for text in (f"it begins with {token.example[:9]}", f"key prefix {token.example[:5]}…"):
        assert clean(text) == text


@pytest.mark.parametrize("token", VENDOR_TOKENS, ids=name_of)
def test_a_token_names_who_documents_it(token: VendorToken) -> None:
    assert len(token.source) >= 8


@pytest.mark.parametrize("address", SECRET_ADDRESSES, ids=name_of)
def test_of_a_secret_address_the_host_stays(address: SecretAddress) -> None:
    cleaned = clean(f"POST {address.example} -> 404")

    host = address.example.split("/")[2]
    assert cleaned.startswith("POST http")
    assert host in cleaned
    assert cleaned.endswith(" -> 404")
    [span] = [
        m.span(n)
        for m in [re.search(address.pattern, address.example.lower())]
        if m
        for n in [m.lastindex or 0]
    ]
    assert address.example[span[0] : span[1]].rstrip("/") not in cleaned


@pytest.mark.parametrize("scheme", APPRISE_SCHEMES.split())
def test_an_address_of_apprise_is_hidden(scheme: str) -> None:
    assert (
        clean(f"no such route: {scheme}://a1b2c3d4/e5f6g7h8")
        == f"no such route: {scheme}://[redacted]"
    )


NEAR_MISSES = """\
sk-learn-contrib-and-friends-of-it
task-force-9 and risk-9-of-portfolio
ghp is no token, gho neither
glpat- alone
AKIA is how they begin
xoxb- alone
npm_config_registry=https://registry.example.org/
npm_lifecycle_event_for_the_build
pypi-server on port 8080
hf_hub_download failed
hf_hub_enable_hf_transfer
do_something_with_id_1234567890123456
re_compile_and_match
key-value-store-for-job-2026-11-22
pat-test-2026-11-22
api-gateway-7d9f8b6c5d-x2x4z
sdk-2026.11.22-linux-amd64
mob-programming-2026
shippo_live_update
live_stream_of_the_school_2026
test_a_token_of_a_known_shape_is_hidden
test_2026_11_22_nightly_enrolment_sync
secret_manager_of_the_production_project_2
st.markdown and sl.dashboard and dp.st.
SG.school and SK.school
MIIS is a short word
s.students.enrolments.of2026
EAAA and EAA
0a1b2c3d4e5f67890a1b2c3d4e5f6789
0a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d
0a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d4e5f6789
0a1b2c3d-4e5f-4a6b-8c7d-0a1b2c3d4e5f
01HF7YAT31JZHSMW1CG6Q6MHB7
64b7f9c2a1d3e4f5a6b7c8d9
2026-11-22T03:15:00.123456789+09:00
1732212900123456789
/srv/data/2026/11/22/0a1b2c3d4e5f67890a1b2c3d4e5f6789.parquet
enrolment-sync-28904321-x7k2p
ip-10-0-0-5.ap-northeast-2.compute.internal
i-0a1b2c3d4e5f67890 subnet-0a1b2c3d vpc-0a1b2c3d4e5f67890
ami-0a1b2c3d4e5f67890
arn:aws:sqs:ap-northeast-2:123456789012:enrolments
sha256:0a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d4e5f67890a1b2c3d4e5f6789
sha512-0a1b2c3d4e5f67890a1b2c3d4e5f6789==
W/"0a1b2c3d4e5f67890a1b2c3d4e5f6789"
org.springframework.web.client.HttpClientErrorException$Unauthorized
com.example.school.sync.EnrolmentSyncJob$$EnhancerBySpringCGLIB$$0a1b2c3d
_ZN6school4sync10Enrolments4loadERKNS0_6SourceE
C:\\jobs\\sync\\2026-11-22\\enrolments-0a1b2c3d4e5f6789.csv
discord.py 2.3.2 and slack_sdk 3.27.1
slack://channel
line://x
https://hooks.example.org/docs/incoming
https://example.org/hooks/pre-commit/readme
""".splitlines()


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_what_only_resembles_a_token_stays(text: str) -> None:
    assert clean(text) == text


def command_lines(tool: Tool) -> Iterator[str]:
    """A command line for each way in which the table says that the tool takes a secret."""
    for name in tool.names.split():
        for option in tool.value.split():
            yield f"{name} {tool.needs} {option} Hx7zork9 next"
        for option in tool.attached.split():
            yield f"{name} {tool.needs} {option}Hx7zork9 next"
        for option in tool.split.split():
            yield f"{name} {tool.needs} {option[:-1]} job{option[-1]}Hx7zork9 next"
        for entry in tool.after.split():
            word, count = entry.rsplit(":", 1)
            begin = name if word == name else f"{name} {word}{'example' * word.endswith('.')}"
            yield " ".join([begin, *["x"] * (int(count) - 1), "Hx7zork9 next"])
        if tool.login:
            yield f"{name} job/Hx7zork9@db next"


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.names[:24])
def test_every_option_of_a_tool_takes_its_secret_and_no_more(tool: Tool) -> None:
    lines = list(command_lines(tool))

    assert lines
    for line in lines:
        assert clean(line) == line.replace("Hx7zork9", "[redacted]")
