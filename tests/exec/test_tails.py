"""What the last lines of real tools say: which statement decides, and which is the headline."""

from __future__ import annotations

import pytest

from runguard._exec.failure import failure_of, unread_failure
from runguard._exec.result import CommandResult, Output
from runguard._failure.tail import read_tail
from runguard._models import Failure

# tail, group and status, reason, headline
TOOLS: dict[str, tuple[str, tuple[str, int | None], str | None, str]] = {
    "python": (
        """\
Traceback (most recent call last):
  File "/app/sync.py", line 503, in <module>
    main(timeout=5)
    ^^^^^^^^^^^^^^^
  File "/app/sync.py", line 12, in main
    row["faculty"]
KeyError: 'faculty'
""",
        ("UNKNOWN", None),
        "bug",
        "KeyError: 'faculty'",
    ),
    "python, chained": (
        """\
Traceback (most recent call last):
  File "/app/sync.py", line 9, in fetch
    response.raise_for_status()
requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://x.test/

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/app/sync.py", line 20, in <module>
    raise RuntimeError("sync failed") from error
RuntimeError: sync failed
""",
        ("HTTP_5XX", 503),
        "overloaded",
        "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url:"
        " https://x.test/",
    ),
    "python, a log before the traceback": (
        """\
ERROR upstream answered HTTP 503 Service Unavailable
Traceback (most recent call last):
  File "/app/sync.py", line 20, in <module>
    raise ValueError("student 12 has no faculty")
ValueError: student 12 has no faculty
""",
        ("UNKNOWN", None),
        None,
        "ValueError: student 12 has no faculty",
    ),
    "python, exception group": (
        """\
  + Exception Group Traceback (most recent call last):
  |   File "/app/sync.py", line 4, in <module>
  |     asyncio.run(main())
  | ExceptionGroup: unhandled errors in a TaskGroup (1 sub-exception)
  +-+---------------- 1 ----------------
    | Traceback (most recent call last):
    |   File "/app/sync.py", line 9, in fetch
    |     await get()
    | httpx.ConnectError: [Errno 111] Connection refused
    +------------------------------------
""",
        ("UNKNOWN", None),
        "refused",
        "httpx.ConnectError: [Errno 111] Connection refused",
    ),
    "python, a type that means a status": (
        """\
Traceback (most recent call last):
  File "/app/bot.py", line 3, in <module>
telegram.error.Conflict: terminated by other getUpdates request
""",
        ("HTTP_409", 409),
        "conflict",
        "telegram.error.Conflict: terminated by other getUpdates request",
    ),
    "node": (
        """\
node:internal/process/promises:288
            triggerUncaughtException(err, true /* fromPromise */);
            ^

Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16)
    at Timeout._onTimeout (/app/node_modules/pg/lib/client.js:10:3) {
  errno: -111,
  code: 'ECONNREFUSED',
  syscall: 'connect',
  address: '127.0.0.1',
  port: 5432
}

Node.js v20.11.0
""",
        ("UNKNOWN", None),
        "refused",
        "Error: connect ECONNREFUSED 127.0.0.1:5432",
    ),
    "node, a cause": (
        """\
TypeError: fetch failed
    at node:internal/deps/undici/undici:12345:11 {
  [cause]: Error: connect ECONNREFUSED 127.0.0.1:3000
      at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1555:16) {
    errno: -111,
    code: 'ECONNREFUSED'
  }
}
""",
        ("UNKNOWN", None),
        "refused",
        "TypeError: fetch failed",
    ),
    "node, no JSON": (
        """\
SyntaxError: Unexpected token '<', "<!DOCTYPE "... is not valid JSON
    at JSON.parse (<anonymous>)
""",
        ("UNKNOWN", None),
        "data",
        "SyntaxError: Unexpected token '<', \"<!DOCTYPE \"... is not valid JSON",
    ),
    "azure": (
        """\
ERROR: (Conflict) The account is being deleted.
Code: Conflict
Message: The account is being deleted, so it could not be found.
""",
        ("HTTP_409", 409),
        "conflict",
        "ERROR: (Conflict) The account is being deleted.",
    ),
    "npm": (
        """\
npm ERR! code E404
npm ERR! 404 Not Found - GET https://registry.example.org/left-padx - Not found
npm ERR! 404
npm ERR! 404  'left-padx@*' is not in this registry.
npm ERR! 404
npm ERR! 404 Note that you can also install from a
npm ERR! 404 tarball, folder, http url, or git folder.

npm ERR! A complete log of this run can be found in:
npm ERR!     /home/app/.npm/_logs/2026-01-01T00_00_00_000Z-debug-0.log
""",
        ("HTTP_4XX", 404),
        "not_found",
        "npm ERR! 404 Not Found - GET https://registry.example.org/left-padx - Not found",
    ),
    "npm, a script that failed": (
        """\
TypeError: students.map is not a function
    at Object.<anonymous> (/app/sync.js:3:10)

Node.js v18.19.0
npm ERR! code ELIFECYCLE
npm ERR! errno 1
npm ERR! sync@1.0.0 start: `node sync.js`
npm ERR! Exit status 1
npm ERR!
npm ERR! Failed at the sync@1.0.0 start script.
npm ERR! This is probably not a problem with npm. There is likely additional logging output above.
""",
        ("UNKNOWN", None),
        "bug",
        "TypeError: students.map is not a function",
    ),
    "java": (
        """\
Exception in thread "main" java.lang.IllegalStateException: sync failed
	at test.Sync.main(Sync.java:503)
Caused by: java.net.SocketTimeoutException: Read timed out
	at java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:283)
	... 12 more
""",
        ("TIMEOUT", None),
        "read_timeout",
        "Caused by: java.net.SocketTimeoutException: Read timed out",
    ),
    "maven": (
        """\
[ERROR] Failed to execute goal on project a: Could not transfer artifact x:y:1 from/to central:\
 status code: 503, reason phrase: Service Unavailable (503) -> [Help 1]
[ERROR]
[ERROR] To see the full stack trace of the errors, re-run Maven with the -e switch.
[ERROR] Re-run Maven using the -X switch to enable full debug logging.
[ERROR]
[ERROR] For more information about the errors and possible solutions, please read the articles:
[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/DependencyResolutionException
""",
        ("HTTP_5XX", 503),
        "overloaded",
        "[ERROR] Failed to execute goal on project a: Could not transfer artifact x:y:1 from/to"
        " central: status code: 503, reason phrase: Service Unavailable (503) -> [Help 1]",
    ),
    "go": (
        """\
panic: runtime error: index out of range [5] with length 3

goroutine 1 [running]:
main.sync(0xc000012345, 0x503)
	/src/sync.go:404 +0x1d
main.main()
	/src/main.go:12 +0x25
exit status 2
""",
        ("UNKNOWN", None),
        "crashed",
        "panic: runtime error: index out of range [5] with length 3",
    ),
    "go, its log": (
        """\
2026/01/01 00:00:00 attempt 1/3 failed: HTTP 429
2026/01/01 00:00:05 dial tcp: lookup api.example.org: no such host
exit status 1
""",
        ("UNKNOWN", None),
        "dns",
        "2026/01/01 00:00:05 dial tcp: lookup api.example.org: no such host",
    ),
    "rust": (
        """\
thread 'main' panicked at src/main.rs:12:5:
called `Option::unwrap()` on a `None` value
note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace
""",
        ("UNKNOWN", None),
        "crashed",
        "thread 'main' panicked at src/main.rs:12:5:",
    ),
    "ruby": (
        """\
/usr/lib/ruby/net/protocol.rb:219:in `rbuf_fill': Net::ReadTimeout with #<TCPSocket:(closed)>\
 (Net::ReadTimeout)
	from /usr/lib/ruby/net/protocol.rb:193:in `readuntil'
	from sync.rb:3:in `<main>'
""",
        ("TIMEOUT", None),
        "read_timeout",
        "/usr/lib/ruby/net/protocol.rb:219:in `rbuf_fill': Net::ReadTimeout with"
        " #<TCPSocket:(closed)> (Net::ReadTimeout)",
    ),
    "php": (
        """\
PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused in /a.php:3
Stack trace:
#0 /app/sync.php(3): PDO->__construct('mysql:host=db')
#1 {main}
  thrown in /app/sync.php on line 3
""",
        ("UNKNOWN", None),
        "refused",
        "PHP Fatal error:  Uncaught PDOException: SQLSTATE[HY000] [2002] Connection refused"
        " in /a.php:3",
    ),
    "psql": (
        """\
psql:sync.sql:3: ERROR:  column "timeout" does not exist
LINE 1: select timeout from jobs where status = 500
               ^
HINT:  Perhaps you meant to reference the column "jobs.timeouts".
""",
        ("UNKNOWN", None),
        "schema",
        'psql:sync.sql:3: ERROR:  column "timeout" does not exist',
    ),
    "psql, refused": (
        """\
psql: error: connection to server at "db.internal" (192.0.2.1), port 5432 failed: Connection refused
\tIs the server running on that host and accepting TCP/IP connections?
""",
        ("UNKNOWN", None),
        "refused",
        'psql: error: connection to server at "db.internal" (192.0.2.1), port 5432 failed:'
        " Connection refused",
    ),
    "git": (
        """\
git@git.example.org: Permission denied (publickey).
fatal: Could not read from remote repository.

Please make sure you have the correct access rights
and the repository exists.
""",
        ("UNKNOWN", None),
        "auth",
        "git@git.example.org: Permission denied (publickey).",
    ),
    "git, through HTTP": (
        """\
error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502
fatal: the remote end hung up unexpectedly
fatal: early EOF
fatal: index-pack failed
""",
        ("HTTP_5XX", 502),
        "bad_gateway",
        "error: RPC failed; HTTP 502 curl 22 The requested URL returned error: 502",
    ),
    "curl": (
        """\
  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0
curl: (60) SSL certificate problem: certificate has expired
More details here: https://curl.se/docs/sslcerts.html

curl failed to verify the legitimacy of the server and therefore could not
establish a secure connection to it. To learn more about this situation and
how to fix it, please visit the web page mentioned above.
""",
        ("UNKNOWN", None),
        "tls",
        "curl: (60) SSL certificate problem: certificate has expired",
    ),
    "curl into gunzip": (
        """\
curl: (22) The requested URL returned error: 404
gzip: stdin: unexpected end of file
tar: Child returned status 1
tar: Error is not recoverable: exiting now
""",
        ("HTTP_4XX", 404),
        "not_found",
        "curl: (22) The requested URL returned error: 404",
    ),
    "wget": (
        """\
Connecting to x.test (x.test)|192.0.2.1|:443... failed: Connection timed out.
Retrying.

Connecting to x.test (x.test)|192.0.2.1|:443... failed: Connection timed out.
Giving up.

""",
        ("TIMEOUT", None),
        "connect_timeout",
        "Connecting to x.test (x.test)|192.0.2.1|:443... failed: Connection timed out.",
    ),
    "rsync": (
        """\
ssh: connect to host backup.example.org port 22: Connection timed out
rsync: connection unexpectedly closed (0 bytes received so far) [sender]
rsync error: unexplained error (code 255) at io.c(231) [sender=3.2.7]
""",
        ("TIMEOUT", None),
        "connect_timeout",
        "ssh: connect to host backup.example.org port 22: Connection timed out",
    ),
    "rsync, no space": (
        """\
rsync: [receiver] write failed on "/backup/a": No space left on device (28)
rsync error: error in file IO (code 11) at receiver.c(380) [receiver=3.2.7]
""",
        ("UNKNOWN", None),
        "disk_full",
        'rsync: [receiver] write failed on "/backup/a": No space left on device (28)',
    ),
    "docker": (
        """\
Unable to find image 'sync:latest' locally
docker: Error response from daemon: toomanyrequests: You have reached your rate limit.
See 'docker run --help'.
""",
        ("HTTP_4XX", 429),
        "rate_limited",
        "docker: Error response from daemon: toomanyrequests: You have reached your rate limit.",
    ),
    "terraform": (
        """\
\x1b[31m╷\x1b[0m
\x1b[31m│\x1b[0m \x1b[1mError: \x1b[0mError creating x: googleapi: Error 409: exists, alreadyExists
\x1b[31m│\x1b[0m
\x1b[31m│\x1b[0m   with google_compute_instance.sync,
\x1b[31m│\x1b[0m   on main.tf line 3, in resource "google_compute_instance" "sync":
\x1b[31m│\x1b[0m    3: resource "google_compute_instance" "sync" {
\x1b[31m│\x1b[0m
\x1b[31m╵\x1b[0m
""",
        ("HTTP_409", 409),
        "conflict",
        "Error: Error creating x: googleapi: Error 409: exists, alreadyExists",
    ),
    "ansible": (
        """\
fatal: [db1]: FAILED! => {"changed": false, "msg": "Status code was 503, not 200", "status": 503}

NO MORE HOSTS LEFT *************************************************************

PLAY RECAP *********************************************************************
db1                        : ok=1    changed=0    unreachable=0    failed=1    skipped=0
""",
        ("HTTP_5XX", 503),
        "overloaded",
        'fatal: [db1]: FAILED! => {"changed": false, "msg": "Status code was 503, not 200",'
        ' "status": 503}',
    ),
    "make": (
        """\
sync.sh: line 3: exporter: command not found
make: *** [Makefile:12: sync] Error 127
""",
        ("UNKNOWN", None),
        "not_found",
        "sync.sh: line 3: exporter: command not found",
    ),
    "R": (
        """\
Error in open.connection(con, "rb") : HTTP error 404.
Calls: read.csv -> file -> open
Execution halted
""",
        ("HTTP_4XX", 404),
        "not_found",
        'Error in open.connection(con, "rb") : HTTP error 404.',
    ),
    ".NET": (
        """\
Unhandled exception. System.Net.Http.HttpRequestException: Response status code does not indicate\
 success: 503 (Service Unavailable).
   at System.Net.Http.HttpResponseMessage.EnsureSuccessStatusCode()
   at Sync.Main() in /src/Sync.cs:line 404
""",
        ("HTTP_5XX", 503),
        "overloaded",
        "Unhandled exception. System.Net.Http.HttpRequestException: Response status code does not"
        " indicate success: 503 (Service Unavailable).",
    ),
    "a JSON error over several lines": (
        """\
Create new order error. Le_OrderFinalize not found. {
  "type": "urn:ietf:params:acme:error:rateLimited",
  "status": 429
}
""",
        ("HTTP_4XX", 429),
        "rate_limited",
        "Create new order error. Le_OrderFinalize not found. {",
    ),
}
# Recovered, and what came then.
RECOVERED: dict[str, tuple[str, tuple[str, int | None], str | None]] = {
    "a retry, then a bug": (
        "WARNING Retrying (Retry(total=2)) after connection broken by 'ReadTimeoutError(...)': /a\n"
        "KeyError: 'row'\n",
        ("UNKNOWN", None),
        "bug",
    ),
    "a retry, then something that nobody knows": (
        "HTTP 503, retrying in 5 s\nstudent 12 has no faculty\n",
        ("UNKNOWN", None),
        None,
    ),
    "a retry, then given up": (
        "HTTP 503, retrying in 5 s\nsync failed, giving up after 3 attempts\n",
        ("HTTP_5XX", 503),
        "overloaded",
    ),
    "the last attempt": (
        "attempt 1/2 failed: HTTP 429\nattempt 2/2 failed: HTTP 503\nexport failed\n",
        ("HTTP_5XX", 503),
        "overloaded",
    ),
    "the same request went well": (
        'GET https://x.test/a "HTTP/1.1 503 Service Unavailable"\n'
        'GET https://x.test/a "HTTP/1.1 200 OK"\n3 of 10 pages are incomplete\n',
        ("UNKNOWN", None),
        None,
    ),
    "another request went well": (
        'GET https://x.test/a "HTTP/1.1 503 Service Unavailable"\n'
        'GET https://x.test/b "HTTP/1.1 200 OK"\nsync failed\n',
        ("HTTP_5XX", 503),
        "overloaded",
    ),
    "nothing came after the retry": (
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError(...):"
        " Name or service not known')': /simple/x/\n",
        ("UNKNOWN", None),
        "dns",
    ),
    "the connection came back": (
        "connection timed out, reconnecting\nreconnected\nError: unique constraint failed: a.id\n",
        ("UNKNOWN", None),
        "constraint",
    ),
}


def failed(stderr: str, result: CommandResult | None = None) -> Failure:
    result = result or CommandResult(1, "exit code 1", "exit code 1")

    def clean(text: str, limit: int = 0) -> str:
        return text

    output = Output("stderr", stderr.encode(), len(stderr.encode()))
    return failure_of(result, [output], clean=clean)


@pytest.mark.parametrize("tool", TOOLS)
def test_the_tail_of_a_tool_decides_and_has_a_headline(tool: str) -> None:
    tail, (group, status), reason, headline = TOOLS[tool]
    failure = failed(tail)

    assert (failure.error_group, failure.http_status_code) == (group, status)
    assert failure.error_reason == (reason or "exit_code")
    assert failure.error_message.startswith(f"exit code 1: {headline[:200]}\n")
    assert read_tail(tail).headline == headline


@pytest.mark.parametrize("story", RECOVERED)
def test_a_retry_that_recovered_decides_nothing(story: str) -> None:
    tail, (group, status), reason = RECOVERED[story]
    failure = failed(tail)

    assert (failure.error_group, failure.http_status_code) == (group, status)
    assert failure.error_reason == (reason or "exit_code")


@pytest.mark.parametrize(
    ("code", "words", "group", "reason"),
    [
        (137, "killed by SIGKILL (signal 9)", "UNKNOWN", "killed"),
        (139, "killed by SIGSEGV (signal 11)", "UNKNOWN", "crashed"),
        (134, "exit code 134", "UNKNOWN", "crashed"),
        (1, "exit code 1", "HTTP_5XX", "overloaded"),
        (143, "killed by SIGTERM (signal 15)", "HTTP_5XX", "overloaded"),
        (124, "exit code 124", "HTTP_5XX", "overloaded"),
    ],
)
def test_what_ended_a_command_counts_before_what_it_said_last(
    code: int, words: str, group: str, reason: str
) -> None:
    failure = failed("HTTP 503 Service Unavailable\n", CommandResult(code, words, words))

    assert (failure.error_group, failure.error_reason) == (group, reason)


@pytest.mark.parametrize(
    ("code", "stderr", "group", "reason"),
    [
        (124, "", "TIMEOUT", "time_limit"),
        (124, "syncing page 3\n", "TIMEOUT", "time_limit"),
        (124, "xargs: sync: No such file or directory\n", "UNKNOWN", "not_found"),
        (127, "", "UNKNOWN", "not_found"),
        (126, "", "UNKNOWN", "forbidden"),
        (3, "", "UNKNOWN", "exit_code"),
        (143, "", "UNKNOWN", "killed"),
        (137, "fatal: Out of memory\n", "UNKNOWN", "out_of_memory"),
    ],
)
def test_an_exit_code_has_a_reason(code: int, stderr: str, group: str, reason: str) -> None:
    words = f"exit code {code}"
    failure = failed(stderr, CommandResult(code, words, words))

    assert (failure.error_group, failure.error_reason) == (group, reason)


def test_timeout_as_the_command_counts_before_what_was_said() -> None:
    result = CommandResult(124, "exit code 124", "exit code 124", by_timeout_command=True)
    failure = failed("HTTP 503, retrying\n", result)

    assert (failure.error_group, failure.matched_by) == ("TIMEOUT", "exit code 124 of timeout(1)")


@pytest.mark.parametrize("tail", ["", "\n\n", "   \n", "}\n", "Node.js v20\n", "\x1b[0m"])
def test_a_tail_without_a_statement_says_nothing(tail: str) -> None:
    failure = failed(tail)

    assert (failure.error_group, failure.error_reason) == ("UNKNOWN", "exit_code")


def test_a_stderr_that_could_not_be_read_leaves_what_is_sure() -> None:
    failure = unread_failure(CommandResult(137, "killed by SIGKILL (signal 9)", "SIGKILL"))

    assert (failure.error_group, failure.error_reason) == ("UNKNOWN", "killed")
    assert failure.error_message == "killed by SIGKILL (signal 9)"


@pytest.mark.parametrize(
    "line", ["error 500 rows", "Traceback (most recent call last):", "  x", "HTTP 503", "at", "["]
)
def test_a_huge_tail_is_read_in_bounded_time(line: str) -> None:
    text = f"{line}\n" * (64 * 1024 // (len(line) + 1))

    assert read_tail(text).verdict.group in ("UNKNOWN", "HTTP_5XX")
