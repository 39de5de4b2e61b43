"""What a database error means for whether it is tried again."""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError

from runguard._store import faults
from runguard._store.faults import Fault
from runguard._store.postgresql.faults import fault_of as of_driver
from runguard._store.sqlite.faults import fault_of as of_sqlite

WRONG_PASSWORDS = [
    'password authentication failed for user "app"',
    "Passwort-Authentifizierung für Benutzer »app« fehlgeschlagen",
    "authentification par mot de passe échouée pour l'utilisateur « app »",
    "la autentificación password falló para el usuario «app»",
    'autenticação do tipo senha falhou para usuário "app"',
    'пользователь "app" не прошёл проверку подлинности (по паролю)',
    'ユーザー"app"のパスワード認証に失敗しました',
    '사용자 "app"의 password 인증을 실패했습니다',
    '用户 "app" Password 认证失败',
]
NO_SECOND_TRY_HEALS = [
    "FATAL:  unsupported startup parameter: options",  # a pooler's
    "local user with ID 54321 does not exist",
    'definition of service "prod" not found',
]
WHAT_PASSES = [
    "Connection refused\n\tIs the server running on that host and accepting TCP/IP connections?",
    "FATAL:  the database system is starting up",
    "FATAL:  sorry, too many clients already",
    "server closed the connection unexpectedly",
]


def fault_while_connecting(text: str) -> Fault:
    """The text is all that libpq gives then."""
    opening = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '
    error = OperationalError("", None, psycopg.OperationalError(opening + text))
    return faults.fault_of(error, of_driver)


@pytest.mark.parametrize("text", WRONG_PASSWORDS)
def test_a_wrong_password_is_hopeless_in_any_language_of_the_server(text: str) -> None:
    assert fault_while_connecting(f"FATAL:  {text}") is Fault.HOPELESS


@pytest.mark.parametrize("text", NO_SECOND_TRY_HEALS)
def test_what_no_second_try_heals_is_hopeless(text: str) -> None:
    assert fault_while_connecting(text) is Fault.HOPELESS


@pytest.mark.parametrize("text", WHAT_PASSES)
def test_what_passes_is_tried_again(text: str) -> None:
    assert fault_while_connecting(text) is Fault.RECONNECT


def test_what_sqlite_cannot_bind_is_the_records_fault() -> None:
    with (
        contextlib.closing(sqlite3.connect(":memory:")) as connection,
        pytest.raises(sqlite3.Error) as refused,
    ):
        connection.execute("select ?", (object(),))

    assert of_sqlite(DBAPIError("select ?", None, refused.value)) is Fault.DATA
