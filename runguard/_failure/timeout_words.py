"""The words for a timeout, and the contexts in which the word is only a name. Data only.

Fragments of regular expressions, matched in any case. Loaded when a text is read for a timeout,
never by `import runguard`. Gaps are bounded, so that any text is read in linear time.
"""

from __future__ import annotations

from typing import Final

_DURATION: Final = (
    r"[0-9][0-9.,:]{0,11}\s?(?:ms|msecs?|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?"
    r"|hours?)\b"
)
_KIND: Final = (
    r"(?:(?:the|its|a|your|our|maximum|max|allowed|allotted|configured|permitted|hard|soft|cpu"
    r"|execution|query|statement|run|running|wall|wallclock|wall-clock|processing|response|request"
    r"|wait|waiting|elapsed|job|task|build|step|total)\s){0,5}"
)

# The word itself, alone or inside another: `ReadTimeout`, `ETIMEDOUT`, `TIMED_OUT`, `Time-out`.
PLAIN: Final = r"timeout|time-out|timed[ _-]?out"

# Sentences and codes that say it without the word. Each is an event, never a name.
SAID_OTHERWISE: Final = (
    # Go, gRPC, Kubernetes, tokio
    r"deadline[ _]?(?:has[ _])?(?:been[ _])?(?:exceeded|elapsed|expired|passed|reached)"
    r"|exceeded[ _](?:\w+[ _]){0,3}deadline|longer than (?:the )?specified deadline",
    # job systems: Celery, dramatiq, Slurm, PBS, GitHub, PHP, MySQL, MongoDB, LDAP
    r"time[ _-]?limit[ _-]?(?:was[ _]|has been[ _])?(?:exceeded|reached|expired|hit)"
    r"|(?:hard|soft) time limit \(|due to time limit|operation exceeded time limit"
    r"|maxtimemsexpired",
    rf"exceed(?:ed|s|ing)?\s{_KIND}(?:time|duration|runtime|walltime|time[ -]limit)\b(?! to live)",
    rf"exceed(?:ed|s|ing)?\s(?:the |its |a |an )?(?:limit of )?{_DURATION}",
    r"maximum (?:statement |query )?execution time|max_(?:statement|execution)_time\b"
    r"|execution time (?:limit )?exceeded|(?:walltime|wall time|cpu time).{0,30}?exceeded",
    r"execution expired|timer expired|query execution was interrupted, max",  # Ruby; ETIME; MySQL
    r"(?:ran|running|run) (?:for )?too long|(?:took|taking|takes) too long"
    rf"|(?:took|taking|takes|ran|running) (?:longer|more) than (?:the |{_DURATION})",
    r"\(exit\) time out|time ?out (?:period|error|exceeded|expired|occurred|waiting|while)"
    r"|(?:connection|request|read|session|operation|gateway|lock|wait|query|response|connect"
    r"|login) time out\b",
    # nobody answered
    r"(?:no|without(?: an?| any)?) (?:\w+ )?(?:response|reply|answer|data|heartbeat|result|ack"
    r"|acknowledge?ment|activity|progress|output|connection|packets?|bytes)\b[^.\n]{0,40}?"
    rf"\b(?:within|in|after|for)\s+(?:the last\s)?{_DURATION}",
    r"(?:(?:did|does|do|has|have|had|is|was|were|are|would)(?:n[\u2019']t|\snot)|never|cannot"
    r"|could not|couldn[\u2019']t|unable to|failed to|not)\s[^.\n]{0,50}?\b(?:within|in under)\s+"
    rf"(?:the\s)?(?:{_DURATION}|(?:allotted|allowed|given|expected|required|specified"
    rf"|configured)\s)",
    rf"not (?:ready|available|healthy|reachable|finished|completed?|done|stable"
    rf"|up) after {_DURATION}"
    rf"|still (?:running|waiting|pending|not \w+) after {_DURATION}",
    rf"g(?:ave|ive|iving) up (?:waiting|on waiting|after (?:waiting )?{_DURATION})"
    rf"|(?:stopped|tired of) waiting|waited (?:for )?(?:too long|more than {_DURATION})",
    r"has passed since batch creation",  # Kafka's producer
    r"has failed to respond|did not properly respond after a period of time",  # WSAETIMEDOUT
    r"operation too slow",  # curl
    # codes
    r"connect[^\n]{0,80}\(110\)|\berrno\W{0,3}110\b|\bos error (?:110|10060)\b|\(110: ",
    r"\b(?:winerror|wsa\w*|socket error|error|errno|code)\W{0,3}10060\b|\(10060\b|0x0{0,4}274c\b",
    r"\bcurl(?: error)?:?\s?\(?28\b|\bcurle_operation_timedout",
    r"\b(?:1969|3024) \([0-9A-Z]{5}\)|\((?:1969|3024), |\b0006(?:04|30) \(57014\)",
    r"\bexit(?:ed)?(?: with)?(?: an?)?(?: error)?[ _-]?(?:code|status)?[ :=]{1,3}124\b"
    r"|\] error 124\b",
    # Korean
    r"타임\s?아웃|시간\s?초과|시간(?:이|을)\s?초과|시간이 지났|응답 시간이 초과|제한 시간",
    # Japanese
    r"タイム[・ ]?アウト|時間切れ|制限時間を(?:超|過)|時間内に応答",
    # Chinese
    r"超时|超時|逾时|逾時|请求时间过长|未在.{0,12}时间内",
    # German
    r"zeit(?:limit)?[ -]?überschr(?:eitung|itten)|zeitlimit|wartezeit.{0,40}?abgelaufen"
    r"|zeit(?:rahmen|fenster)? (?:ist )?abgelaufen|nicht rechtzeitig",
    # Spanish
    r"tiempo de (?:espera|conexión|respuesta|ejecución).{0,30}?(?:agot|super|exced|expir|venc)"
    r"|(?:agot[óa]|agotado|super[óa]|excedi[óo]|expir[óo]|venci[óo]) (?:el )?(?:límite de )?tiempo"
    r"|tiempo (?:de espera )?(?:agotado|excedido|límite)"
    r"|(?:superad|excedid|agotad|expirad)[oa]s? (?:el |la |su )?(?:límite de )?tiempo",
    # French
    r"délai[^.\n]{0,40}?(?:écoul|dépass|expir)|dépassé (?:le |son )?(?:délai|temps)"
    r"|(?:expiration|dépassement) d[ue](?: la)?[^.\n]{0,12}délai"
    r"|temps (?:d['\u2019]attente|d['\u2019]exécution|imparti)[^.\n]{0,20}?(?:écoul|dépass|expir)",
    # Portuguese
    r"tempo (?:limite|de espera|esgotado|de conexão|máximo)[^.\n]{0,30}?(?:esgot|exced|expir"
    r"|atingid)|tempo esgotado|esgotado o tempo|expirou o tempo|tempo limite",
    # Italian
    r"tempo (?:di attesa |limite |massimo )?[^.\n]{0,16}?(?:scaduto|esaurito|superato)"
    r"|connessione scaduta|(?:superato|scaduto|esaurito) il tempo",
    # Russian, Ukrainian
    r"(?:время|времени) (?:ожидания|выполнения)[^.\n]{0,24}?(?:истек|превы)"
    r"|(?:истек|превы)[а-яё]{1,6} (?:время|лимит времени|тайм)|тайм-?аут"
    r"|час очікування[^.\n]{0,24}?(?:вичерп|минув)",
    # Polish, Czech, Dutch, Swedish, Turkish, Vietnamese, Indonesian
    r"przekroczon[oy] (?:limit )?czas|upłynął (?:limit )?czas|vypršel[ao]? (?:časový|čas)"
    r"|čas(?:ový limit)? [^.\n]{0,12}?vypršel|wachttijd[^.\n]{0,24}?verstreken|tijdslimiet"
    r"|tidsgräns|zaman aşım|hết thời gian|quá thời gian|waktu (?:tunggu )?habis",
    # Windows' sentence for WSAETIMEDOUT, by language
    r"응답이 없어 연결|一定の時間が過ぎても正しく応答|一段时间后没有正确答复|一段時間後並未正確"
    r"|nach einer bestimmten zeitspanne nicht|no respondió adecuadamente tras un periodo"
    r"|n['\u2019]a pas répondu convenablement|não respondeu corretamente após",
)
# Spared the many patterns: a text with none of these says nothing otherwise.
HINTS: Final = (
    *(
        "deadline",
        "limit",
        "exceed",
        "execution",
        "long",
        "within",
        "under",
        "after",
        " for ",
        " in ",
    ),
    *("wait", "time out", "expired", "passed since", "respond", "too slow", "110", "10060", "274c"),
    *("28", "1969", "3024", "57014", "124", "maxtimems", "max_", "curle_"),
    *("zeit", "tiempo", "tempo", "scadut", "czas", "tijd", "tidsgr", "waktu", "expiration"),
)

# A SQLSTATE decides before the words: DB2 says `deadlock or timeout` of a deadlock, too.
OTHER_SQLSTATE: Final = (
    r"\bsqlstate(?:[ :=]{1,3}|\[)[\"']?(?:0A|2[1238B]|3[DF]|4[024]|5[34])[0-9A-Z]{3}(?![0-9A-Z])"
)

# An occurrence of the plain word is a name where its own token, or what stands around, says so.
# Accessors of timers and options: `setTimeout(`, `with_timeout(`.
ACCESSOR: Final = (
    r"(?:set|clear|get|with|liston|_on|on|has|is|unset|parse|default|apply)_?timeouts?\Z"
)
FILE_ENDING: Final = (
    r"\.(?:conf|cfg|cnf|ini|py|js|mjs|ts|json|ya?ml|toml|txt|log|csv|sh|rb|go|java|php|pl|rs|sql"
    r"|xml|lock|sock|env|properties|html?|so|dll|exe)\b"
)
# A frame of a traceback: its function and file may have any name.
FRAME: Final = (
    r"\s*File \".*\", line \d+|\s+at [\w.$<>\[\]/:@ ]+[(:]|\s+from \S+:\d+|#\d+ "
    r"|\s*\S+\.(?:go|rs):\d+"
)
# After the token: an assignment, or a key's colon. `timed_out: true` is none: it is an event.
ASSIGNED: Final = r"\s?=(?!=|>)(?!\s?['\"]?true\b)|\\?[\"']\s?(?::|=>)(?!\s?true\b)|\s?=>"
KEYED: Final = r"\s?:\s?[\"']?(?:-?[0-9]|null\b|none\b|nil\b|false\b|undefined\b|nan\b)"
KEYED_AFTER: Final = r"[^\n,]{1,20},\s?[\w.-]{1,40}\s?[:=]"  # and further keys
KEYED_BEFORE: Final = r"(?:[{,(]|\A|\n)\s*[\"']?[\w.-]*\Z"
OBJECT: Final = (
    r"\((?:connect|read|write|pool|total|timeout|sock_read|sock_connect|seconds|value)\s?="
)
# The same where it is an event all the same: `timeout=30 exceeded`.
EVENT_AFTER: Final = (
    r"[^\n,;]{0,30}?\b(?:exceeded|expired|reached|elapsed|occurred|passed|hit|triggered|fired)\b"
)
# The interpreter's, a database's, a validator's or a shell's own words about a name: what stands
# before the word on its line, up to it.
_REST_OF_NAME: Final = r"[\w.:$-]{0,60}\Z"
_OPENING: Final = r"\s?:?\s?[\"'`\u2018\u201c:$\[({]{0,3}"
NAMED_BEFORE: Final = (
    r"(?:key|name|attribute|unboundlocal|import|modulenotfound|reference|nosuchfield|nosuchmethod"
    r"|nomethod)error\b[^\n]{0,120}\Z",
    r"(?:has no attribute|unexpected keyword(?: argument)?|cannot import name|no module named"
    r"|got multiple values for (?:keyword )?argument|cannot find module|\(reading"
    r"|cannot access local variable|positional arguments?:|not find method"
    r"|undefined (?:variable|property|method|index|array key|local variable or method|constant"
    r"|function|reference to|field)|undefined:|redefined:|did you mean:?|an argument named"
    r"|unknown keywords?:?|no such file or directory[:\s@\w-]{0,20}"
    r"|no such (?:column|table|option|field|key|function|file)|unable to resolve symbol"
    r"|cannot find symbol|symbol not found)"
    rf"{_OPENING}{_REST_OF_NAME}",
    r"(?:classnotfound|noclassdeffound)\w{0,20}: [\w./$]{0,80}\Z",
    r"\b(?:from|join|into|update|select|where) [\"`][\w.]{0,60}\Z",
    # a noun, then the quoted name: `column "timeout"`
    r"(?:columns?|relation|tables?|constraint|index|sequence|view|parameters?|settings?|keys?"
    r"|fields?|variables?|attributes?|propert(?:y|ies)|arguments?|options?|flags?|keywords?|names?"
    r"|commands?|modules?|files?|identifiers?|method|function|type|role|database|schema|header|tag"
    r"|directive|register(?:ed)?|symbol|class|selector)\s?:?\s?[\"'`\u2018\u201c\u00ab]{1,2}"
    rf"{_REST_OF_NAME}",
    # a noun that leaves no doubt, then the bare name: `no such column: timeout`
    r"(?:columns?|parameters?|attributes?|variables?|keywords?|arguments?|options?|fields?"
    r"|identifiers?|flags?|propert(?:y|ies)|directives?)\s?(?:name)?\s?:?\s?[(\[]?[\w.:$-]{0,40}\Z",
    rf"(?:named|called)\s?[\"'`\u2018\u201c\u00ab]{{1,2}}{_REST_OF_NAME}",
    r"\bkey \([\w, ]{0,60}\Z|\bfields?: \([\"'`\w, ]{0,60}\Z",
    # what is done to a setting: `could not set the socket timeout`
    r"(?<!\w)(?:invalid|bad|illegal|negative|missing|unsupported|unrecogni[sz]ed|set|setting|unset"
    r"|parse|parsing|convert|adjust|configure|validate|validating|declare|specify"
    r"|override)\s(?:\w+\s){0,3}[\"'`\u2018]?[\w.-]{0,40}\Z",
    r"\btypeerror: [^\n]{0,80}argument[^\n]{0,20}\Z|valueerror: [^\n]{0,40}\bset \w* ?\Z",
)
# What stands behind the word, from it on.
NAMED_AFTER: Final = (
    r"[\w.-]{0,40}[\"'`\u2019\u201d\u00bb]?\s(?:is not defined|is not expected"
    r"|is not a (?:valid|function|known|recogni)|is (?:a required|an? invalid|an? unknown"
    r"|an? unexpected|required\b|not (?:allowed|supported|permitted|set|valid|configured|an? ))"
    r"|must (?:be|not|either)|is only (?:meaningful|allowed|supported|valid)|context manager"
    r"|too (?:big|large|small|low|high)|(?:and|or) [\w.]{0,40}timeout parameters?\b"
    r"|should be|needs to be|has to be|may not|can[no\u2019']{1,2}t be"
    r"|does not exist|was not found|was not declared|has no|could not be (?:parsed|set|resolved"
    r"|found)|not (?:registered|recogni[sz]ed|defined|found)|undeclared|of relation"
    r"|in ['\"](?:field list|where clause)|->|column\b|field\b|property\b|parameters?\b|options?\b"
    r"|argument\b|attribute\b|setting\b|directive\b|value(?! exceeded))",
    r"[\"']?: (?:command not found|not found|no such file|permission denied"
    r"|invalid (?:time|option|value|number|duration|int|float)|unrecogni[sz]ed option|failed to run"
    r"|can['\u2019]t execute|unknown (?:option|signal)|the monitored command|missing operand"
    r"|field required|this field|input should|not a valid|value is not|none is not|invalid argument"
    r"|argument required|expected)",
    r"\s?[\"'`]? *\((?:type=|\[type)",
)
# The last word of an error that names a key: `… has already been added. Key: timeout`.
LAST_NAME: Final = r"\b(?:key|name|flag|element|entry): [\w.-]{0,40}\Z"
# A pydantic error names its field alone on a line; the complaint follows, indented.
FIELD_OF_ERRORS: Final = r"\n\s{1,8}\S[^\n]{0,200}(?:\[type=|\(type=|field required)"
# timeout(1) as a command: `timeout 30 pg_dump …`, `['timeout', '30', …]`.
COMMAND: Final = (
    r"[\"']?(?:,\s?[\"']|\s)(?:-\S+(?:\s|[\"'],\s?[\"'])){0,4}[0-9.]{1,9}[smhd]?(?:[\"'],"
    r"|\s)(?!(?:ms|s|secs?|seconds?|minutes?|hours?|exceeded|expired|reached|elapsed|after"
    r"|for)\b)\s?[\"']?[\w./~-]"
)
COMMAND_BEFORE: Final = (
    r"(?:\A|[\n\"'`\[(;&|]|[+$#]\s|command:?\s|exec\s|run\s|cmd:?\s)\s?[\w/.]{0,20}\Z"
)
