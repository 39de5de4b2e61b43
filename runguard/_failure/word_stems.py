"""Stems of the words that tell a reason or a timeout: a cheap look before expressions are tried.

One of an expression's stems stands in whatever it matches, folded. They stand in the order of the
expressions; a test reads each expression, and says what no stem of its covers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from .pieces import LONGEST, PieceIndex


class StemTable:
    """The stems of several expressions, in order."""

    def __init__(self, *lines: str) -> None:
        """Take the stems of each, parted by `|`."""
        self.rows = tuple(tuple(line.split("|")) for line in lines)
        self._index: PieceIndex | None = None

    def rows_in(self, text: str) -> Iterator[int]:
        """Yield the numbers of those of which a stem stands in a folded text, in order."""
        if len(text) <= LONGEST:
            index = self._index = self._index or PieceIndex(self.rows)
            yield from sorted(index.found_in(text))
            return
        yield from (number for number, row in enumerate(self.rows) if holds_any(row, text))


# Characters that match an ASCII letter, or another letter, in any case, and are lower-cased to
# neither.
_ODD: Final = (
    "\u0131\u017f\u03bc\u03b9\u1fbe\u1fd3\u1fe3\u03d0\u03f5\u03d1\u03f0\u03d6"
    "\u03f1\u03c3\u03d5\u1c80\u1c81\u1c82\u1c83\u1c84\u1c85\u1c86\u1c87\ua64b"
    "\u1e9b\ufb06\u0130"
)
_PLAIN: Final = (
    "is\u00b5\u0345\u0345\u0390\u03b0\u03b2\u03b5\u03b8\u03ba\u03c0"
    "\u03c1\u03c2\u03c6\u0432\u0434\u043e\u0441\u0442\u0442\u044a\u0463\u1c88"
    "\u1e61\ufb05i"
)
_FOLDS: Final = {ord(odd): plain for odd, plain in zip(_ODD, _PLAIN, strict=True)}


def folded(text: str) -> str:
    """Return a text in which characters are equal that are equal in any case."""
    return text.lower() if text.isascii() else text.translate(_FOLDS).lower().translate(_FOLDS)


def holds_any(stems: Sequence[str], text: str) -> bool:
    """Say whether one of the stems stands in a folded text."""
    return any(map(text.__contains__, stems))


OF_REASONS: Final = StemTable(
    "lock| pro|instanc|another r|acquire|already",  # lock_held
    "memory|allo|kill|메모리|overhea|java he|enomem|内存不",  # out_of_memory
    # disk_full
    " dis|disk|磁|空|unable |spac|system |platz|디스크|wrote o|enospc|edquot|장치에|ост",
    "too man|emfile|enfile|파일이",  # too_many_files
    "interbl|死|deadloc|verklem|ora-000|교착|デッド|вза",  # deadlock
    "transac|object|conflic|concurr|seriali|optimis|updated|ora-081|stale d",  # serialization
    "lock|busy|sper|obtenti|ora-000|ロック|锁超时|잠",  # db_lock
    # constraint
    "traint|restri|duplica|ora-0|cannot |违反|conflic|integri|e11000|重复键|중복된|нар|一意性",
    "read|not |misconf|erofs",  # read_only
    "t exist|undefin|invalid|ora-009|no such|unknown",  # schema
    # tls
    "curl: (|handsha|ifica|alert|signed|err_|tls|ssl|zertifi|wrong v|unable |x509|证书|証明書"
    "|인증서",
    # dns
    "resol|serv| host|dns |ora-12|name|addr|解|이름을|enotfou|unknown|nxdomai|eai_aga"
    "|host no|11001",
    # refused
    "cone|verbind|refused |拒|databas|сое|attempt|listene|activel|running|econnre|connexi"
    "|conness|err_con|ora-125|no conn|10061|연결이|connect",
    # reset
    "clos|接|eset|connection w| eof|disconn|aborted|termina|ora-031|broken|nexi|prematu"
    "|verbind|socket |server|lost|eof |연결이|dropped|syscall|incompl|err_emp|connection_f"
    "|epipe|10054",
    "quota|many|rate|resourc|slow|요청|throttl|service|request |リクエ|请求过",  # rate_limited
    # overloaded
    "serv|connections|pool |circuit|capacit|too man|unavail|load|achieve|sobreca|berlast"
    "|surchar|remaini|rejecte|tempora|try aga| users|过载|과부하|過負荷|пер",
    # auth
    "login|invalid|enti|pass|비|incorre|expired|acce|account|인|ora-|失|unautho|kennwor"
    "| denied| logged|not_|вер|パスワ|密|usernam|pg_hba.|auth fa|noauth",
    # forbidden
    "perm|acces|拒|insuffi|not a|权限不|권한이|дос|zugriff|forbidd|berecht|ora-010|o negad"
    "|s refus|must be|が",
    "able|connect |down|tunreac|addr|establishe|no rout",  # unreachable
    " status| code 1|termina|kill|receive|sigterm|workerl|oom sco",  # killed
    # crashed
    "ation|panic|sigsegv|smashin|detecte|sigabrt|segfaul|illegal|core du|bus err|double ",
    "aborted|cancel|求|user re|사용자",  # cancelled
    "already|存|forward|eaddrin|modifie|conflic|fetch f|eexist|이",  # conflict
    # not_found
    "such|not |없|able| exist|nicht|fichier|matchin|notfoun|not_fou|can't f|enoent|找不到"
    "|見つか|нет|そのよ|没有那",
    # bug
    "defined|argumen|inde|referen| option|module|class|unbound|attribu|functio|divisio"
    "|syntax|null|unknown|unexpec|nameerr|sionerr|illegal|invalid|uniniti|propert"
    "|importe|notimpl|asserti|typeerr|rangeer|nometho|nosuchm| method|php par|usage:"
    "|keyerro",
    # data
    "valid|형|not |missing|format|parse|式|field|unexpec|codeerr| too l|必|필|require"
    "|column |supplie|deseria|corrupt|expecti|checksu|badzipf|unmarsh|mismatc|truncat"
    "|tokeniz| values|of rang|e error|codec c|rows, e| bytes| lines|нев| rows|expecte"
    "|malform",
    "zero |exited |exit |command",  # exit_code
)

OF_TIMEOUTS: Final = StemTable(
    "lock|candado|resourc|verrous|einer s|ロック|锁|잠금",  # db_lock
    " pool|pool |acquir|ed out|pooltim",  # pool_timeout
    # statement_timeout
    "executi|instruc|句|operati|sentenc|maxtime|stateme|anfrage|query|57014|명령실|ステー|опе",
    # time_limit
    "waiting| timed|executi|too lon| limit|job |walltim|progres|zeitlim|timelim|airflow"
    "|time_li|time-li|worker |mite de|exceeded t|exceeded m|exceeded i|error 1|制限時|제|exit",
    # read_timeout
    "read|data|no re|navigat|acknowl|receive|heartbe|awaitin|sending|page.go|message |no answ",
    # connect_timeout
    "conex|接|connexi|selecti|unreach|conness|etimedo|handsha|verbind|login t|errno 110"
    "|10060|dial |連線|접속|연결|сое|connect",
    # read_timeout
    "o timeo|求|respond|antwort|requisi|awaitin|solicit|timeout |request |receiv|answer"
    "|reply|read|응답|요청|зап|リクエ|応答|requê|响应|headers|respons",
)

SAID_OTHERWISE: Final = StemTable(
    "deadlin",  # a deadline
    "has bee|was_|time li|timelim|time-li|time_li|expired",  # a time limit
    "walltim|duratio|exceed",  # exceeded its time
    "limit o|its |an |exceed",  # exceeded ten seconds
    "executi|wall|cpu tim|stateme",  # a maximum
    "executi|expired",  # expired
    " than |too lon",  # too long
    "time ou|timeout ",  # a time out of …
    # no answer within
    "response|reply|answer|data|heartbeat|result|ack|activity|progress|output|connection|bytes",
    "within|in under",  # not … within
    " after ",  # not … after
    " up |wait",  # gave up
    "creatio",  # Kafka's producer
    "respond",  # WSAETIMEDOUT in words
    "operati",  # curl in words
    "os erro|errno11|110",  # ETIMEDOUT
    "10060|274c",  # WSAETIMEDOUT
    "curl",  # curl's code
    "(57014)|1969|3024",  # MySQL, Snowflake
    "status|exit|] error",  # timeout(1)
    "시|타",  # Korean
    "時|タイム",  # Japanese
    "时|時",  # Chinese
    "zeit",  # German
    "tiempo",  # Spanish
    "é|temps ",  # French
    "tempo",  # Portuguese
    "tempo|conness",  # Italian
    "м|в",  # Russian, Ukrainian
    "vypr| czas|tijd|u habis|i gian|zaman a|tidsgr",  # Polish and others
    "pond|一|bestimm|응답이",  # WSAETIMEDOUT by language
)
