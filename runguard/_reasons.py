"""What went wrong with a run, as one word. `import runguard` loads none of them."""

from __future__ import annotations

from enum import StrEnum


class ErrorReason(StrEnum):
    """What went wrong, as one word inside the group: `Failure.error_reason`."""

    # The way to the other side.
    DNS = "dns"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    RESET = "reset"
    TLS = "tls"
    # Its answer.
    AUTH = "auth"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    INVALID_REQUEST = "invalid_request"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    OVERLOADED = "overloaded"
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    GATEWAY_TIMEOUT = "gateway_timeout"
    # Time.
    CONNECT_TIMEOUT = "connect_timeout"
    READ_TIMEOUT = "read_timeout"
    POOL_TIMEOUT = "pool_timeout"
    STATEMENT_TIMEOUT = "statement_timeout"
    TIME_LIMIT = "time_limit"
    # The database.
    DEADLOCK = "deadlock"
    DB_LOCK = "db_lock"
    SERIALIZATION = "serialization"
    CONSTRAINT = "constraint"
    SCHEMA = "schema"
    READ_ONLY = "read_only"
    # The machine.
    DISK_FULL = "disk_full"
    OUT_OF_MEMORY = "out_of_memory"
    TOO_MANY_FILES = "too_many_files"
    # The process.
    KILLED = "killed"
    CRASHED = "crashed"
    EXIT_CODE = "exit_code"
    LOST = "lost"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    # The job.
    LOCK_HELD = "lock_held"
    DATA = "data"
    BUG = "bug"
