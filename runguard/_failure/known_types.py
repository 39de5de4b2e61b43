"""Types and attributes of real clients: where a status is, what means a timeout. Data only.

Types stand by their qualified names, so that no client is imported, and none must be installed.
Loaded when a failure is sorted, never by `import runguard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Where real clients keep the status, in the order in which they are asked.
STATUS_ATTRIBUTES: Final = (
    "status_code",  # openai, azure-core, starlette, elasticsearch, docker, jira, zeep …
    "http_status_code",
    "http_status",  # stripe, spotipy, swiftclient
    "status",  # aiohttp, kubernetes, PyGithub, falcon ("503 Service Unavailable"), twisted (bytes)
    "status_int",  # webob
    "http_code",
    "httpcode",  # suds
    "response_code",  # python-gitlab
)
# Methods of the same meaning.
STATUS_METHODS: Final = (
    "http_status",  # facebook_business
    "get_http_status",
    "get_http_status_code",  # mlflow
    "get_status_code",
)
# Where exceptions keep the response, and where that keeps its status.
RESPONSE_ATTRIBUTES: Final = ("response", "resp", "http_response", "meta")
RESPONSE_STATUS_ATTRIBUTES: Final = ("status_code", "status", "status_int", "code")
# Keys of responses that are dictionaries; botocore nests its own one deep.
RESPONSE_STATUS_KEYS: Final = ("HTTPStatusCode", "status_code", "statusCode", "status")

# `code` is an HTTP status on these, and on types with HTTP in their name; elsewhere it is an exit
# code, an SMTP reply, a vendor's own number.
TYPES_WITH_HTTP_CODE: Final = frozenset(
    {
        "cinderclient.exceptions.ClientException",
        "github3.exceptions.GitHubError",
        "google.api_core.exceptions.GoogleAPICallError",
        "google.genai.errors.APIError",
        "gql.transport.exceptions.TransportServerError",
        "gspread.exceptions.APIError",
        "ibm_cloud_sdk_core.api_exception.ApiException",
        "influxdb.exceptions.InfluxDBClientError",
        "matrix_client.errors.MatrixRequestError",
        "novaclient.exceptions.ClientException",
        "postgrest.exceptions.APIError",
        "pyactiveresource.connection.ConnectionError",
        "telethon.errors.rpcbaseerrors.RPCError",
        "webdav3.exceptions.ResponseErrorCode",
    }
)
# Types with an attribute of their own for it.
STATUS_ATTRIBUTE_OF_TYPE: Final[Mapping[str, str]] = {
    "trello.exceptions.ResourceUnavailable": "_status",
    "xmlrpc.client.ProtocolError": "errcode",
}
# Types that keep it in a dictionary of their own: attribute and key.
STATUS_ITEM_OF_TYPE: Final[Mapping[str, tuple[str, str]]] = {
    "databricks.sql.exc.Error": ("context", "http-code"),
    "databricks.sql.exc.RequestError": ("context", "http-code"),
}
_STRIPE: Final[Mapping[str, int]] = {
    "AuthenticationError": 401,
    "CardError": 402,
    "IdempotencyError": 400,
    "InvalidRequestError": 400,
    "PermissionError": 403,
    "RateLimitError": 429,
}
# Types that mean one status and carry it nowhere, by the module that the names share.
_STATUSES: Final[Mapping[str, Mapping[str, int]]] = {
    "aiogram.exceptions": {
        "RestartingTelegram": 500,
        "TelegramBadRequest": 400,
        "TelegramConflictError": 409,
        "TelegramEntityTooLarge": 413,
        "TelegramForbiddenError": 403,
        "TelegramNotFound": 404,
        "TelegramRetryAfter": 429,
        "TelegramServerError": 500,
        "TelegramUnauthorizedError": 401,
    },
    "atlassian.errors": {
        "ApiConflictError": 409,
        "ApiNotAcceptable": 406,
        "ApiNotFoundError": 404,
        "ApiPermissionError": 403,
    },
    "azure.core.exceptions": {
        "ResourceExistsError": 409,
        "ResourceNotFoundError": 404,
    },
    "braintree.exceptions.authentication_error": {"AuthenticationError": 401},
    "braintree.exceptions.authorization_error": {"AuthorizationError": 403},
    "braintree.exceptions.gateway_timeout_error": {"GatewayTimeoutError": 504},
    "braintree.exceptions.not_found_error": {"NotFoundError": 404},
    "braintree.exceptions.request_timeout_error": {"RequestTimeoutError": 408},
    "braintree.exceptions.server_error": {"ServerError": 500},
    "braintree.exceptions.service_unavailable_error": {"ServiceUnavailableError": 503},
    "braintree.exceptions.too_many_requests_error": {"TooManyRequestsError": 429},
    "caldav.lib.error": {"NotFoundError": 404},
    "consul.base": {
        "ACLDisabled": 401,
        "ACLPermissionDenied": 403,
        "BadRequest": 400,
        "NotFound": 404,
    },
    "couchdb.http": {
        "Forbidden": 403,
        "PreconditionFailed": 412,
        "ResourceConflict": 409,
        "ResourceNotFound": 404,
        "Unauthorized": 401,
    },
    "databricks.sdk.errors.platform": {
        "Aborted": 409,
        "AlreadyExists": 409,
        "BadRequest": 400,
        "Cancelled": 499,
        "DeadlineExceeded": 504,
        "InternalError": 500,
        "InvalidParameterValue": 400,
        "NotFound": 404,
        "NotImplemented": 501,
        "PermissionDenied": 403,
        "RequestLimitExceeded": 429,
        "ResourceAlreadyExists": 409,
        "ResourceConflict": 409,
        "ResourceExhausted": 429,
        "TemporarilyUnavailable": 503,
        "TooManyRequests": 429,
        "Unauthenticated": 401,
    },
    "discord.errors": {"RateLimited": 429},
    "django.core.exceptions": {
        "BadRequest": 400,
        "PermissionDenied": 403,
        "SuspiciousOperation": 400,
    },
    "django.http.response": {"Http404": 404},
    "dropbox.exceptions": {
        "ApiError": 409,  # what an endpoint refuses; Dropbox answers 409 to all of it
        "AuthError": 401,
        "BadInputError": 400,
        "PathRootError": 422,
        "RateLimitError": 429,
    },
    "exchangelib.errors": {
        "ErrorServerBusy": 503,
        "UnauthorizedError": 401,
    },
    "geopy.exc": {
        "GeocoderAuthenticationFailure": 401,
        "GeocoderInsufficientPrivileges": 403,
        "GeocoderRateLimited": 429,
    },
    "gspread.exceptions": {"SpreadsheetNotFound": 404},
    "hvac.exceptions": {
        "BadGateway": 502,
        "Forbidden": 403,
        "InternalServerError": 500,
        "InvalidPath": 404,
        "InvalidRequest": 400,
        "PreconditionFailed": 412,
        "RateLimitExceeded": 429,
        "Unauthorized": 401,
        "UnsupportedOperation": 405,
        "VaultDown": 503,
        "VaultNotInitialized": 501,
    },
    "jenkins": {"NotFoundException": 404},
    "mattermostdriver.exceptions": {
        "ContentTooLarge": 413,
        "FeatureDisabled": 501,
        "InvalidOrMissingParameters": 400,
        "NoAccessTokenProvided": 401,
        "NotEnoughPermissions": 403,
        "ResourceNotFound": 404,
    },
    "prawcore.exceptions": {
        "BadRequest": 400,
        "Conflict": 409,
        "Forbidden": 403,
        "NotFound": 404,
        "ServerError": 500,
        "TooManyRequests": 429,
    },
    "prefect.exceptions": {
        "ObjectAlreadyExists": 409,
        "ObjectNotFound": 404,
    },
    "pusher.errors": {
        "PusherBadAuth": 401,
        "PusherBadRequest": 400,
        "PusherForbidden": 403,
    },
    "pycouchdb.exceptions": {
        "AuthenticationFailed": 401,
        "Conflict": 409,
        "NotFound": 404,
    },
    "pyowm.commons.exceptions": {
        "NotFoundError": 404,
        "UnauthorizedError": 401,
    },
    "snowflake.connector.errors": {
        "BadGatewayError": 502,
        "BadRequest": 400,
        "ForbiddenError": 403,
        "GatewayTimeoutError": 504,
        "InternalServerError": 500,
        "MethodNotAllowed": 405,
        "RequestTimeoutError": 408,
        "ServiceUnavailableError": 503,
        "TooManyRequests": 429,
        "UnauthorizedError": 401,
    },
    "SPARQLWrapper.SPARQLExceptions": {
        "EndPointInternalError": 500,
        "EndPointNotFound": 404,
        "QueryBadFormed": 400,
        "URITooLong": 414,
        "Unauthorized": 401,
    },
    "telegram.error": {
        "BadRequest": 400,
        "ChatMigrated": 400,
        "Conflict": 409,
        "EndPointNotFound": 404,
        "Forbidden": 403,
        "InvalidToken": 401,
        "RetryAfter": 429,
        "Unauthorized": 401,
    },
    "stripe": _STRIPE,
    "stripe._error": _STRIPE,
    "stripe.error": _STRIPE,
    "trello.exceptions": {"Unauthorized": 401},
    "trino.exceptions": {
        "Http502Error": 502,
        "Http503Error": 503,
        "Http504Error": 504,
    },
    "typesense.exceptions": {
        "ObjectAlreadyExists": 409,
        "ObjectNotFound": 404,
        "ObjectUnprocessable": 422,
        "RequestForbidden": 403,
        "RequestMalformed": 400,
        "RequestUnauthorized": 401,
        "ServerError": 500,
        "ServiceUnavailable": 503,
    },
    "webdav3.exceptions": {"RemoteResourceNotFound": 404},
    "yfinance.exceptions": {"YFRateLimitError": 429},
}
STATUS_OF_TYPE: Final[Mapping[str, int]] = {
    f"{module}.{name}": status
    for module, statuses in _STATUSES.items()
    for name, status in statuses.items()
}
# Their numbers are no answers of an HTTP server, neither in attributes nor in the text: statuses
# of processes, replies of other protocols, statements with their parameters.
NOT_HTTP: Final = frozenset(
    {
        "MySQLdb._exceptions.MySQLError",
        "aiosmtplib.errors.SMTPException",
        "amqp.exceptions.AMQPError",
        "cx_Oracle.Error",
        "ftplib.Error",
        "oracledb.exceptions.Error",
        "pika.exceptions.AMQPError",
        "pymysql.err.MySQLError",
        "pyodbc.Error",
        "smtplib.SMTPException",
        "sqlalchemy.exc.StatementError",
        "sqlite3.Error",
        "subprocess.SubprocessError",
        "twisted.internet.error.ProcessTerminated",
    }
)

TIMEOUT_TYPES: Final = frozenset(
    {
        "TimeoutError",  # also socket.timeout, and that of asyncio and concurrent.futures
        "google.api_core.exceptions.RetryError",
        "huey.exceptions.ResultTimeout",
        "ldap.TIMELIMIT_EXCEEDED",
        "multiprocessing.context.TimeoutError",
        "subprocess.TimeoutExpired",
        "trio.TooSlowError",
        "pymongo.errors.ExecutionTimeout",
        "web3.exceptions.TimeExhausted",
    }
)
# How libraries name their timeouts: httpx.ReadTimeout, selenium's TimeoutException, cassandra's
# OperationTimedOut, celery's SoftTimeLimitExceeded, kafka's RequestTimedOutError, ldap.TIMEOUT …
# Only theirs: an application's InvalidTimeout is its own affair.
TIMEOUT_NAME: Final = (
    r".*(?:Timeout|TIMEOUT|TimedOut|TimeLimitExceeded|DeadlineExceeded)"
    r"(?:Error|Exception|Expired|ExpiredError|Result)?"
)
TIMEOUT_PACKAGES: Final = frozenset(
    {
        *("adal", "aiobotocore", "aiohttp", "aiokafka", "aiomysql", "aiopg", "aioredis"),
        *("aiormq", "aiosmtplib", "airflow", "anthropic", "anyio", "apache_beam", "appium"),
        *("arq", "async_timeout", "asyncpg", "asyncssh", "aws_xray_sdk", "azure", "billiard"),
        *("boto", "boto3", "botocore", "cassandra", "ccxt", "celery", "clickhouse_connect"),
        *("clickhouse_driver", "cohere", "concurrent", "confluent_kafka", "consul"),
        *("couchbase", "curio", "curl_cffi", "dask", "databricks", "distributed", "dns"),
        *("docker", "dramatiq", "elastic_transport", "elasticsearch", "elasticsearch7"),
        *("elasticsearch8", "etcd3", "eventlet", "exchangelib", "fabric", "faust"),
        *(
            "filelock",
            "func_timeout",
            "geopy",
            "gevent",
            "google",
            "googlemaps",
            "gotrue",
            "gql",
            "groq",
        ),
        *("grpc", "grpclib", "hazelcast", "httpcore", "httpcore2", "httpx", "httpx2", "huey"),
        *("influxdb", "influxdb_client", "invoke", "jira", "joblib", "kafka", "kazoo"),
        *("kombu", "kubernetes", "kubernetes_asyncio", "ldap", "ldap3", "loky", "mariadb"),
        *("mistralai", "mysql", "nats", "ncclient", "neo4j", "netmiko", "niquests", "openai"),
        *("opensearchpy", "oracledb", "paramiko", "pebble", "pexpect", "pika", "playwright"),
        *("prefect", "procrastinate", "psycopg", "psycopg2", "psycopg_pool", "pulsar"),
        *("pymongo", "pymssql", "pymysql", "pyodbc", "pyppeteer", "pysnmp", "qdrant_client"),
        *("ray", "redis", "replicate", "requests", "rq", "scrapli", "selenium", "serial"),
        *("slack_sdk", "snowflake", "sqlalchemy", "stopit", "stripe", "suds"),
        *("supabase_auth", "taskiq", "telegram", "telethon", "temporalio", "tenacity"),
        *("thrift", "timeout_decorator", "tornado", "trio", "twilio", "twisted", "typesense"),
        *("uamqp", "urllib3", "usb", "uvloop", "valkey", "weaviate", "websocket"),
        *("websockets", "zeep", "zmq"),
    }
)
# They inherit from a timeout, though nothing timed out: the host refused, or has no address.
NO_TIMEOUTS: Final = frozenset(
    {
        "urllib3.exceptions.NameResolutionError",
        "urllib3.exceptions.NewConnectionError",
    }
)
CURL_TIMED_OUT: Final = 28
WINDOWS_TIMED_OUT: Final = 10060  # WSAETIMEDOUT, which OSError keeps as it is
TIMEOUT_EXIT_CODE: Final = 124  # of timeout(1)
TIMEOUT_COMMANDS: Final = frozenset({"timeout", "gtimeout"})

# SQLSTATEs that mean a timeout, and those whose message says whether one it was.
TIMEOUT_SQLSTATES: Final = frozenset({"25P03", "25P04", "57P05", "HYT00", "HYT01", "S1T00"})
QUERY_CANCELED: Final = "57014"  # also when a person cancels
# Classes that are sure to be something else, whatever words the message quotes.
SQLSTATE_CLASSES_OF_NO_TIMEOUT: Final = frozenset(
    {"0A", "21", "22", "23", "28", "2B", "3D", "3F", "40", "42", "44", "53", "54"}
)
# Databases' own numbers of a timeout, by the family of the driver's exception.
TIMEOUT_NUMBERS: Final[Mapping[str, frozenset[int]]] = {
    "mysql": frozenset({1205, 1969, 3024}),
    "oracle": frozenset({2049, 3136, 12170, 12535, 12606, 12609, 30006}),
    "mssql": frozenset({-2, 1222}),
    "mongo": frozenset({50, 89, 202, 262}),
    "snowflake": frozenset({604, 630}),
}
# The families, by the base of their drivers' exceptions.
NUMBERED_TYPES: Final[Mapping[str, str]] = {
    "MySQLdb._exceptions.MySQLError": "mysql",
    "asyncmy.errors.MySQLError": "mysql",
    "mariadb.Error": "mysql",
    "mysql.connector.errors.Error": "mysql",
    "pymysql.err.MySQLError": "mysql",
    "cx_Oracle.Error": "oracle",
    "oracledb.exceptions.Error": "oracle",
    "_mssql.MSSQLException": "mssql",
    "pymssql._mssql.MSSQLException": "mssql",
    "pymssql._pymssql.Error": "mssql",
    "pymssql.exceptions.Error": "mssql",
    "pymongo.errors.PyMongoError": "mongo",
    "snowflake.connector.errors.Error": "snowflake",
}

# Their `doc` is what was read: a JSON error often holds an HTML page of a proxy.
JSON_ERRORS: Final = frozenset(
    {
        "json.decoder.JSONDecodeError",
        "simplejson.errors.JSONDecodeError",
        "simplejson.scanner.JSONDecodeError",
    }
)
