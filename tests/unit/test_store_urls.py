"""URLs of stores, as other clients, hosters and env files write them."""

from __future__ import annotations

from typing import Any

import pytest

from runguard import ConfigurationError
from runguard._store.identity import identity_of
from runguard._store.url import parse_url


def given_to_driver(url: str) -> dict[str, Any]:
    parsed = parse_url(url)
    _, arguments = parsed.get_dialect()().create_connect_args(parsed)
    return dict(arguments)


@pytest.mark.parametrize("quote", ['"', "'", " "])
def test_the_quotes_of_an_env_file_are_no_part_of_a_url(quote: str) -> None:
    arguments = given_to_driver(f"{quote}postgresql://u:p@h/db{quote}")

    assert arguments == {"host": "h", "dbname": "db", "user": "u", "password": "p"}


@pytest.mark.parametrize(
    ("servers", "hosts", "ports"),
    [
        ("h1:5432,h2:5433", "h1,h2", "5432,5433"),
        ("h1,h2:5433", "h1,h2", ",5433"),
        ("[::1]:5432,[fe80::1]:5433", "::1,fe80::1", "5432,5433"),
    ],
)
def test_several_hosts_are_taken_as_libpq_takes_them(servers: str, hosts: str, ports: str) -> None:
    url = f"postgresql://u:a%2Cb@{servers}/db?target_session_attrs=read-write"
    arguments = given_to_driver(url)

    assert (arguments["host"], arguments["port"]) == (hosts, ports)
    assert (arguments["password"], arguments["dbname"]) == ("a,b", "db")
    assert arguments["target_session_attrs"] == "read-write"


def test_several_hosts_are_one_store_in_any_order() -> None:
    one, other = (
        identity_of(f"postgresql://u@{hosts}/db", None)
        for hosts in ("h1:1,h2:2", "h2:2,h1:1")
    )  # fmt: skip

    assert one == other
    assert one.label == "postgresql h1:1,h2:2/db"


def test_a_socket_may_stand_where_the_host_does() -> None:
    assert given_to_driver("postgresql://u@%2Frun%2Fpg/db")["host"] == "/run/pg"


def test_parameters_that_only_other_clients_know_are_left_out() -> None:
    url = "postgresql://u@h/db?pgbouncer=true&connection_limit=1&connect_timeout=3"

    assert given_to_driver(url).keys() == {"host", "dbname", "user", "connect_timeout"}


@pytest.mark.parametrize(
    ("parameters", "meant"),
    [
        ("ssl=true", {"sslmode": "require"}),
        ("ssl=false", {"sslmode": "disable"}),
        ("ssl=verify-full", {"sslmode": "verify-full"}),
        ("ssl=true&sslmode=verify-ca", {"sslmode": "verify-ca"}),
        ("schema=app", {"options": "-csearch_path=app"}),
        ("schema=My%20app", {"options": '-csearch_path="My\\ app"'}),
        (
            "options=-cstatement_timeout%3D5s&schema=app",
            {"options": "-cstatement_timeout=5s -csearch_path=app"},
        ),
    ],
)
def test_parameters_of_other_clients_are_taken_as_they_are_meant(
    parameters: str, meant: dict[str, str]
) -> None:
    arguments = given_to_driver(f"postgresql://u@h/db?{parameters}")

    assert {name: arguments[name] for name in arguments if name in ("sslmode", "options")} == meant


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u@h/db?sslmod=require", "'sslmod' (did you mean 'sslmode'?): take it out"),
        ("postgresql://u@h/db?schema=x&pgbouncer=true", "`alter role … set search_path = x`"),
        ("postgresql://u@h/db?sslmode=no-verify", "verify-full, found 'no-verify'"),
        ("postgresql://u:geheim@h:a5432/db", "found one that cannot be read"),
        ("postgresql://u:geheim@h1:x,h2:y/db", "found one that cannot be read"),
        ("sqlite://", "expected a path after three slashes"),
        ("sqlite://runs.db", "expected a path after three slashes"),
        ("sqlite:///:memory:", "a database in memory would be lost"),
        ("sqlite:///file::memory:?uri=true", "a database in memory would be lost"),
        ("sqlite:///file:x?mode=memory&cache=shared&uri=true", "a database in memory would be"),
        ("sqlite:///file:/x?vfs=memdb&uri=true", "a database in memory would be lost"),
        ("sqlite:///file:?uri=true", "a database in memory would be lost"),
        ("postgresql:///db?host=a,b,c&port=1,2", "one for each of 3 hosts, found 2"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_part_and_its_source(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_url(url, source="RUNGUARD_DATABASE_URL")

    assert str(raised.value).startswith("RUNGUARD_DATABASE_URL: ")
    assert said in str(raised.value)
    assert "geheim" not in str(raised.value)


@pytest.mark.parametrize(
    ("rest", "file", "query"),
    [
        ("file:/srv/my%20runs.db?uri=true", "/srv/my runs.db", {}),
        ("file:/srv/runs.db", "/srv/runs.db", {}),
        ("file:///srv/runs.db?mode=rwc&uri=true&timeout=5", "/srv/runs.db", {"timeout": "5"}),
        ("file://localhost/srv/a%23b.db#part", "/srv/a#b.db", {}),
        ("file:/srv/runs.db?mode=ro", "/srv/runs.db", {"mode": "ro", "uri": "true"}),
        ("/srv/runs.db?nolock=1&uri=true", "/srv/runs.db", {"nolock": "1", "uri": "true"}),
        ("/srv/runs.db?uri=true", "/srv/runs.db", {}),
    ],
)
def test_a_file_has_one_path_however_it_is_written(
    rest: str, file: str, query: dict[str, str]
) -> None:
    url = parse_url(f"sqlite:///{rest}")

    assert (url.database, dict(url.query)) == (file, query)


def test_a_path_in_a_url_is_decoded_once() -> None:
    assert parse_url("sqlite:////srv/a%252Fb/my%20runs.db?timeout=5").database == (
        "/srv/a%2Fb/my runs.db"
    )
