"""What tells the reason of a failure: statuses, types, numbers and words. Data only, in order.

Types stand by their qualified names, so that nothing is imported. Words are fragments of regular
expressions, matched in any case. Loaded when a failure is sorted, never by `import runguard`.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Final

from .._reasons import ErrorReason as R

REASON_OF_STATUS: Final[Mapping[int, R]] = {
    **dict.fromkeys((401, 407, 440, 498, 511, 561), R.AUTH),
    **dict.fromkeys((402, 403, 451), R.FORBIDDEN),
    **dict.fromkeys((404, 410), R.NOT_FOUND),
    408: R.READ_TIMEOUT,
    **dict.fromkeys((409, 412, 423), R.CONFLICT),
    **dict.fromkeys((413, 414, 431, 494), R.TOO_LARGE),
    **dict.fromkeys((420, 425, 429), R.RATE_LIMITED),
    **dict.fromkeys((444, 460, 499), R.RESET),
    **dict.fromkeys((495, 496, 525, 526), R.TLS),
    **dict.fromkeys((502, 520, 521, 523, 527), R.BAD_GATEWAY),
    **dict.fromkeys((503, 507, 509, 529), R.OVERLOADED),
    **dict.fromkeys((504, 522, 524, 598, 599), R.GATEWAY_TIMEOUT),
    530: R.DNS,
}  # any other: invalid_request below 500, server_error from there on

REASON_OF_ERRNO: Final[Mapping[int, R]] = {
    errno.ECONNREFUSED: R.REFUSED,
    **dict.fromkeys((errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED, errno.ENOTCONN), R.RESET),
    **dict.fromkeys(
        (
            errno.EHOSTUNREACH,
            errno.ENETUNREACH,
            errno.EHOSTDOWN,
            errno.ENETDOWN,
            errno.EADDRNOTAVAIL,
        ),
        R.UNREACHABLE,
    ),
    errno.ETIMEDOUT: R.CONNECT_TIMEOUT,
    **dict.fromkeys((errno.EACCES, errno.EPERM), R.FORBIDDEN),
    **dict.fromkeys((errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.ENODEV), R.NOT_FOUND),
    **dict.fromkeys((errno.EEXIST, errno.EADDRINUSE, errno.ENOTEMPTY, errno.ETXTBSY), R.CONFLICT),
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), R.DISK_FULL),
    **dict.fromkeys((errno.EFBIG, errno.E2BIG, errno.EMSGSIZE, errno.ENAMETOOLONG), R.TOO_LARGE),
    errno.ENOMEM: R.OUT_OF_MEMORY,
    **dict.fromkeys((errno.EMFILE, errno.ENFILE), R.TOO_MANY_FILES),
    errno.EROFS: R.READ_ONLY,
    errno.EDEADLK: R.DEADLOCK,
    errno.EINTR: R.INTERRUPTED,
    **dict.fromkeys((errno.EAGAIN, errno.EBUSY, errno.ENOBUFS), R.OVERLOADED),
}

# Whole SQLSTATEs before their classes (the first two characters).
REASON_OF_SQLSTATE: Final[Mapping[str, R]] = {
    **dict.fromkeys(("08001", "08004", "57P03"), R.REFUSED),
    **dict.fromkeys(("08006", "08003", "08007", "08S01", "57P01", "57P02"), R.RESET),
    "25006": R.READ_ONLY,
    **dict.fromkeys(("25P03", "25P04", "57P05", "HYT00"), R.STATEMENT_TIMEOUT),
    "HYT01": R.CONNECT_TIMEOUT,
    "40P01": R.DEADLOCK,
    "42501": R.FORBIDDEN,
    **dict.fromkeys(
        ("42P01", "42P02", "42703", "42704", "42883", "42S02", "42S22", "3F000", "42P07", "42701"),
        R.SCHEMA,
    ),
    "53100": R.DISK_FULL,
    "53200": R.OUT_OF_MEMORY,
    "55P03": R.DB_LOCK,
    "57014": R.CANCELLED,
    "58P01": R.NOT_FOUND,
}
REASON_OF_SQLSTATE_CLASS: Final[Mapping[str, R]] = {
    "08": R.RESET,
    "0A": R.BUG,
    **dict.fromkeys(("21", "22"), R.DATA),
    "23": R.CONSTRAINT,
    "28": R.AUTH,
    "3D": R.NOT_FOUND,
    "40": R.SERIALIZATION,
    "42": R.BUG,
    "53": R.OVERLOADED,
    "54": R.TOO_LARGE,
    "XX": R.SERVER_ERROR,
}

# Databases' own numbers, by the family of the driver's exception.
REASON_OF_NUMBER: Final[Mapping[str, Mapping[int, R]]] = {
    "mysql": {
        **dict.fromkeys((1040, 1203, 1226, 1129), R.OVERLOADED),
        **dict.fromkeys((1045, 1698, 1862, 2059), R.AUTH),
        **dict.fromkeys((1044, 1142, 1143, 1227, 1370), R.FORBIDDEN),
        **dict.fromkeys((1021, 1114, 1026, 28), R.DISK_FULL),
        **dict.fromkeys((1037, 1038, 1041), R.OUT_OF_MEMORY),
        1049: R.NOT_FOUND,
        **dict.fromkeys((1051, 1054, 1091, 1146, 1305), R.SCHEMA),
        **dict.fromkeys((1048, 1062, 1216, 1217, 1364, 1451, 1452, 1557, 3819, 4025), R.CONSTRAINT),
        **dict.fromkeys((1205, 3572), R.DB_LOCK),
        **dict.fromkeys((1213, 1614), R.DEADLOCK),
        1020: R.SERIALIZATION,
        **dict.fromkeys((1264, 1265, 1292, 1366, 1406, 1411, 3140), R.DATA),
        **dict.fromkeys((1290, 1792, 1836), R.READ_ONLY),
        **dict.fromkeys((1064, 1065, 1149), R.BUG),
        **dict.fromkeys((1153, 1301), R.TOO_LARGE),
        **dict.fromkeys((1317, 1053), R.CANCELLED),
        **dict.fromkeys((1969, 3024), R.STATEMENT_TIMEOUT),
        **dict.fromkeys((2002, 2003), R.REFUSED),
        2005: R.DNS,
        **dict.fromkeys((2006, 2013, 2055, 1927), R.RESET),
        2026: R.TLS,
    },
    "oracle": {
        **dict.fromkeys((1, 1400, 2290, 2291, 2292), R.CONSTRAINT),
        **dict.fromkeys((18, 20, 12516, 12519, 12520), R.OVERLOADED),
        **dict.fromkeys((54, 30006), R.DB_LOCK),
        60: R.DEADLOCK,
        **dict.fromkeys((904, 942, 4043, 1418), R.SCHEMA),
        **dict.fromkeys((900, 905, 907, 911, 923, 933, 936), R.BUG),
        **dict.fromkeys((1017, 1045, 28000, 28001), R.AUTH),
        1031: R.FORBIDDEN,
        1013: R.CANCELLED,
        **dict.fromkeys((1536, 1652, 1653, 1654, 1688, 257), R.DISK_FULL),
        **dict.fromkeys((1722, 1438, 1830, 1841, 1861, 12899, 6502), R.DATA),
        **dict.fromkeys((3113, 3114, 3135, 12537, 12570, 1089, 1034), R.RESET),
        **dict.fromkeys((4030, 4031), R.OUT_OF_MEMORY),
        8177: R.SERIALIZATION,
        **dict.fromkeys((12154, 12545), R.DNS),
        **dict.fromkeys((12170, 12535), R.CONNECT_TIMEOUT),
        **dict.fromkeys((12505, 12514), R.NOT_FOUND),
        12541: R.REFUSED,
        16000: R.READ_ONLY,
        **dict.fromkeys((28759, 29024, 12560), R.TLS),
    },
    "mssql": {
        **dict.fromkeys((102, 156, 170), R.BUG),
        **dict.fromkeys((207, 208), R.SCHEMA),
        **dict.fromkeys((229, 230, 262, 300), R.FORBIDDEN),
        **dict.fromkeys((245, 8114, 8115, 8152, 2628, 241), R.DATA),
        **dict.fromkeys((515, 547, 2601, 2627), R.CONSTRAINT),
        701: R.OUT_OF_MEMORY,
        **dict.fromkeys((1105, 9002), R.DISK_FULL),
        1205: R.DEADLOCK,
        1222: R.DB_LOCK,
        3906: R.READ_ONLY,
        3960: R.SERIALIZATION,
        4060: R.NOT_FOUND,
        **dict.fromkeys((10928, 10929, 40501), R.OVERLOADED),
        **dict.fromkeys((18452, 18456), R.AUTH),
    },
    "mongo": {
        **dict.fromkeys((11000, 11001, 121), R.CONSTRAINT),
        13: R.FORBIDDEN,
        18: R.AUTH,
        26: R.NOT_FOUND,
        50: R.STATEMENT_TIMEOUT,
        112: R.SERIALIZATION,
        **dict.fromkeys((189, 10107, 11602, 13435), R.READ_ONLY),
    },
}
# Primary names of SQLite's result codes: `sqlite_errorname` begins with one of them.
REASON_OF_SQLITE: Final[Mapping[str, R]] = {
    "SQLITE_AUTH": R.FORBIDDEN,
    "SQLITE_BUSY": R.DB_LOCK,
    "SQLITE_LOCKED": R.DB_LOCK,
    "SQLITE_CANTOPEN": R.NOT_FOUND,
    "SQLITE_CONSTRAINT": R.CONSTRAINT,
    "SQLITE_CORRUPT": R.DATA,
    "SQLITE_NOTADB": R.DATA,
    "SQLITE_MISMATCH": R.DATA,
    "SQLITE_TOOBIG": R.TOO_LARGE,
    "SQLITE_FULL": R.DISK_FULL,
    "SQLITE_NOMEM": R.OUT_OF_MEMORY,
    "SQLITE_PERM": R.FORBIDDEN,
    "SQLITE_READONLY": R.READ_ONLY,
    "SQLITE_INTERRUPT": R.CANCELLED,
    "SQLITE_SCHEMA": R.SCHEMA,
}

REASON_OF_GRPC: Final[Mapping[str, R]] = {
    "ABORTED": R.SERIALIZATION,
    "ALREADY_EXISTS": R.CONFLICT,
    "CANCELLED": R.CANCELLED,
    "DATA_LOSS": R.DATA,
    "FAILED_PRECONDITION": R.INVALID_REQUEST,
    "INTERNAL": R.SERVER_ERROR,
    "INVALID_ARGUMENT": R.INVALID_REQUEST,
    "NOT_FOUND": R.NOT_FOUND,
    "OUT_OF_RANGE": R.INVALID_REQUEST,
    "PERMISSION_DENIED": R.FORBIDDEN,
    "RESOURCE_EXHAUSTED": R.RATE_LIMITED,
    "UNAUTHENTICATED": R.AUTH,
    "UNAVAILABLE": R.OVERLOADED,
    "UNIMPLEMENTED": R.BUG,
}

# Types that mean a reason, asked up the inheritance: the nearest name counts. Drivers and clients
# first; Python's own below.
REASON_OF_TYPE: Final[Mapping[str, R]] = {
    # names, connections, certificates
    "aiodns.error.DNSError": R.DNS,
    "aiohttp.client_exceptions.ClientConnectorDNSError": R.DNS,
    "dns.exception.DNSException": R.DNS,
    "socket.gaierror": R.DNS,
    "socket.herror": R.DNS,
    "urllib3.exceptions.NameResolutionError": R.DNS,
    "ssl.SSLError": R.TLS,
    "ssl.SSLCertVerificationError": R.TLS,
    "aiohttp.client_exceptions.ClientSSLError": R.TLS,
    "aiohttp.client_exceptions.ServerFingerprintMismatch": R.TLS,
    "botocore.exceptions.SSLError": R.TLS,
    "elastic_transport.TlsError": R.TLS,
    "OpenSSL.SSL.Error": R.TLS,
    "paramiko.ssh_exception.BadHostKeyException": R.TLS,
    "requests.exceptions.SSLError": R.TLS,
    "urllib3.exceptions.SSLError": R.TLS,
    "aiohttp.client_exceptions.ServerDisconnectedError": R.RESET,
    "asyncio.exceptions.IncompleteReadError": R.RESET,
    "asyncpg.exceptions.ConnectionDoesNotExistError": R.RESET,
    "asyncpg.exceptions._base.InterfaceError": R.RESET,
    "http.client.IncompleteRead": R.RESET,
    "http.client.RemoteDisconnected": R.RESET,
    "httpcore.RemoteProtocolError": R.RESET,
    "httpx.CloseError": R.RESET,
    "httpx.ReadError": R.RESET,
    "httpx.RemoteProtocolError": R.RESET,
    "httpx.WriteError": R.RESET,
    "pymongo.errors.AutoReconnect": R.RESET,
    "requests.exceptions.ChunkedEncodingError": R.RESET,
    "smtplib.SMTPServerDisconnected": R.RESET,
    "urllib3.exceptions.IncompleteRead": R.RESET,
    "urllib3.exceptions.ProtocolError": R.RESET,
    "websockets.exceptions.ConnectionClosed": R.RESET,
    "kafka.errors.NoBrokersAvailable": R.UNREACHABLE,
    "ldap.SERVER_DOWN": R.UNREACHABLE,
    "paramiko.ssh_exception.NoValidConnectionsError": R.REFUSED,
    "smtplib.SMTPConnectError": R.REFUSED,
    # time
    "httpx.ConnectTimeout": R.CONNECT_TIMEOUT,
    "httpcore.ConnectTimeout": R.CONNECT_TIMEOUT,
    "requests.exceptions.ConnectTimeout": R.CONNECT_TIMEOUT,
    "urllib3.exceptions.ConnectTimeoutError": R.CONNECT_TIMEOUT,
    "aiohttp.client_exceptions.ConnectionTimeoutError": R.CONNECT_TIMEOUT,
    "botocore.exceptions.ConnectTimeoutError": R.CONNECT_TIMEOUT,
    "psycopg.errors.ConnectionTimeout": R.CONNECT_TIMEOUT,
    "pymongo.errors.ServerSelectionTimeoutError": R.CONNECT_TIMEOUT,
    "httpx.ReadTimeout": R.READ_TIMEOUT,
    "httpx.WriteTimeout": R.READ_TIMEOUT,
    "httpcore.ReadTimeout": R.READ_TIMEOUT,
    "requests.exceptions.ReadTimeout": R.READ_TIMEOUT,
    "urllib3.exceptions.ReadTimeoutError": R.READ_TIMEOUT,
    "aiohttp.client_exceptions.SocketTimeoutError": R.READ_TIMEOUT,
    "botocore.exceptions.ReadTimeoutError": R.READ_TIMEOUT,
    "pymongo.errors.NetworkTimeout": R.READ_TIMEOUT,
    "httpx.PoolTimeout": R.POOL_TIMEOUT,
    "httpcore.PoolTimeout": R.POOL_TIMEOUT,
    "psycopg_pool.PoolTimeout": R.POOL_TIMEOUT,
    "sqlalchemy.exc.TimeoutError": R.POOL_TIMEOUT,
    "urllib3.exceptions.EmptyPoolError": R.POOL_TIMEOUT,
    "pymongo.errors.ExecutionTimeout": R.STATEMENT_TIMEOUT,
    "billiard.exceptions.TimeLimitExceeded": R.TIME_LIMIT,
    "billiard.exceptions.SoftTimeLimitExceeded": R.TIME_LIMIT,
    "celery.exceptions.TimeLimitExceeded": R.TIME_LIMIT,
    "celery.exceptions.SoftTimeLimitExceeded": R.TIME_LIMIT,
    "dramatiq.middleware.time_limit.TimeLimitExceeded": R.TIME_LIMIT,
    "rq.timeouts.BaseTimeoutException": R.TIME_LIMIT,
    "subprocess.TimeoutExpired": R.TIME_LIMIT,
    "airflow.exceptions.AirflowTaskTimeout": R.TIME_LIMIT,
    # who may
    "amqp.exceptions.AccessRefused": R.AUTH,
    "botocore.exceptions.CredentialRetrievalError": R.AUTH,
    "botocore.exceptions.NoCredentialsError": R.AUTH,
    "botocore.exceptions.PartialCredentialsError": R.AUTH,
    "botocore.exceptions.TokenRetrievalError": R.AUTH,
    "azure.core.exceptions.ClientAuthenticationError": R.AUTH,
    "google.auth.exceptions.DefaultCredentialsError": R.AUTH,
    "google.auth.exceptions.RefreshError": R.AUTH,
    "jwt.exceptions.InvalidTokenError": R.AUTH,
    "ldap.INVALID_CREDENTIALS": R.AUTH,
    "ldap3.core.exceptions.LDAPBindError": R.AUTH,
    "oauthlib.oauth2.rfc6749.errors.OAuth2Error": R.AUTH,
    "paramiko.ssh_exception.AuthenticationException": R.AUTH,
    "redis.exceptions.AuthenticationError": R.AUTH,
    "smtplib.SMTPAuthenticationError": R.AUTH,
    "redis.exceptions.NoPermissionError": R.FORBIDDEN,
    "ldap.INSUFFICIENT_ACCESS": R.FORBIDDEN,
    # databases, where no number says it
    "django.db.utils.IntegrityError": R.CONSTRAINT,
    "peewee.IntegrityError": R.CONSTRAINT,
    "psycopg2.IntegrityError": R.CONSTRAINT,
    "pymongo.errors.DuplicateKeyError": R.CONSTRAINT,
    "sqlalchemy.exc.IntegrityError": R.CONSTRAINT,
    "django.db.utils.DataError": R.DATA,
    "sqlalchemy.exc.DataError": R.DATA,
    "sqlalchemy.exc.NoSuchTableError": R.SCHEMA,
    "sqlalchemy.orm.exc.StaleDataError": R.SERIALIZATION,
    "filelock._error.Timeout": R.LOCK_HELD,
    "redis.exceptions.BusyLoadingError": R.OVERLOADED,
    "redis.exceptions.LockError": R.LOCK_HELD,
    "redis.exceptions.OutOfMemoryError": R.OUT_OF_MEMORY,
    "redis.exceptions.ReadOnlyError": R.READ_ONLY,
    "pymongo.errors.NotPrimaryError": R.READ_ONLY,
    "pymongo.errors.WriteConflict": R.SERIALIZATION,
    # what is missing
    "django.core.exceptions.ObjectDoesNotExist": R.NOT_FOUND,
    "sqlalchemy.exc.NoResultFound": R.NOT_FOUND,
    "amqp.exceptions.NotFound": R.NOT_FOUND,
    # processes
    "billiard.exceptions.WorkerLostError": R.KILLED,
    "celery.exceptions.WorkerLostError": R.KILLED,
    "concurrent.futures.process.BrokenProcessPool": R.KILLED,
    "joblib.externals.loky.process_executor.TerminatedWorkerError": R.KILLED,
    "ray.exceptions.OutOfMemoryError": R.OUT_OF_MEMORY,
    "ray.exceptions.WorkerCrashedError": R.CRASHED,
    "rq.exceptions.AbandonedJobError": R.LOST,
    # data
    "avro.errors.AvroException": R.DATA,
    "binascii.Error": R.DATA,
    "cerberus.validator.DocumentError": R.DATA,
    "configparser.Error": R.DATA,
    "_csv.Error": R.DATA,
    "decimal.DecimalException": R.DATA,
    "django.core.exceptions.ValidationError": R.DATA,
    "gzip.BadGzipFile": R.DATA,
    "jsonschema.exceptions.ValidationError": R.DATA,
    "json.decoder.JSONDecodeError": R.DATA,
    "lxml.etree.LxmlError": R.DATA,
    "marshmallow.exceptions.ValidationError": R.DATA,
    "openpyxl.utils.exceptions.InvalidFileException": R.DATA,
    "pandas.errors.EmptyDataError": R.DATA,
    "pandas.errors.IntCastingNaNError": R.DATA,
    "pandas.errors.MergeError": R.DATA,
    "pandas.errors.OutOfBoundsDatetime": R.DATA,
    "pandas.errors.ParserError": R.DATA,
    "pandera.errors.SchemaError": R.DATA,
    "pandera.errors.SchemaErrors": R.DATA,
    "pyarrow.lib.ArrowException": R.DATA,
    "pydantic.error_wrappers.ValidationError": R.DATA,
    "pydantic_core._pydantic_core.ValidationError": R.DATA,
    "rest_framework.exceptions.ValidationError": R.DATA,
    "struct.error": R.DATA,
    "tarfile.TarError": R.DATA,
    "tomllib.TOMLDecodeError": R.DATA,
    "xml.etree.ElementTree.ParseError": R.DATA,
    "xml.parsers.expat.ExpatError": R.DATA,
    "xml.sax._exceptions.SAXException": R.DATA,
    "yaml.composer.ComposerError": R.DATA,
    "yaml.constructor.ConstructorError": R.DATA,
    "yaml.error.YAMLError": R.DATA,
    "yaml.parser.ParserError": R.DATA,
    "yaml.scanner.ScannerError": R.DATA,
    "zipfile.BadZipFile": R.DATA,
    "zlib.error": R.DATA,
    "lzma.LZMAError": R.DATA,
    # Python's own
    "asyncio.exceptions.CancelledError": R.CANCELLED,
    "concurrent.futures._base.CancelledError": R.CANCELLED,
    "trio.Cancelled": R.CANCELLED,
    "KeyboardInterrupt": R.INTERRUPTED,
    "SystemExit": R.EXIT_CODE,
    "MemoryError": R.OUT_OF_MEMORY,
    "ConnectionRefusedError": R.REFUSED,
    "ConnectionError": R.RESET,
    "PermissionError": R.FORBIDDEN,
    "FileNotFoundError": R.NOT_FOUND,
    "FileExistsError": R.CONFLICT,
    "UnicodeError": R.DATA,
    "EOFError": R.DATA,
    "OverflowError": R.DATA,
    "ArithmeticError": R.BUG,
    "AssertionError": R.BUG,
    "AttributeError": R.BUG,
    "ImportError": R.BUG,
    "LookupError": R.BUG,
    "NameError": R.BUG,
    "NotImplementedError": R.BUG,
    "RecursionError": R.BUG,
    "ReferenceError": R.BUG,
    "StopAsyncIteration": R.BUG,
    "StopIteration": R.BUG,
    "SyntaxError": R.BUG,
    "TypeError": R.BUG,
    "IsADirectoryError": R.BUG,
    "NotADirectoryError": R.NOT_FOUND,
}
# So general that what stands in their text, or behind them, says it better.
REASON_OF_GENERAL_TYPE: Final[Mapping[str, R]] = {"ValueError": R.DATA}

# Words of a text, first match in this order. English first, then what other languages say.
REASON_OF_WORDS: Final[tuple[tuple[R, str], ...]] = (
    (
        R.LOCK_HELD,
        r"job_lock active|already running|another (?:instance|process|run) (?:is|holds|has)"
        r"|could not (?:get|acquire) (?:dpkg )?(?:frontend )?lock|unable to acquire (?:the )?dpkg"
        r"|lock file|error acquiring the state lock|state lock|repository is already locked"
        r"|could not acquire (?:change log )?lock|another operation [^\n]{0,40}in progress",
    ),
    (
        R.OUT_OF_MEMORY,
        r"out of memory|\boom[ -]?kill|oomkilled|cannot allocate memory|memoryerror"
        r"|outofmemoryerror|java heap space|heap out of memory|gc overhead limit|std::bad_alloc"
        r"|virtual memory exhausted|allowed memory size|memory limit (?:\S+ )?exceeded"
        r"|not enough memory|enomem\b|insufficient memory|unable to allocate|memory exhausted"
        r"|메모리가? 부족|内存不足|oom command not allowed|memory limit",
    ),
    (
        R.DISK_FULL,
        r"no space left|disk(?: is)? full|enospc|disk quota exceeded|quota exceeded.{0,20}disk"
        r"|insufficient disk|not enough (?:disk )?space|out of disk|filesystem full"
        r"|file system is full|database or disk is full|unable to extend (?:table|index|temp)"
        r"|espace disque insuffisant|espa(?:cio|ço) (?:en|em) disco insuficiente|edquot"
        r"|디스크.{0,12}부족|空き(?:領域|容量)|磁盘.{0,6}(?:已满|不足)|设备上没有空间"
        r"|kein platz mehr|auf dem gerät ist kein speicherplatz|aucun espace disponible"
        r"|no queda espacio|장치에 남은 공간이 없|デバイスに空き|wrote only \d+ of"
        r"|не осталось свободного места",
    ),
    (
        R.TOO_MANY_FILES,
        r"too many open files|emfile\b|enfile\b|열린 파일이 너무 많",
    ),
    (
        R.DEADLOCK,
        r"deadlock|ora-00060|교착|デッドロック|死锁|死結|verklemmung|interbloqueo|взаимоблокировк"
        r"|interblocage",
    ),
    (
        R.SERIALIZATION,
        r"could not serialize|serialization failure|write ?conflict|ora-08177|restart transaction"
        r"|transaction (?:was )?aborted due to|optimistic lock|stale (?:object|data)"
        r"|objectoptimisticlocking|concurrent (?:update|modification)|staleobject"
        r"|updated or deleted by another",
    ),
    (
        R.DB_LOCK,
        r"lock wait timeout|lock timeout|database is locked|database table is locked|sqlite_busy"
        r"|could not obtain lock|resource busy and acquire|lock request time|ora-00054"
        r"|lock not available|잠금 대기|ロックのタイムアウト|wegen zeitüberschreitung einer sperre"
        r"|obtention des verrous|espera de candados|锁超时",
    ),
    (
        R.CONSTRAINT,
        r"violates (?:\S+ ){1,2}constraint|duplicate (?:key|entry)|unique constraint"
        r"|constraint failed|foreign key constraint|not-null constraint|check constraint|ora-00001"
        r"|ora-0229|ora-01400|e11000|cannot be null\b|integrityerror|중복된 키|一意性制約|重复键"
        r"|verletzt .{0,24}constraint|restricción de unicidad|viola (?:la |a )?restri"
        r"|llave duplicada"
        r"|rompt la contrainte|viole la contrainte|нарушает ограничение|违反.{0,6}约束"
        r"|cannot insert the value null|conflicted with the",
    ),
    (
        R.READ_ONLY,
        r"read-only (?:file ?system|transaction|database|replica|mode|option)"
        r"|readonly (?:database|replica)|\berofs\b|attempt to write a readonly"
        r"|not (?:primary|master)|read only replica|\bmisconf\b",
    ),
    (
        R.SCHEMA,
        r"(?:relation|table|column|view|function"
        r"|schema) [\"'`][^\"'`\n]{1,80}[\"'`] (?:of relation .{1,60})?does(?: not|n't) exist"
        r"|no such (?:table|column)|unknown column|invalid (?:column|object) name|ora-00942"
        r"|ora-00904|undefined(?:table|column)|table .{1,80} doesn't exist",
    ),
    (
        R.TLS,
        r"certificate|\bssl\b.{0,30}(?:error|fail|handshake|alert)"
        r"|\btls\b.{0,20}(?:error|fail|handshake|alert)|handshake failure|sslerror|x509"
        r"|unable to get local issuer|self[- ]signed|wrong version number|err_ssl|err_cert"
        r"|host key verification failed|remote host identification has changed|인증서|証明書|证书"
        r"|zertifikat|certificado|certificat\b|curl: \((?:35|51|53|58|59|60|77|80|83|90)\)",
    ),
    (
        R.DNS,
        r"name or service not known|name resolution|getaddrinfo|could not resolve|couldn't resolve"
        r"|nodename nor servname|no address associated|nameresolution|\benotfound\b|eai_again"
        r"|eai_noname|unknownhost|no such host|translate host name"
        r"|unknown (?:\w+ )?(?:server )?host|nxdomain|servfail|host not found|name does not resolve"
        r"|cannot resolve|failed to resolve|unable to resolve|ora-12154|ora-12545"
        r"|dns (?:lookup|error|resolution|failure)|11001\b|err_name_not_resolved"
        r"|이름을 (?:확인|찾을) 수|名前解決|无法解析|name oder dienst nicht|nom ou service inconnu"
        r"|nombre o servicio desconocido",
    ),
    (
        R.REFUSED,
        r"connection [^\n]{0,60}refused|refused (?:the |our )?connection|econnrefused"
        r"|actively refused|wsaeconnrefused|\b10061\b"
        r"|ora-12541|no listener|couldn't connect to server|could not connect to server"
        r"|failed to connect to \S+ port|is the server running|connection attempt failed"
        r"|no connection could be made|can't connect to (?:\w+ )?(?:server|mysql)"
        r"|err_connection_refused|the database system is (?:starting up|shutting down)"
        r"|cannot connect to the docker daemon|연결이 거부|接続を拒否|拒绝连接|連線被拒"
        r"|verbindung(?:saufbau)? (?:verweigert|abgelehnt)|conexi[óo]n (?:rehusada|rechazada)"
        r"|connexion refusée|conexão recusada|connessione rifiutata|отказано в соединении"
        r"|соединении отказано|połączenie odrzucone",
    ),
    (
        R.RESET,
        r"connection (?:was )?(?:reset|aborted|closed|broken|lost|terminated|dropped)|econnreset"
        r"|econnaborted|epipe\b|broken pipe|server closed the connection|server has gone away"
        r"|lost connection|remote end closed|unexpected eof|eof (?:detected|occurred)|early eof"
        r"|socket hang ?up|forcibly closed|reset by peer|connection unexpectedly closed"
        r"|remotedisconnected|incompleteread|premature(?:ly)? (?:end|close|eof)"
        r"|err_connection_(?:reset|closed|aborted)|err_empty_response|connection_forced"
        r"|closed (?:by|prematurely)|not closed cleanly|ssl syscall|terminating connection"
        r"|ora-03113|ora-03114|ora-03135|\b10054\b|transport is closing"
        r"|stream (?:was )?(?:reset|closed)|unexpectedly (?:closed|terminated|disconnected)"
        r"|broken connection|has been closed|server disconnected|연결이 (?:끊|재설정)"
        r"|接続が(?:切断|リセット)|连接(?:被|已)?(?:重置|关闭|断开)"
        r"|verbindung .{0,20}(?:zurückgesetzt|unterbrochen)|conexión reinicializada"
        r"|connexion ré-?initialisée|empty reply from server|: eof\b",
    ),
    (
        R.RATE_LIMITED,
        r"rate[ _-]?limit|too ?many ?requests|throttl|toomanyrequests|quota (?:has been )?exceeded"
        r"|exceeded (?:your |the )?(?:\w+ )?quota|resource_?exhausted|slow ?down"
        r"|request limit exceeded|number_of_service_requests_exceeds|too many certificates"
        r"|too many failed authorizations|secondary rate|요청.{0,10}초과|リクエストが多すぎ"
        r"|请求过于频繁",
    ),
    (
        R.OVERLOADED,
        r"overload|too many (?:clients|connections|users|sessions)"
        r"|max(?:imum)? (?:number of )?connections|remaining connection slots"
        r"|server (?:is )?(?:too )?busy|serverbusy|circuit_?breaking|circuit ?breaker|es_rejected"
        r"|max \d+ users|temporarily unavailable|service unavailable|try again later|no capacity"
        r"|capacity (?:exceeded|unavailable)|resource temporarily|pool (?:is )?(?:exhausted|full)"
        r"|queuepool limit|cannot achieve consistency|loading the dataset in memory"
        r"|statusruntimeexception: unavailable|과부하|過負荷"
        r"|过载|überlast|surcharg|sobrecarg|перегруж",
    ),
    (
        R.AUTH,
        r"authentication (?:fail|required|error)|auth(?:entication)? failures?"
        r"|unauthori[sz]ed(?!access)|key_is_not_registered|등록되지 않은 (?:인증키|서비스\s?키)"
        r"|인증키가 유효하지|(?:run|using) [\"'`]?(?:az|gcloud auth|aws sso|gh auth|oc"
        r"|docker) login"
        r"|unauthenticated|invalid (?:\w+ )?(?:credentials|password|token|api[ _-]?key|username"
        r"|login)|password authentication failed|login (?:failed|incorrect)|bad credentials"
        r"|(?:access|permission) denied \(publickey|permission denied \((?:publickey|password)"
        r"|access denied for user|no credentials|could not (?:load|find) credentials"
        r"|unable to locate credentials|expired ?token|token (?:has |is )?(?:expired|invalid)"
        r"|no pg_hba\.conf|ora-01017|not logged in|logon denied|login denied|wrongpass|noauth"
        r"|invalid_grant|invalid_client|access_refused|could not read (?:username|password)"
        r"|must be logged in|인증.{0,8}실패|認証.{0,8}失敗|认证失败|authentifizierung .{0,10}fehl"
        r"|incorrect (?:username|password|user|login)|(?:username|password)[^\n]{0,20}not accepted"
        r"|authentifizierung[^\n]{0,40}fehl|проверку подлинности|invalid_auth|not_authed"
        r"|account (?:is )?(?:locked|disabled)|ora-2800[01]|비밀번호가.{0,10}(?:일치|틀|올바르)"
        r"|パスワードが(?:正しく|違)|密码(?:错误|不正确)|(?:passwort|kennwort)[^\n]{0,12}falsch"
        r"|contraseña[^\n]{0,8}incorrecta|mot de passe[^\n]{0,8}incorrect|senha[^\n]{0,8}incorreta"
        r"|неверный пароль",
    ),
    (
        R.FORBIDDEN,
        r"permission denied|access denied|access is denied|forbidden|not authorized|not permitted"
        r"|eacces\b|eperm\b|insufficient (?:privilege|permission|scope|access)|permissionerror"
        r"|does not have (?:\S+ ){1,4}(?:access|permission)|permission_denied|not allowed to"
        r"|no permission|access to .{1,60} denied|accessdenied|ora-01031|must be owner of"
        r"|권한이 (?:없|거부)|アクセス(?:が|は)?拒否|許可がありません|拒绝访问|权限不(?:够|足)"
        r"|keine berechtigung|permiso denegado|permission non accordée|permiss[ãa]o negada"
        r"|zugriff verweigert|acceso denegado|accès refusé|acesso negado|отказано в доступе"
        r"|доступ запрещ",
    ),
    (
        R.UNREACHABLE,
        r"(?:network|host)(?: is)? unreachable|no route to host|ehostunreach|enetunreach"
        r"|eaddrnotavail|cannot assign requested address|host is down|destination unreachable"
        r"|no (?:brokers|nodes|servers?) (?:are )?available|failed to connect to all addresses"
        r"|unreachable!|no connection established|(?:could ?n[o'\u2019]t|cannot|can['\u2019]t"
        r"|unable to|failed to) connect to|nobrokersavailable|brokers (?:are )?down"
        r"|_all_brokers_down",
    ),
    (
        R.KILLED,
        r"\bkilled\b|signal: killed|sigkill|workerlosterror|terminated by signal|received signal"
        r"|sigterm|process was terminated|oom score"
        r"|exit(?:ed)?(?: with)? (?:code|status) 1(?:37|43)\b",
    ),
    (
        R.CRASHED,
        r"segmentation fault|segfault|sigsegv|core dumped|sigabrt|bus error|illegal instruction"
        r"|fatal error has been detected|access violation|panic:|panicked at|double free"
        r"|stack smashing",
    ),
    (
        R.CANCELLED,
        r"cancell?ed|user request|aborted by|operation was aborted|context canceled|사용자 요청"
        r"|ユーザーからの要求|用户请求",
    ),
    (
        R.CONFLICT,
        r"version[_ ]conflict|already exists|the object has been modified|conflict\b|eexist\b"
        r"|address already in use|eaddrinuse|non-fast-forward|fetch first|이미 존재|既に存在"
        r"|已存在",
    ),
    (
        R.NOT_FOUND,
        r"no such file or directory|enoent\b|filenotfound|command not found"
        r"|cannot find(?! module)|can't find"
        r"|not found|no such (?:key|bucket|object|container|image|entity|index)|does not exist"
        r"|doesn't exist|nosuchkey|nosuchbucket|could not be found|unable to find"
        r"|(?:파일|찾을 수|존재하지).{0,20}없|見つかりません|そのようなファイル|找不到|没有那个文件"
        r"|nicht gefunden|datei oder verzeichnis nicht|no existe|aucun fichier|introuvable"
        r"|no matching distribution|could not find|unable to locate|cannot locate"
        r"|(?<=[a-z])(?<!module)_not_found|nosuchfile"
        r"|notfound(?:error|exception)?\b|\bnot_found\b|нет такого файла",
    ),
    (
        R.BUG,
        r"\b(?:key|type|name|attribute|index|import|modulenotfound|unboundlocal|zerodivision"
        r"|assertion|recursion|notimplemented|syntax|reference|indentation|nomethod|range)error\b"
        r"|nullpointerexception|nullreferenceexception|classcastexception|indexoutofbounds"
        r"|arrayindexoutofbounds|illegalstate|illegalargument|nosuchmethod|classnotfound"
        r"|noclassdeffound|cannot read propert|is not a function|is not defined"
        r"|undefined (?:method|variable|index|function|array key|property|offset|reference)"
        r"|call to a member function|call to undefined|nil pointer dereference|index out of range"
        r"|division by zero|syntax error|php parse error|unexpected token|uninitialized constant"
        r"|has no attribute|unbound variable|cannot find module|no module named"
        r"|undefined local variable|null value was|unrecognized (?:option|arguments?)"
        r"|unknown (?:option|flag)|invalid option|usage:|expected (?:one|at least one) argument"
        r"|following arguments are required|error: argument|can't locate object method"
        r"|indexoutofrange|argumentnull|invalidcast|uninitialized",
    ),
    (
        R.DATA,
        r"parse error|validation ?(?:error|failed)|validationerror|parse(?:r)?error"
        r"|could not (?:convert|parse|decode)|cannot (?:convert|parse|decode|cast)"
        r"|invalid (?:literal|date|json|utf-?8|byte|input syntax|value|format|number|xml|csv|row)"
        r"|malformed|unicodedecodeerror|unicodeencodeerror|jsondecodeerror|codec can't|decode error"
        r"|numberformatexception|dateparse|datetimeparse|error tokenizing|expecting value"
        r"|unexpected end of (?:json|input|file)|out of range|value too long|checksum|corrupt"
        r"|truncated|missing (?:required )?(?:field|column|value|header)|not a valid"
        r"|data too (?:long|large)|does not match|mismatch|badzipfile|unmarshal|deserializ"
        r"|no valid openpgp|structure invalid|no scheme supplied|invalid url"
        r"|expected \d+ (?:columns|fields|rows|values|lines|bytes)|rows, expected \d"
        r"|(?:column|field) \S+ is (?:empty|missing|null)|required (?:field|column|value)"
        r"|格式(?:错误|不正确|无效)|形式が(?:正しく|不正)|형식이? ?(?:오류|잘못|올바르)"
        r"|ungültiges format|formato (?:inválido|no válido|incorrecto)|format invalide"
        r"|неверный формат|mapping values are not allowed|필수 (?:항목|값|필드)|必須(?:項目"
        r"|フィールド)|必填",
    ),
    (
        R.EXIT_CODE,
        r"exit(?:ed)?(?: with)?(?: an?)?(?: non-?zero)? (?:code|status) [1-9]|exited with [1-9]"
        r"|returned non-zero exit|non-zero exit (?:code|status)|command failed",
    ),
)

# Of a timeout: what was waited for, first match in this order.
TIMEOUT_OF_WORDS: Final[tuple[tuple[R, str], ...]] = (
    (
        R.DB_LOCK,
        r"lock[ _](?:wait|request|timeout|time)|distributed transaction waiting for lock|row lock"
        r"|resource busy and acquire|잠금|ロックの|verrous|candados|einer sperre|锁",
    ),
    (
        R.POOL_TIMEOUT,
        r"queuepool limit|pool ?timeout|connection is not available, request timed out"
        r"|timed? ?out .{0,40}from (?:the )?pool|pool exhausted|connection pool"
        r"|acquir\w+ (?:a )?connection|queued and checked out",
    ),
    (
        R.STATEMENT_TIMEOUT,
        r"statement|query|max_execution|maximum statement|\b57014\b|execution timeout"
        r"|operation exceeded time limit|maxtimems|명령실행시간|ステートメント|sentencias|語句|语句"
        r"|anfrage|l['\u2019]instruction|оператора",
    ),
    (
        R.TIME_LIMIT,
        r"time[ _-]?limit|timelimit|maximum execution time|walltime|task timed out"
        r"|job (?:timed|was active|exceeded)|exceeded (?:the |its )?(?:maximum|max)"
        r"|exit(?:ed)?.{0,12}124|error 124|command .{0,300} timed out after|worker timeout"
        r"|execution expired|progress deadline|ran too long|zeitlimit|tempo limite|límite de tiempo"
        r"|waiting for (?:the )?(?:state|condition|completion|job|task|deployment|rollout|resource)"
        r"|while waiting for state|(?:gave|giving) up waiting|took too long|airflowtasktimeout"
        r"|制限時間|제한 시간",
    ),
    (
        R.READ_TIMEOUT,
        r"read ?timed? ?out|readtimeout|read operation|timeout reading|reading from"
        r"|awaiting headers|\bno (?:response|reply|answer|data)\b|bytes received|data send/receive"
        r"|message timed out|update metadata|in metadata after|acknowledg|heartbeat|sending request"
        r"|page\.goto|navigat",
    ),
    (
        R.CONNECT_TIMEOUT,
        r"connect|handshake|unreachable|errno 110|10060|etimedout|dial |login timeout"
        r"|server selection|연결|접속|接続|连接|連線|verbindung|conexi[óo]n|connexion|conexão"
        r"|connessione|соединени",
    ),
    (
        R.READ_TIMEOUT,
        r"read|response|reply|answer|receiv|awaiting|headers|respond|request timed out|요청"
        r"|リクエスト"
        r"|请求|請求|solicitud|requisição|запрос|requête|응답|応答|响应|antwort|timeout of \d+ms"
        r"|\bi/?o timeout",
    ),
)
