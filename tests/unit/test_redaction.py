"""What `Redactor` hides, what it leaves alone, and what it makes harmless."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import re
import uuid
from collections.abc import Callable
from decimal import Decimal
from enum import IntEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

import pytest

from runguard._errors import ConfigurationError
from runguard._failure.hiding import DEFAULT_LIMIT
from runguard._failure.redaction import Redactor

clean = Redactor().clean
clean_json = Redactor().clean_json

# `<<` and `>>` stand around what must be hidden; all else must stay.
MARKED = [
    # URL userinfo
    "could not connect to postgresql://app:<<hunter2>>@db.internal:5432/sales",
    "redis://:<<hunter2>>@cache:6379/0 refused",
    "https://<<hunter2token>>@api.example.com/v1",
    "https://<<sk9hunter2>>:@api.example.com/v1",
    "https://<<0123456789abcdef0123456789>>:<<x-oauth-basic>>@git.example.com/r",
    "postgresql://app:<<p@ss>>@db/sales",
    "postgresql://app:<<p/ss>>@db/sales",
    "postgresql://app:<<p@ss/w:rd>>@db/sales",
    "postgresql://app:<<a:b:c>>@db/sales",
    "postgresql://app:<<p?s#s>>@db/sales?sslmode=require",
    "postgresql://app:<<%70%40ss>>@db/sales",
    "postgresql://app:<<pa'ss>>@db/sales",
    "amqp://job:<<12345>>@mq/vhost",
    "git+https://u:<<hunter2>>@git.example.com/r",
    "failed to parse: //app:<<hunter2>>@db/x",
    "https://u:<<hunter2>>@h.example/p?mail=a@b.example",
    "mongodb://a:<<hunter2>>@h1,mongodb://b:<<other3>>@h2/db",
    "urls: 'http://a:<<hunter2>>@h1/', 'http://b:<<other3>>@h2/'",
    "dial app:<<hunter2>>@tcp(db:3306)/sales",
    "git clone https://x-access-token:<<hunter2>>@git.example.com/r",
    "//token:<<hunter2>>@h.example/x",
    # URL query, fragment and path
    "https://h.example/cb#access_token=<<hunter2>>&state=1",
    "https://h.example/?u=x%26token%3D<<hunter2>>%26n=1",
    "https://acc.blob.example/c/f.csv?sv=2022-11-02&sp=r&sig=<<Ab3dEf6hIj9l%3D>>",
    "https://hooks.slack.com/services/<<T0/B0/Ab3dEf6hIj9l>>",
    # Headers
    "Authorization: Bearer <<hunter2>>",
    "Authorization: <<Bearer>>\n  <<hunter2.0123456789>>\nHost: h.example",
    "Authorization: <<Bearer>>\nAccept-Encoding-And-More: gzip",
    "authorization: Basic <<dXNlcjpodW50ZXIy>>\nHost: h.example",
    "Proxy-Authorization: Basic <<dXNlcjpodW50ZXIy>>",
    'Authorization: <<Digest username="app", realm="r", response="hunter2">>',
    "Authorization: <<AWS4-HMAC-SHA256 Credential=AKIAABCDEFGHIJKLMNOP/2026/s3, "
    "Signature=0123456789abcdef012345678989abcdef0123456789abcdef>>",
    "Authorization: <<hunter2>>",
    "{'Authorization': '<<Bearer hunter2>>', 'Accept': '*/*'}",
    '{"authorization": "<<Custom hunter2 more>>", "accept": "*/*"}',
    "curl -H 'Authorization: Token <<hunter2>>' https://h.example/x",
    'curl -H "X-Api-Key: <<hunter2>>" https://h.example/x',
    "curl -u app:<<hunter2>> https://h.example/x",
    "Cookie: <<sid=hunter2; theme=dark>>",
    "Set-Cookie: <<sid=hunter2; Path=/; HttpOnly>>\nServer: nginx",
    "{'Cookie': '<<sid=hunter2; b=c>>', 'Host': 'h'}",
    r"b'GET / HTTP/1.1\r\nCookie: <<a=hunter2>>\r\nHost: h\r\n'",
    "X-Auth-Token: <<hunter2>>",
    "[(b'x-api-key', b'<<hunter2>>'), (b'host', b'h')]",
    "[(b'authorization', b'<<Bearer hunter2>>')]",
    "sent Bearer <<hunter2>> to h.example",
    "sent Basic <<dXNlcjpodW50ZXIy>> to h.example",
    "<Cookie sid=<<hunter2>> for h.example/>",
    # Connection strings and arguments
    "host=db user=app password=<<hunter2>> dbname=sales",
    r"host=db password='<<a b\' c>>' dbname=sales",
    "host=db password=<<pa,ss;w'or&d>>) dbname=sales",
    "password = '<<two\nlines>>' host=db",
    "Driver={X};Server=db;Uid=app;Pwd=<<hunter2>>;Encrypt=yes",
    "DRIVER=X;SERVER=db;PWD=<<hunter2>>",
    "connect(host='db', password='<<hunter2>>', port=5432)",
    "Config(user=app, password=<<hunter2>>)",
    "requests.get(auth=(<<'app', 'hunter2'>>))",
    # Pairs
    '{"password": "<<hunter2>>", "user": "app"}',
    r'{"password": "<<hun\"ter2>>", "user": "app"}',
    r'"body": "{\"token\": \"<<hunter2>>\", \"user\": \"app\"}"',
    "{'password': ['<<hunter2>>'], 'user': ['app']}",
    "db:\n  password: <<hunter2>>\n  host: db",
    "passphrase: <<correct-horse>>",
    "login with user: app password: <<hunter2>> host: db",
    ':password=>"<<hunter2>>", :user=>"app"',
    "user[password]=<<hunter2>>&user[name]=app",
    "headers['X-Api-Key'] = '<<hunter2>>'",
    "<user>app</user><password><<hunter2>></password>",
    "DATABASE_URL=postgres://app:<<hunter2>>@db/sales",
    "Incorrect API key provided: <<hunter2hunter2.>>",
    "ALTER ROLE app PASSWORD '<<hunter2>>'",
    "CREATE USER app IDENTIFIED BY '<<hunter2>>'",
    # Commands
    "tool --password <<hunter2>> --host db",
    "tool --api-token=<<hunter2>> --host db",
    "Command '['mysql', '--password', '<<hunter2>>', 'db']' returned non-zero exit status 1.",
    "Command '['mysql', '-u', 'root', '-p<<hunter2 x>>', 'db']' returned",
    "mysqldump -u root -p<<hunter2>> db",
    "sshpass -p <<hunter2>> ssh h",
    "Command '['curl', '-u', 'app:<<hunter2>>', 'http://h/']' timed out",
    # Private keys
    "-----BEGIN RSA PRIVATE "
    "KEY-----<<\nMIIEpAIBAAKCAQEA7bq98\nQ2hlY2tUaGlzT3V0\n+/a1b2c3==\n>>-----END RSA PRIVATE "
    "KEY----- bad",
    "key: -----BEGIN PRIVATE KEY-----<<\nMIIEpAIBAAKCAQEA7bq98\nQ2hlY2tUaGlzT3V0\n+/a1b2c3==>>",
    r'"-----BEGIN EC PRIVATE KEY-----<<\nMIIEpAIB\nQ2hlY2s=\n>>-----END EC PRIVATE KEY-----"',
    "tail:\n<<Ab3dEf6hIj9lMn2pQr5t\nAb3dEf6hIj9lMn2pQr5t\n>>-----END OPENSSH PRIVATE KEY-----",
    # Database messages
    'missing "=" after "<<postgresql//u:hunter2@h/d>>" in connection info string',
    'invalid percent-encoded token: "<<hun%zzter2>>"',
    'invalid integer value "<<hunter2>>" for connection option "port"',
    "nonnumeric port: '<<hunter2>>'",
    "failed to resolve host '<<ter2>>@db.internal': Name or service not known",
    "DETAIL:  Key (api_token)=(<<hun)ter2>>) already exists.",
    "DETAIL:  Key (tenant, lower(api_token::text))=(<<7, hunter2>>) already exists.",
    "DETAIL:  Failing row contains (<<7, hunter2, null>>).",
    "[SQL: INSERT INTO t VALUES (?)]\n[parameters: <<('a]b', 'hunter2')>>]\n(Background on "
    "this error",
    "[parameters: <<('hunter2', 'more>>",
]

QUERY_NAMES = [
    "token",
    "access_token",
    "id_token",
    "refresh_token",
    "api_key",
    "apikey",
    "key",
    "sig",
    "signature",
    "code",
    "client_secret",
    "password",
    "auth",
    "session",
    "jwt",
    "X-Amz-Signature",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Goog-Signature",
]

PAIR_NAMES = [
    "password",
    "passwd",
    "pwd",
    "PWD",
    "passphrase",
    "secret",
    "client_secret",
    "clientSecret",
    "token",
    "FOO_TOKEN",
    "accessToken",
    "api_key",
    "api-key",
    "APIKEY",
    "access_key",
    "private_key",
    "credential",
    "jwt",
    "DB_PASS",
    "PGPASSWORD",
    "mypassword",
    "password2",
    "password_hash",
    "AWS_SECRET_ACCESS_KEY",
    "aws_session_token",
    "SECRET_KEY_BASE",
    "AccountKey",
    "SharedAccessKey",
    "SharedAccessSignature",
]

# Built from pieces, so that no scanner takes this file for a leak.
MIXED = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4fGh7j"
HEX = "0123456789abcdef" * 4
TOKENS = [
    *(f"gh{kind}_{MIXED}" for kind in "pousr"),
    *(f"sk-{kind}{MIXED}" for kind in ("", "ant-", "proj-")),
    *(f"{kind}_{MIXED}" for kind in ("sk_live", "rk_live", "sk_test", "whsec", "npm", "hf")),
    *(f"{kind}{'ABCDEFGH' * 2}" for kind in ("AKIA", "ASIA")),
    f"AIza{MIXED[:35]}",
    f"github_pat_{MIXED}",
    f"glpat-{MIXED[:20]}",
    f"xoxb-123456789012-{MIXED}",
    f"pypi-{MIXED}",
    f"SG.{MIXED[:22]}.{MIXED}",
    f"SK{HEX[:32]}",
    f"dop_v1_{HEX}",
    f"M{MIXED[:23]}.{MIXED[:6]}.{MIXED[:27]}",
    f"123456789:{MIXED[:35]}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.{MIXED}",
]


def first_words(text: str) -> str:
    return text[:40]


@pytest.mark.parametrize("marked", MARKED, ids=first_words)
def test_what_is_marked_is_hidden_and_the_rest_stays(marked: str) -> None:
    raw = marked.replace("<<", "").replace(">>", "")

    assert clean(raw) == re.sub(r"(?s)<<.*?>>", "[redacted]", marked)


@pytest.mark.parametrize("name", QUERY_NAMES)
def test_a_secret_query_parameter_is_hidden(name: str) -> None:
    text = f"GET https://h.example/p?page=2&{name}=Zx9hunter2&limit=5 failed"

    assert clean(text) == text.replace("Zx9hunter2", "[redacted]")


@pytest.mark.parametrize("name", PAIR_NAMES)
@pytest.mark.parametrize("form", ["{}=%s next", "{}: %s\nnext", "{{'{}': '%s'}}", '"{}":"%s",'])
def test_the_value_of_a_secret_name_is_hidden(name: str, form: str) -> None:
    text = form.format(name)

    assert clean(text % "hunter2") == text % "[redacted]"


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_of_a_known_shape_is_hidden_wherever_it_stands(token: str) -> None:
    assert clean(f"({token}) refused") == "([redacted]) refused"


ORDINARY = """\
token expired
Token has expired
Invalid token: expired
invalid token: signature verification failed
Unexpected token '<', "<!DOCTYPE "... is not valid JSON
SyntaxError: Unexpected token: '}'
unexpected token: 'end of file'
token: null
token_type=bearer
tokens: 512
max_tokens=4096
total_tokens: 1024, prompt_tokens: 100
This model's maximum context length is 8192 tokens
KeyError: 'token'
KeyError: 'password'
missing fields: ['password', 'token', 'email']
password authentication failed for user "app"
FATAL:  password authentication failed for user "app"
fe_sendauth: no password supplied
password: must be at least 8 characters
password: is required
{"password": ["This field may not be blank."]}
password=None
password=***
postgresql://app:***@db:5432/sales
argument --password: expected one argument
the following arguments are required: --token, --password
the --token option is required
use --password to set it
Enter password for user app:
The password for role app was not changed
UPDATE users SET password=? WHERE id=?
UPDATE users SET password=%(password)s WHERE id = %(id)s
SELECT token FROM sessions WHERE token = $1
the key 'user_id' is missing
KeyError: 'user_id'
key=42
key: 42
primary key: id
storage key: orders/2026
cache key=user:42:token
foreign key: user_id
sort_key=created_at
monkey=banana
keyboard=us
author=Kim
author: Lee
authors: [Kim, Lee]
authority=example.com
Authorization failed
Authorization: failed
authorization: permission denied for table run_log
Not authorized to perform this action
Authentication credentials were not provided.
credentials: missing
Unable to locate credentials
auth: 3 retries left
auth failed for host db
OAuth2 flow needs a browser
Bearer token is missing
Bearer authentication required
WWW-Authenticate: Bearer realm="api", error="invalid_token"
Basic authentication failed
Basic realm="Restricted"
Digest mismatch for layer
secret santa
secretary: Kim
secrets "db-creds" not found
secret: not found
the secret of good logging is brevity
session started
session 42 closed after 30 s
session_id 7 not found
cookie policy accepted
cookie: not found
cookies are disabled
code=404
exit code=1
error code: 1045
GET /oauth/callback?code=404 returned 500
status=500
status: 503 Service Unavailable
HTTP Error 502: Bad Gateway
404 Client Error: Not Found for url: https://api.example.com/v1/items/42?page=2&limit=50
500 Server Error: Internal Server Error for url: http://localhost:8080/health
HTTPConnectionPool(host='127.0.0.1', port=9): Max retries exceeded with url: /x?page=1
HTTPSConnectionPool(host='api.example.com', port=443): Read timed out. (read timeout=10)
[Errno 111] Connection refused
[Errno -2] Name or service not known
connection to server at "127.0.0.1", port 5432 failed: Connection refused
connection to server at "db.internal" (10.0.0.5), port 5432 failed: timeout expired
could not translate host name "db.internal" to address: Name or service not known
failed to resolve host 'db.internal': [Errno -2] Name or service not known
could not connect to http://[::1]:8080/status
http://host:8080/path/@user
https://medium.example/@writer/a-story
https://registry.example.org/@scope/package
https://example.com/search?q=a@b.example
http://example.com:80/x, mail ops@example.com
//cdn.example.com/lib.js
file:///var/log/app.log
ssh://git@github.com/org/repo.git
git@github.com:org/repo.git
sftp://backup@files.example.com/daily
s3://bucket/prefix/key=42/part-0001.parquet
jdbc:postgresql://db:5432/sales?sslmode=require
docker.io/library/python@sha256:9b74c9897bac770ffc029102a200c5de2f1c3f4c3e8f1d4a7d1a9d6f9b6c1e2a
digest sha256:9b74c9897bac770ffc029102a200c5de2f1c3f4c3e8f1d4a7d1a9d6f9b6c1e2a
commit 3f786850e387550fdab836ed7e6dc881de23001b
merge 3f78685 into main
run 6f1c2f0e-8d7b-4b0a-9c3e-2f4d5a6b7c8d failed
2026-11-22T03:15:00.123456+09:00 job started
at 03:15:00 the queue was empty
duration: 00:15:02
/var/lib/app/secrets/readme.txt: permission denied
No such file or directory: '/etc/app/token.json'
[Errno 13] Permission denied: '/run/secrets/db_password'
C:\\Users\\app\\AppData\\token.dat is locked
PWD is not set
PWD=/home/app
contact ops@example.com or +82 2 1234 5678
mail from: batch@example.com to: ops@example.com
user:alice@example.com was not found
Key (email)=(kim@example.com) already exists.
Key (id)=(409) already exists
DETAIL:  Key (user_id)=(7) is not present in table "users".
duplicate key value violates unique constraint "users_api_token_key"
null value in column "password" of relation "users" violates not-null constraint
column "token" does not exist
relation "api_tokens" does not exist
SELECT id, name FROM users WHERE id = 7 AND key = 'a'
INSERT INTO t (a, b) VALUES (%s, %s)
syntax error at or near "pass"
[SQL parameters hidden due to hide_parameters=True]
canceling statement due to statement timeout
deadlock detected
ValueError: invalid literal for int() with base 10: 'abc'
TypeError: f() missing 1 required positional argument: 'token'
AttributeError: 'NoneType' object has no attribute 'password'
ImportError: cannot import name 'Token' from 'tokenize'
File "/app/jobs/sync.py", line 42, in run
Traceback (most recent call last):
ModuleNotFoundError: No module named 'secrets_store'
Command '['rsync', '-a', '/src', '/dst']' returned non-zero exit status 23.
docker run -p 8080:80 nginx failed
ssh -p 2222 host: connection reset
processed 500 of 512 records
compass=north bypass: on
tests: pass=3 fail=0
tests: 3 passed, 1 failed
passport number is malformed
broken pipe
An error occurred (InvalidClientTokenId): The security token included in the request is invalid.
An error occurred (AccessDenied) when calling the PutObject operation: Access Denied
Your API key is invalid
Invalid API key: not active
api key expired
access key rotation is due
basic plan: 100 GB
signature mismatch
signature=none
risk-adjusted-return-of-the-portfolio-2026
task-2026-11-22-nightly-import
disk-full-on-node-17-of-cluster
SK하이닉스 주가 조회 실패
등록 동기화 실패: 학생 42명을 찾을 수 없습니다
비밀번호가 만료되었습니다
토큰이 유효하지 않습니다
שלום: הקובץ לא נמצא
فشل الاتصال بالخادم
作业失败: 找不到文件
👩‍💻 job 🚀 failed 🇰🇷
naïve café – “quoted” … 100 %
100% of 5 files, %s and :name and {braces} and $dollar
{"a": 1, "b": [true, null], "c": "d"}
std::token::next
""".splitlines()


def test_there_are_enough_ordinary_messages() -> None:
    assert len(set(ORDINARY)) == len(ORDINARY) >= 120


@pytest.mark.parametrize("text", ORDINARY, ids=first_words)
def test_an_ordinary_message_passes_unchanged(text: str) -> None:
    assert clean(text) == text


def test_a_traceback_passes_unchanged() -> None:
    text = (
        'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g(key)\nKeyError: 1'
    )

    assert clean(text) == text


@pytest.mark.parametrize(
    ("raw", "harmless"),
    [
        ("a\0b", "a\ufffdb"),
        ("a\ud800b\udcffc", "a\ufffdb\ufffdc"),
        ("a\x07b\x7fc\x9d", "a\ufffdb\ufffdc\ufffd"),
        ("a\r\nb\rc\vd\fe\x85f\u2028g", "a\nb\nc\nd\ne\nf\ng"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x1b[1;31mred\x1b[0m \x9b32mgreen", "red green"),
        ("\x1b]8;;https://x.example\x1b\\link\x1b]8;;\x07", "link"),
        ("\x1b]0;title\x07x\x1bPdata\x1b\\y\x1b(Bz\x1b", "xyz\ufffd"),
        ("user\u202egpj.exe\u2066x\u200f", "user\ufffdgpj.exe\ufffdx\ufffd"),
        ("가나다 👩\u200d💻 שלום مرحبا", "가나다 👩\u200d💻 שלום مرحبا"),
    ],
)
def test_odd_characters_become_harmless(raw: str, harmless: str) -> None:
    assert clean(raw) == harmless


@pytest.mark.parametrize("odd", ["\0", "\x1b[31m", "\u202e", "\ud800"])
def test_odd_characters_do_not_shield_a_secret(odd: str) -> None:
    assert "hunter2" not in clean(f"A=1{odd}DB_PASSWORD={odd}hunter2 x")


def test_a_secret_split_by_colour_codes_is_hidden() -> None:
    assert clean("pass\x1b[31mword=hun\x1b[0mter2") == "password=[redacted]"


def test_a_text_at_the_limit_is_whole() -> None:
    assert clean("가" * 20 + "abcd", limit=64) == "가" * 20 + "abcd"


def test_a_longer_text_ends_with_how_much_was_cut() -> None:
    cleaned = clean("x" * 1_000_000)

    shown = cleaned.index(" … ")
    assert cleaned.endswith(f" … [cut: {1_000_000 - shown:,} more characters]")
    assert DEFAULT_LIMIT - 64 <= len(cleaned.encode()) <= DEFAULT_LIMIT


def test_a_cut_text_that_grows_again_counts_all_that_was_cut() -> None:
    once = clean("x" * 1000, limit=500)

    assert clean(once, limit=200) == clean("x" * 1000, limit=200)


@pytest.mark.parametrize("limit", range(100, 130))
def test_a_cut_falls_neither_into_a_character_nor_into_a_placeholder(limit: int) -> None:
    cleaned = clean("가 password=hunter2 " * 20, limit=limit)

    body, _, mark = cleaned.partition(" … [cut: ")
    assert mark.endswith(" more characters]")
    assert "\ufffd" not in body
    assert "[" not in body.replace("[redacted]", "")


@pytest.mark.parametrize("limit", [0, 1, 5, 9, 10, 11, 63])
def test_a_tiny_limit_holds_too(limit: int) -> None:
    assert len(clean("password=hunter2 " + "가" * 99, limit=limit).encode()) <= limit


@pytest.mark.parametrize(
    "build",
    [
        lambda n: "-----BEGIN PRIVATE KEY-----\n" + "QUJD" * n,
        lambda n: "token=" + "QUJD" * n,
        lambda n: "postgresql://app:" + "QUJD" * n + "@db/x",
        lambda n: "password='" + "QUJD" * n + "' x",
        lambda n: "Authorization: Bearer " + "QUJD" * n,
        lambda n: "eyJ" + "QUJD" * 50 + "." + "QUJD" * n,
        lambda n: "[parameters: ('" + "QUJD" * n + "')]",
    ],
)
def test_a_secret_larger_than_every_bound_is_hidden(build: Callable[[int], str]) -> None:
    assert "QUJD" not in clean(build(500_000))


# --- The user's own patterns. ---------------------------------------------------------------------


def test_a_users_regular_expression_hides_all_that_it_matches() -> None:
    redactor = Redactor([r"EMP-(?:\d+)", re.compile("(?i)zebra")])

    assert redactor.clean("EMP-1234 saw a Zebra") == "[redacted] saw a [redacted]"


def test_a_users_group_named_secret_is_all_that_is_hidden() -> None:
    assert Redactor([r"emp=(?P<secret>\d+)"]).clean("emp=1234") == "emp=[redacted]"


def test_a_users_function_sees_the_text_and_the_built_in_rules_see_its_answer() -> None:
    redactor = Redactor([lambda text: text.replace("Kim", "password=hunter2")])

    assert redactor.clean("Kim failed") == "password=[redacted] failed"


def test_a_users_pattern_that_matches_everything_settles() -> None:
    redactor = Redactor([r"\w+"])

    assert redactor.clean(redactor.clean("two words")) == "[redacted] [redacted]"


def broken(_: str) -> str:
    raise ValueError("hunter2")


@pytest.mark.parametrize("function", [broken, lambda _: None, lambda _: 1 / 0, lambda: "x"])
def test_when_redaction_fails_nothing_of_the_text_is_shown(function: Any) -> None:
    redactor = Redactor([function])
    cleaned = redactor.clean("hunter2" * 1000)

    assert cleaned == "[runguard could not redact this text; 7,000 characters withheld]"
    assert redactor.clean(cleaned) == cleaned


def test_what_is_no_text_is_withheld_too() -> None:
    not_text: Any = b"password=hunter2"

    assert clean(not_text).startswith("[runguard could not redact this text;")


@pytest.mark.parametrize(
    ("extra", "found"),
    [
        (["fine", "(hunter2"], "pattern 1: .*found one that does not compile: missing \\)"),
        (["a{99999999999999999999}"], "pattern 0: .*found one that does not compile"),
        ([re.compile(b"x")], "pattern 0: .*found one of type bytes"),
        ([None], "pattern 0: .*found one of type NoneType"),
        ("hunter2", "expected a list .*found one str"),
    ],
)
def test_a_bad_pattern_is_refused_without_showing_it(extra: Any, found: str) -> None:
    with pytest.raises(ConfigurationError, match=found) as caught:
        Redactor(extra)

    assert "hunter2" not in str(caught.value)


def test_a_redactor_cannot_be_changed_and_does_not_show_its_patterns() -> None:
    redactor = Redactor(["hunter2"])

    with pytest.raises(AttributeError):
        redactor.extra = ()  # type: ignore[misc]
    assert "hunter2" not in repr(redactor)


# --- JSON. ----------------------------------------------------------------------------------------


class Colour(IntEnum):
    RED = 1


@dataclasses.dataclass
class Point:
    x: int
    api_token: str


class Unshowable:
    def __str__(self) -> str:
        raise ValueError("hunter2")


@pytest.mark.parametrize(
    ("value", "cleaned"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**63 - 1, 2**63 - 1),
        (2**63, "9223372036854775808"),
        (10**6000, "[a number of 19,932 bits]"),
        (1.5, 1.5),
        (float("nan"), "nan"),
        (float("-inf"), "-inf"),
        (Decimal("1.10"), "1.10"),
        (uuid.UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC), "2026-01-02T03:04:00+00:00"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (dt.timedelta(minutes=90), "1:30:00"),
        (PurePosixPath("/a/b"), "/a/b"),
        (b"ab\xff", "ab\\xff"),
        (Colour.RED, 1),
        ((1, "x"), [1, "x"]),
        ({"b", "a"}, ["a", "b"]),
        (MappingProxyType({"a": {1: "x"}}), {"a": {"1": "x"}}),
        (ValueError("password=hunter2"), "ValueError: password=[redacted]"),
        (Unshowable(), "[runguard could not show a value of type Unshowable]"),
        (Point(1, "hunter2"), {"x": 1, "api_token": "[redacted]"}),
        ({"a\0": "b\ud800"}, {"a\ufffd": "b\ufffd"}),
        ({"a\0": 1, "a\1": 2}, {"a\ufffd": 1, "a\ufffd'": 2}),
        ({"url": "redis://:hunter2@h/0"}, {"url": "redis://:[redacted]@h/0"}),
        (["mysql", "--password", "hunter2", "db"], ["mysql", "--password", "[redacted]", "db"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_becomes_json(value: object, cleaned: object) -> None:
    assert clean_json(value) == cleaned
    json.dumps(cleaned, allow_nan=False)


@pytest.mark.parametrize(
    "key", ["password", "DB_PASSWORD", "apiKey", "x-api-key", "Authorization", "cookie", "auth"]
)
@pytest.mark.parametrize("value", ["hunter2", 12345, ["hunter2"], {"a": "hunter2"}])
def test_everything_under_a_secret_key_is_hidden(key: str, value: object) -> None:
    assert clean_json({key: value, "n": 1}) == {key: "[redacted]", "n": 1}


@pytest.mark.parametrize(
    "value",
    [
        {"tokens": 512, "key": "a", "author": "Kim", "code": 404, "token_type": "bearer"},
        {"password": None, "has_token": True},
    ],
)
def test_ordinary_keys_keep_their_values(value: object) -> None:
    assert clean_json(value) == value


def test_a_value_that_contains_itself_ends() -> None:
    value: dict[str, Any] = {"n": 1}
    value["self"] = [value]

    assert clean_json(value) == {"n": 1, "self": ["[runguard cut this: it contains itself]"]}


def test_the_same_value_twice_is_no_cycle() -> None:
    shared = [1]

    assert clean_json([shared, shared]) == [[1], [1]]


def test_depth_is_bounded() -> None:
    value: list[Any] = []
    for _ in range(5000):
        value = [value]

    assert "nested too deep" in json.dumps(clean_json(value))


def test_the_number_of_items_is_bounded_and_said() -> None:
    cleaned: Any = clean_json(list(range(1_000_000)))

    assert cleaned[:3] == [0, 1, 2]
    assert cleaned[-1] == "[cut: 999,000 more items]"


def test_the_size_of_all_texts_together_is_bounded() -> None:
    value = {f"key {n}": "x " * 50_000 for n in range(900)}

    assert len(json.dumps(clean_json(value))) < 256 * 1024


def test_a_failing_function_leaves_no_text_in_json() -> None:
    assert "hunter2" not in json.dumps(Redactor([broken]).clean_json({"a": ["hunter2"]}))
