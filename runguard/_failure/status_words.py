"""The words that make a number an HTTP status, or keep it from being one. Data only.

Fragments of regular expressions, matched in any case unless a table says otherwise. Loaded when
a text is read for a status, never by `import runguard`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# Reason phrases that were renamed, or that servers, balancers and CDNs use beside the standard's.
OTHER_PHRASES: Final[Mapping[int, tuple[str, ...]]] = {
    400: (
        "Bad request",
        "Request Header Or Cookie Too Large",  # nginx
        "The plain HTTP request was sent to HTTPS port",
        "No required SSL certificate was sent",
        "The SSL certificate error",
    ),
    401: ("Authorization Required", "Authentication Required", "Invalid Credentials"),
    402: ("Payment Required",),
    403: (
        "Access Denied",
        "Access denied",
        "Access Forbidden",
        "Permission Denied",
        "Permission denied",
        "Rate Limit Exceeded",  # Google, GitHub
        "Rate limit exceeded",
        "rate limit exceeded",
    ),
    404: ("Not found", "File Not Found", "File not found", "Page Not Found", "Page not found"),
    405: ("Not Allowed", "Method not allowed"),
    408: ("Request Timeout", "Request Time-out", "Request timeout"),
    413: ("Payload Too Large", "Request Entity Too Large", "Content Too Large"),
    414: ("Request-URI Too Long", "Request-URI Too Large", "URI Too Long"),
    416: ("Requested Range Not Satisfiable", "Range Not Satisfiable"),
    418: ("I'm a Teapot", "I'm a teapot"),
    419: ("Page Expired",),
    420: ("Enhance Your Calm",),
    422: ("Unprocessable Entity", "Unprocessable Content"),
    425: ("Too Early",),
    429: (
        "Too many requests",
        "Rate Limit Exceeded",
        "Rate limit exceeded",
        "Resource has been exhausted",  # Google
        "Resource exhausted",
        "RESOURCE_EXHAUSTED",
        "Quota exceeded",
        "Slow Down",
    ),
    440: ("Login Time-out", "Login Timeout"),
    444: ("No Response",),
    460: ("Client Closed Connection",),  # AWS ELB
    463: ("Too Many Hops",),
    494: ("Request header too large", "Request Header Too Large"),
    495: ("SSL Certificate Error",),
    496: ("SSL Certificate Required",),
    497: ("HTTP Request Sent to HTTPS Port",),
    498: ("Invalid Token",),
    499: ("Client Closed Request", "Token Required"),
    500: ("Server Error", "Internal Error", "Internal server error", "INKApi Error"),
    502: (
        "Proxy Error",  # Apache
        "Bad gateway",
        "Server Hangup",
        "Server dropped connection",
    ),
    503: (
        "Service Temporarily Unavailable",  # nginx, AWS ALB
        "Service unavailable",
        "Service temporarily unavailable",
        "Server Unavailable",  # .NET
        "Server Too Busy",
        "Server Busy",
        "Backend fetch failed",  # Varnish
        "Backend unavailable",
        "Backend is unhealthy",  # Fastly
        "first byte timeout",
        "backend read error",
        "No healthy backends",
        "no healthy upstream",  # Envoy
        "Over Quota",
        "Slow Down",  # S3
        "SlowDown",
        "DNS failure",
        "The service is unavailable",  # IIS
        "Application Error",  # Heroku
    ),
    504: ("Gateway Timeout", "Gateway Time-out", "Gateway timeout", "GATEWAY_TIMEOUT"),
    509: ("Bandwidth Limit Exceeded",),
    520: (
        "Web Server Returned an Unknown Error",  # from here on: Cloudflare
        "Web server is returning an unknown error",
        "Origin Error",
        "Unknown Error",
    ),
    521: ("Web Server Is Down", "Web server is down"),
    522: ("Connection Timed Out", "Connection timed out"),
    523: ("Origin Is Unreachable", "Origin is unreachable"),
    524: ("A Timeout Occurred", "A timeout occurred"),
    525: ("SSL Handshake Failed", "SSL handshake failed"),
    526: ("Invalid SSL Certificate", "Invalid SSL certificate"),
    527: ("Railgun Error",),
    529: ("Site is overloaded", "Overloaded"),
    530: ("Site is frozen", "Origin DNS error"),
    561: ("Unauthorized",),  # AWS ELB
    598: ("Network read timeout error",),
    599: ("Network connect timeout error",),
}
# What clients write for any status of their class.
ANY_PHRASES: Final = ("Client Error", "Server Error", "Client error", "Server error")

# Statuses that servers really send. A weak hint counts for these only: 550 is FTP's and SMTP's.
IN_USE: Final = frozenset(
    {
        *range(400, 419), *(419, 420, 422, 423, 424, 425, 426, 428, 429, 431, 440, 444, 449, 451),
        *(460, 463, 494, 495, 496, 497, 498, 499), *range(500, 509), *(510, 511),
        *range(520, 528), *(529, 561, 598, 599),
    }
)  # fmt: skip

# (a) Words that announce a status wherever they stand before the number.
_ERROR: Final = (
    r"error|erreur|errore|erro|fehler|fout|fejl|feil|fel|błąd|chyba|hata|lỗi|ошибка|помилка|오류"
    r"|에러|エラー|错误|錯誤"
)
STATUS_WORDS: Final = (
    rf"(?<![a-z])https?(?:/\d(?:\.\d)?)?(?:[ _-]?(?:{_ERROR}))?"
    r"(?:[ _-]?(?:response|return|result|reply|answer))?(?:[ _-]?status)?(?:[ _-]?code)?",
    r"status(?:[ _-]?(?:code|line|kode|kod|koden))?",
    r"(?<![a-z])http\b[^\n0-9]{1,60}\b(?<!exit )(?<!exit_)code",  # `Bad HTTP response … Code 502`
    r"api[ _-]?error|requesterror:|error[ _-]?code",
    r"(?<![a-z])response[ _-]?(?:code|status)",
    # German, Dutch, the north
    r"statuscode|antwort-?code|antwoordcode|svarskod|svarkode",
    r"(?:http[- ]?)?(?:fehlercode|foutcode|felkod|fejlkode)",
    # Spanish, Portuguese, French, Italian
    r"c[óo]digo (?:de )?(?:estado|status|situação|respuesta|resposta|error|erro)(?: http)?",
    r"code (?:d['\u2019](?:état|etat|erreur)|de (?:statut|réponse|reponse))(?: http)?|statut",
    r"codice (?:di )?(?:stato|risposta|errore)(?: http)?",
    # Slavic languages, Turkish, Vietnamese, Indonesian
    r"(?:код|коду)(?: http)? (?:состояния|ответа|статуса|ошибки|стану|відповіді|помилки)(?: http)?"
    r"|статус(?:[ -]?код)?",
    r"kod (?:statusu|odpowiedzi|błędu|stanu)|stavový kód|(?:durum|yanıt|hata) kodu",
    r"mã (?:trạng thái|lỗi|phản hồi)|kode (?:status|respons|kesalahan)",
    # Korean, Japanese, Chinese
    r"(?:상태|응답|오류|에러)\s?(?:코드|상태)?",
    r"ステータス[・ ]?(?:コード)?|(?:応答|レスポンス|エラー)[・ ]?コード",
    r"(?:状态|狀態|响应|回應|错误|錯誤|返回)(?:码|碼|代码|代碼)",
)
# What may stand between the announcing word and the number.
FILLING: Final = (
    r"(?:[\s:=\"'`\\(\[\]<>\uff1a\uff08\u300c\u3010\u201c\u2018|]|=>|->|\u2192|[-\u2013\u2014]\s"
    r"|\breturned\b|\bresponse\b|\breceived\b|\bgot\b|\bwas\b|\bis\b|\bof\b|\bby\b|\bcode\b|为|為"
    r"|是|は|が|은|는|이|가)*"
)
# (d) Weaker hints: they count where no noun follows the number (see AFTER_WEAK).
_VERBS: Final = (
    r"(?:return(?:ed|s|ing)?|respond(?:ed|s|ing)?|repl(?:ied|ies)|answer(?:ed|s)?|got(?:ten)?|gets?"
    r"|getting|receiv(?:ed|es|ing)|threw|throws|gave|gives|giving|yield(?:ed|s)?|saw|hit(?:s|ting)?"
    r"|encounter(?:ed|s)|fail(?:ed|s|ing|ure)? with|reject(?:ed|s) with|refused with"
    r"|end(?:ed|s) with|result(?:ed|s) in|came back with|error(?:ed)? (?:out )?with"
    r"|complet(?:ed|es) with|terminated with|died with|denied with|status is|unexpected|non-2xx"
    r"|non-200|non-ok)"
)
_ARTICLES: Final = (
    r"(?:\s+(?:with|an?|the|us|back|unexpected|unsuccessful|invalid|bad|http|error|response|status"
    r"|code|of|non-200|non-2xx|non-ok|result|answer|reply|received))*"
)
# `respondió con el código 503`, `antwortete mit dem Code 503`
_WITH_CODE: Final = (
    r"(?:\s(?:el|un|le|o|um|il|den|dem|einem|einen|het))?\s?(?:c[óo]digo|code|codice|kod(?:em)?"
    r"|код(?:ом)?)?"
)
WEAK_WORDS: Final = (
    rf"(?<![a-z]){_VERBS}{_ARTICLES}",
    r"(?<![a-z])(?:response|reply|answer|réponse|reponse|respuesta|resposta|risposta|antwort)",
    rf"(?<![a-z_.])(?:{_ERROR})",
    # a request that failed, not `12 rows failed: 503`
    r"(?<![a-z])(?:request|fetch|upload|download|call|query|login|get|post|put|patch|delete|head"
    r"|http|api|url|webhook|authentication|authorization|handshake|upgrade|push|pull|sync|upstream"
    r"|transfer|connection|lookup|token|refresh|poll|check|healthcheck"
    r"|probe)\s+(?:(?:has|was|is|have|had)\s+)?(?:failed|failure|rejected|refused|denied"
    r"|unsuccessful)",
    rf"(?:(?:antwortete|antwortet)(?: mit)?|lieferte|meldete|gab|antwoordde met|svarade med)"
    rf"{_WITH_CODE}",
    rf"(?:(?:respondi[óo]|respondeu)(?: con| com)?|devolvi[óo]|devolveu|retorn[óo]u?){_WITH_CODE}",
    rf"(?:a (?:répondu|repondu)(?: par| avec)?|a (?:retourné|renvoyé)|ha risposto(?: con)?"
    rf"|ha restituito){_WITH_CODE}",
    rf"(?:(?:вернул|ответил)(?:а|о|и)?(?: с)?|ответ|zwrócił|odpowiedział){_WITH_CODE}",
    r"(?:返回|返回了|响应|回應|收到|报错|回传|回傳)|応答|返答|レスポンス|반환|응답",
    r"(?<![a-z])(?:an?|the)",  # `a 503 from upstream`: what follows must say so, see AFTER_ARTICLE
)
# What may follow a number of a weak hint: the end, a mark, or a word that is no counted noun.
AFTER_WEAK: Final = (
    r"[\"'`\])}>\u201d\u2019\u300d\u3011\uff09]*(?:\s*(?:\Z|[\r\n]"
    r"|[;:!?(\[{<\u3002\uff0c\u3001\uff08|]|[.,](?!\S)|,(?=[\"'\\])|\\[nr\"']|[-\u2013\u2014]\s|=>"
    r"|->|\u2192)|\s+(?:(?:du|de|del|do|dal|vom|von|van|fra|från|от|from|for|on|when|while|by|at"
    r"|after|via|during|because|due|instead|trying|calling|errors?\s+(?:from|on|for|when|in|while"
    r"|after|by)|error\b(?!\s(?:rows?|records?|lines?|messages?))|response|status|code|http"
    r"|to\s+(?:get|post|put|request|our|the)|but|again|retrying|giving|aborting|reading|executing"
    r"|requesting|fetching|upstream|geantwortet|beantwortet|zurückgegeben|aufgetreten|erhalten"
    r"|empfangen|beantwoord|aufgerufen)\b|https?://|in\s+\d|to\s+(?:http|/)|\{))"
)
AFTER_ARTICLE: Final = (
    r"\s+(?:from|error\b(?!\s(?:rows?|records?|lines?))|response|status|http|on\s+(?:GET|POST|PUT))"
)
# Glued to the number in languages that write no blanks; counters (`500건`, `500 条`) are not here.
AFTER_GLUED: Final = (
    r"(?:\s?(?:오류|에러|응답)|을|를|이(?!상|하)|가|은|는|로|으로|와|과|의|에서|입니다|였"
    r"|\s?(?:エラー|応答|レスポンス)|が|を|で|の|と|です|でした|\s?(?:错误|錯誤|响应|回應)|，|。|、"
    r"|；|：|）|」|】)"
)
# Words after the number that make it one.
ERROR_AFTER: Final = (
    rf"(?:\s?-?|[\"'`\])]\s)(?:{_ERROR}|오류|에러|응답)(?![a-z])"
    r"(?!\s(?:rows?|records?|lines?|messages?|entries|codes?))|\s+(?:status(?:\s+code)?|response"
    r"|http\s+status)\b(?!\s?[:=])|을\s?(?:반환|응답)|를\s?(?:반환|응답)"
    r"|(?:으)?로\s?(?:응답|실패|거절|거부)|を(?:返|受)|が返"
    r"|\s?,\s?reason\s?phrase\s?:"
)
# `(503)` after a word of failure in the same statement.
FAILURE_BEFORE: Final = (
    rf"{_ERROR}|fail|échec|echec|fallo|falha|fallito|gescheitert|fehlgeschlagen|실패|失敗|失败"
    r"|return|respon|réponse|respuesta|resposta|risposta|occurr|refus|reject|denied|forbidden"
    r"|unauthori[sz]ed|unavailable|conflict|server|serveur|servidor|сервер|服务器|伺服器|サーバー"
    r"|서버|unable to|could not|cannot|can't|http|status|request|anfrage|api|upstream|gateway"
    r"|unexpected|서버|응답|반환|応答|拒"
)
# The same where these end the statement: `Too many requests (429)` in other languages.
SAID_BEFORE: Final = (
    r"(?:not found|nicht gefunden|no encontrad[oa]|não encontrad[oa]|introuvable|non trouvée?"
    r"|non trovat[oa]|не найден[ао]?|찾을 수 없(?:습니다|음)|없(?:습니다|음)|많(?:습니다|음)"
    r"|못했습니다|만료되었습니다|見つかりません(?:でした)?|多すぎます|できません(?:でした)?"
    r"|期限切れ(?:です)?|未找到|不存在|过多|過多|过于频繁|太频繁|不可用)\W{0,3}\Z"
)
# A number in parentheses after these is a thing's, not an answer's.
THING_BEFORE: Final = (
    r"(?:\b(?:rows?|lines?|ids?|keys?|records?|items?|users?|students?|orders?|invoices?|numbers?"
    r"|no|ports?|pids?|process|signal|uid|gid|size|length|count|total|code|errno|column|customer"
    r"|product|account|member|ticket|case|batch|chunk|job|task|version|build|department|course)"
    r"|[=#&])\s*\Z"
)
# Scrapy's `Crawled (403) <GET https://…>`.
AFTER_CRAWLED: Final = r"\)\s<(?:GET|POST|PUT|PATCH|DELETE|HEAD)\shttps?:"
# `409 error`-free shapes around brackets: Feign's, and a log's.
BRACKETED: Final = r"(?<![\w.)\]])\[\Z"
AFTER_BRACKETED: Final = r"\]\s+during\s+\["

# A type's name before the number: `ServiceException: 401 …`, `ConflictError(409, '…')`.
TYPE_NAME: Final = (
    r"(?<![\w/])((?:[A-Za-z_][\w]*(?:\.|::|\$))*[A-Za-z_]\w*)(:\s{1,2}[\[(]?|\()['\"]?\Z"
)
# As a later argument: `InternalServerError('request-id', 503, 'upstream')`.
TYPE_CALL: Final = r"(?<![\w/])([A-Za-z_]\w*(?:Error|Exception))\(['\"][^'\"\n]{0,80}['\"],\s?\Z"
TYPE_ENDINGS: Final = ("Error", "Exception", "Fault", "Failure", "Err")
GENERIC_TYPES: Final = frozenset({"Error", "Exception", "Failure", "Err"})
# Types whose first number is something else: a key, a driver's, a process's.
NO_HTTP_TYPES: Final = frozenset(
    {
        *("DataError", "DatabaseError", "DBAPIError", "IntegrityError", "InterfaceError"),
        *("InternalError", "NotSupportedError", "OperationalError", "ProgrammingError"),
        *("CalledProcessError", "ExitError", "ProcessError", "CommandError", "StatementError"),
        *("AMQPError", "ChannelError", "SMTPException", "ParseError", "ParserError", "SyntaxError"),
        *("ValidationError", "CommandException", "MySQLError", "SQLException", "PDOException"),
        *("ChannelClosedByBroker", "ConnectionClosedByBroker", "ShutdownSignalException"),
    }
)
# Names that speak of an API: whatever follows their number, it is a status.
API_TYPE: Final = (
    r"api|http|request|response|service|server|client|access|auth|forbidden|notfound|conflict"
    r"|throttl|quota|rate|toomany|transport|unavailable|gateway|rest|web|upstream|remote|fetch"
    r"|cloud|storage|google|aws|s3|azure|graph|rpc|upload|download|timeout|url|network|uri"
)
AFTER_TYPE: Final = (
    r"\s*(?:\Z|[\r\n{\[(:;,)\"'\\<]|[-\u2013\u2014]\s)|\s+(?:(?-i:[A-Z])|\S*[@/._-]\S)|\.\s"
)
AFTER_GENERIC: Final = r"\s*(?:\Z|[\r\n{\[(:;\\<]|[-\u2013\u2014]\s)"

# (d) One statement that names a request, then the number.
REQUEST_BEFORE: Final = (
    r"(?:\b(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS)\s+\S+"
    r"|\bhttps?://\S+)(?:\s*(?:\)|\]|\"|')?\s*(?:=>|->|\u2192|[-\u2013\u2014:])\s+|:\s+|\s+\("
    r"|[\"']\s+)\Z"
)

AFTER_REQUEST: Final = rf"(?:{AFTER_WEAK}|\s+(?-i:[A-Z]))"

# `"code": 409`, `code=409` beside an API's words.
CODE_KEY: Final = r"(?<![\w-])(?:error[_-]?)?code\\?[\"']?\s{0,4}(?::|=>?)\s{0,4}\\?[\"']?\Z"
API_WORDS: Final = (
    r"(?<![a-z])\\?[\"']?(?:messages?|msg|errors?|status|reason|detail|details|description"
    r"|error_description|request_?id|url|title|type)\\?[\"']?\s{0,4}[:=]"
)

# Other protocols, databases and processes: a weak hint counts for nothing beside them.
FOREIGN_BEFORE: Final = (
    r"smtp|(?<![a-z])s?ftp|nntp|imap|pop3|amqp|rabbitmq|\bmail(?:er|server)?\b|mta\b|postfix|exim"
    r"|sendmail|\bora-|sqlcode|sqlstate|\[sql server\]|mysql|mariadb|odbc|\berrno\b"
    r"|unknown error\s*\Z|\bmsg\s*\Z|\bsignal\s*\Z|\b(?:port|pid|line|row|page|id|no|number|column"
    r"|version|step)\W{0,3}\Z|\bexit(?:ed|s|ing)?\b|return code\W{0,3}\Z|returncode\W{0,3}\Z"
)
FOREIGN_AFTER: Final = (
    r"\s?-?[45]\.[0-9]{1,3}\.[0-9]|\.?\s+DB::Exception|[)\]]?[\s:,\"']{0,4}(?:ACCESS_REFUSED"
    r"|NOT_FOUND - no|RESOURCE_LOCKED|PRECONDITION_FAILED -|FRAME_ERROR|COMMAND_INVALID"
    r"|CHANNEL_ERROR|NOT_ALLOWED -)|\)? \(SQL|, level \d"
)
# A database quotes the data of its users.
QUOTED_DATA: Final = r"invalid input (?:syntax|value) for|\bkey \(|failing row contains|^detail:"
# `exited with status 500` is a process's.
OF_A_PROCESS: Final = (
    r"(?:\b(?:exit(?:ed|s)?|died|terminated|killed)(?:[\s_-]+with)?(?:[\s_-]+an?)?(?:[\s_-]+error)?"
    r"|\bnon-?zero|\bwait)[\s_-]*\Z|exit\Z"
)
# A count or a measure is no status, whatever it follows: `status: 500 rows`, `status: 500 of 512`.
COUNTED: Final = (
    r"\s?(?:of [0-9]|(?:rows?|records?|items?|entries|files?|bytes|[kmgt]i?b|percent|students?"
    r"|users?|pages?|lines?|messages?|orders?|times|attempts?|requests|objects?|documents?|events?"
    r"|jobs?|tasks?|rows|ms|milliseconds|s|secs?|seconds?|minutes?|mins?|hours?|days?)\b)"
)
# `expected 512, got 409` compares counts; `expected 200, got 503` compares statuses.
EXPECTED: Final = r"expect(?:ed|ing|s)?\W+(?:\w+\W+){0,3}?([0-9]+(?:,[0-9]{3})*)"

# (d) Statuses by name. Written so by kubectl, Azure, AWS, .NET: matched in this case only.
STATUS_OF_WORD: Final[Mapping[str, int]] = {
    "BadRequest": 400,
    "InvalidArgument": 400,
    "InvalidRequest": 400,
    "ExpiredToken": 400,
    "RequestTimeTooSkewed": 403,
    "Throttling": 400,
    "ThrottlingException": 400,
    "ProvisionedThroughputExceededException": 400,
    "Unauthorized": 401,
    "InvalidAuthenticationToken": 401,
    "ExpiredAuthenticationToken": 401,
    "PaymentRequired": 402,
    "Forbidden": 403,
    "AccessDenied": 403,
    "AccessDeniedException": 403,
    "AuthorizationFailed": 403,
    "AuthorizationFailure": 403,
    "InvalidAccessKeyId": 403,
    "SignatureDoesNotMatch": 403,
    "UnrecognizedClientException": 403,
    "NotFound": 404,
    "ResourceNotFound": 404,
    "ResourceGroupNotFound": 404,
    "SubscriptionNotFound": 404,
    "BlobNotFound": 404,
    "ContainerNotFound": 404,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "MethodNotAllowed": 405,
    "NotAcceptable": 406,
    "RequestTimeout": 408,
    "Conflict": 409,
    "AlreadyExists": 409,
    "BlobAlreadyExists": 409,
    "BucketAlreadyExists": 409,
    "BucketAlreadyOwnedByYou": 409,
    "ContainerAlreadyExists": 409,
    "OperationAborted": 409,
    "Gone": 410,
    "PreconditionFailed": 412,
    "PayloadTooLarge": 413,
    "RequestEntityTooLarge": 413,
    "RequestBodyTooLarge": 413,
    "UnsupportedMediaType": 415,
    "InvalidRange": 416,
    "UnprocessableEntity": 422,
    "Locked": 423,
    "TooManyRequests": 429,
    "TooManyRequestsException": 429,
    "InternalError": 500,
    "InternalFailure": 500,
    "InternalServerError": 500,
    "NotImplemented": 501,
    "BadGateway": 502,
    "ServerBusy": 503,
    "ServiceUnavailable": 503,
    "ServiceUnavailableException": 503,
    "SlowDown": 503,
    "GatewayTimeout": 504,
    "ServerTimeout": 504,
}
# AWS has hundreds of codes and spells them by convention: whole names, first match in this order.
# Each service documents the status of its codes.
STATUS_OF_AWS_CODE: Final = (
    (503, r"RequestLimitExceeded|\w*Unavailable\w*"),
    (500, r"Internal\w*|Insufficient\w*Capacity"),
    (409, r"(?:Resource)?Conflict(?:Exception)?|EntityAlreadyExists|DeleteConflict"),
    (404, r"[\w.]*(?:NotFound|NoSuch|NonExistent|DoesNotExist)\w*"),
    (429, r"\w*(?:Throttl|TooManyRequests|LimitExceeded|RateExceeded)\w*"),
    (403, r"\w*(?:Unauthori[sz]ed|NotAuthori[sz]ed|AccessDenied|AuthFailure|OptInRequired)\w*"),
    (403, r"InvalidClientTokenId|Missing\w*Token\w*"),
    (
        400,
        r"[\w.]*(?:Validation|Invalid|Malformed|Missing|Expired|NotSupported|AlreadyExists|Duplicate"
        r"|InUse|ConditionalCheckFailed|NotPermitted|Incorrect|DependencyViolation|BadRequest)[\w.]*",
    ),
)
# Sentences that stand for one status: kubectl's without its parentheses, and reason phrases as a
# registry and the Docker daemon spell them.
STATUS_OF_SENTENCE: Final = (
    (401, r"the server has asked for the client to provide credentials"),
    (404, r"the server could not find the requested resource"),
    (409, r"the object has been modified; please apply your changes"),
    (429, r"the server has received too many requests"),
    (503, r"the server is currently unable to handle the request"),
    (504, r"the server was unable to return a response in the time allotted"),
    (401, r"(?<![\w-] )(?<![\w-])unauthorized: (?:authentication|incorrect|access|not authorized)"),
    (429, r"(?<![\w-])toomanyrequests: "),
    (409, r"response from daemon: conflict[.:]"),
)
SENTENCE_HINTS: Final = (
    *("the server ", "the object has been", "unauthorized: ", "toomanyrequests: "),
    "from daemon: conflict",
)
# As kubectl writes them only: elsewhere the words are too common.
STATUS_OF_SERVERS_WORD: Final[Mapping[str, int]] = {"Expired": 410, "Invalid": 422, "Timeout": 504}
# Where such a word stands for the status: kubectl's parentheses, an error's code, a status.
WORD_PLACES: Final = (
    r"(?:error from server|error occurred|to the server|from the server|\Aerror:|error:|exception:"
    r"|httpresponseerror:|\A)\s{0,2}\(([A-Z][A-Za-z.]{3,60})\)",
    r"(?<![\w\"'{])(?:error[ _]?)?code\\?[\"']?\s{0,3}[:=]\s{0,3}\\?[\"']?([A-Z][A-Za-z]{3,45})\b",
    r"[{,]\s{0,3}\\?[\"'](?:error_?)?code\\?[\"']\s{0,3}:\s{0,3}\\?[\"']([A-Z][A-Za-z]{3,45})\\?[\"']",
    r"<code>([A-Z][A-Za-z]{3,45})</code>",
    r"status ?code\W{1,4}([A-Z][A-Za-z]{3,45})\b",
    r"(?<!grpc\.)httpstatus(?:code)?\.([A-Za-z_]{2,45})\b",
)
WORD_HINTS: Final = ("(", "code", "httpstatus")
NOT_A_WORDS_PLACE: Final = r"rpc error: *\Z|\bstatus\(\Z|extensions[\"']?\s*:\s*\{?\s*\Z"
