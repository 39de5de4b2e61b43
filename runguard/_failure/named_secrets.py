"""Secrets that are found by their name: what may stand between a name and its value.

One list of names, one list of what follows: `password=x`, `('password', 'x')`, `--password x`,
`<password>x</password>`, a YAML block, a line of a `.netrc`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from .lazy_pattern import lazy
from .scanned_text import ScannedText
from .secret_names import Found, english_hints, english_names_in, names_in, other_hints
from .secret_values import (
    BARE,
    BRACED,
    NO_VALUE,
    QUOTED,
    Rule,
    Span,
    is_placeholder,
    is_weak_value,
    looks_random,
    no_prose,
    spans_of,
)

_AFTER_NAME = r"\\{0,4}[\"']?\]?[ \t]{0,8}"
_COMMON_FIELDS = lazy(
    r"(?:e-?mail|pass(?:word|wd|phrase)?|(?:[a-z]{1,24}_)?(?:token|secret|key)|user|user_?name"
    r"|login|name|id|url|host|port|role|roles|type|field|value|date|time|status|state|code|message|hash|salt|text|string|str|int|query|body|path|header|form"
    r"|required|missing|blank|null|unique|index|column|table|default|label|input|hidden|scope"
    r"|[a-z]{1,24}(?:_[a-z]{1,24}){1,5}|[a-z]{1,24}(?: [a-z',]{1,24}){1,20}[.!?]?)"
)
_CONFIG_LINE = lazy(
    r"(?:machine|default|account|user|username|login|host|hostname|server|from|port|tls|auth|poll"
    r"|protocol|defaults|binddn|uri|base|database|logfile)(?:[ \t]++\S++){0,6}[ \t]*+"
)
_SET_VERB = lazy(
    r"(?<![\w-])(?:setx|setenv|env|arg|export|fastcgi_param|uwsgi_param|proxy_set_header|set"
    r"|config(?:ure)?(?: set| add)?(?: --?\w{1,16})?|config:set|secrets? set|property|parameter"
    r"|define)"
    r"[ \t]{1,4}(?:-[\w-]{1,24}[ \t]{1,4}){0,3}[\"']?[\w./:@\-]{0,64}\Z"
)
_PATH = lazy(r"(?:(?:\A|\s)/|://[^\s\"'=?#&/:@]{1,255}(?::\d{1,5})?/)(?:[^\s\"'=?#&:]{0,200}/)?\Z")
_AFTER_PATH = lazy(r": | ->")
# The same as words of a list: `['aws', 'configure', 'set', 'aws_secret_access_key', 'x']`.
_SET_MEMBER = lazy(
    r"[\"'](?:set|setx|setenv|env|export|config:set|secrets?)[\"'],[ ]{0,2}[\"'][\w./:@\-]{0,64}\Z"
)
_NETRC = lazy(r"(?:machine|default)\b[^\n]{0,200}\s\Z|\b(?:login|user)\s+\S{1,64}\s+\Z")
_OPENED = lazy(r"(?:[(\[{]|\w\(|[(\[{]\s{0,4})[bru]{0,2}[\"']\Z")
_VALUE_OF = (
    r"(?:value|val|content|default|defaultvalue|data|secretvalue|plain_?text|string|secret_?string)"
)
_NAME_OF = lazy(
    r"(?:name|key|field|header|id|type|parameter(?:_?key)?|parameterkey|param|variable|property|option|"
    r"setting|entry|attribute)[\"']?(?:[ \t]{0,4}[:=]|,)[ \t]{0,4}[\"']?[\w.\-/:]{0,64}\Z"
    r"|<(?:key|name)>[\w.\-]{0,64}\Z"
)
_KEY_ERROR = lazy(r"(?:key|index|lookup)error: ?\([\"']\Z")
_SQL_OF_ACCOUNTS = lazy(r"(?<![a-z])(?:user|role|grant|alter|create|identified)(?![a-z])")
_ARN = lazy(r"arn:aws[\w-]*:secretsmanager:[\w-]*:\d*:\Z")
_CALL = lazy(
    r"(?:(?:set|with|check|verify|hash|change|update|reset|new|plain)_?\w{0,12}|secret(?=\Z))?\Z"
)


class _After:
    """What may follow a name: the patterns of `_sources`, each compiled when it is first needed."""

    def __getattr__(self, name: str) -> re.Pattern[str]:
        """Compile a pattern, and keep it."""
        pattern = re.compile(_sources()[name])
        setattr(self, name, pattern)
        return pattern


@functools.cache
def _sources() -> dict[str, str]:
    prose = no_prose()
    return {
        "pair": r"(?: (?:provided|used|given|пользователя|(?:for|für|de|do|del|pour|для)"
        rf" [\w.@\-]{{1,64}}))?{_AFTER_NAME}"
        rf"(?:=>|->|<-|[:!]?={{1,3}}(?![ \t]?=)|＝"
        rf"|(?:[:：](?!:)|::(?=[ ]))[ \t]{{0,8}}+(?![가-힣ぁ-ヿ一-鿿]){prose})"
        rf"[ \t]{{0,8}}+(?:\[[ \t]?+(?=[\"'][^\s\"']{{1,1024}}+[\"']))?{NO_VALUE}"
        rf"(?:!!?\w{{1,16}} )?(?:(?:some|just|secretstr)\((?=[\"']))?"
        rf"(?:{QUOTED}|{BRACED}|(?![\[{{(](?:[\s\"'\[{{\]}})]|\Z)){BARE})",
        "member": rf"\\{{0,4}}[\"'],[ ]{{0,2}}{QUOTED}",
        "option": rf"[\"']?[ \t]++(?!-){prose}(?:{QUOTED}|{BARE})",
        "element": r"[\"']?(?:[ \t][^<>\n]{0,256}+)?>\s{0,8}+"
        r"(?:<!\[cdata\[((?:(?!\]\]>)[^\n])*+)|([^<]++)</)",
        "quoted": rf"[ \t]++{QUOTED}",
        "block": r"[\"']?:[ \t]*+(?:!!?\w{1,16}[ \t]++)?[|>][+\-]?\d?[+\-]?[ \t]*+\n",
        "line": r"[\"']?[ \t]++(?:\d[ \t]++)?([^\s]++)[ \t]*+(?:;[ \t]*+)?(?=\n|\Z)",
        "word": rf"[\"']?[ \t]++{prose}(?:{QUOTED}|([^\s\"']++))",
        "said": r"(?:(?:는|은|이|가|를|을)?[ (]|[は是为為が](?=[「『“\"' ]))"
        r"(?:(?:is|was|of|to|ist|lautet|es|est|é|für|for [\w.@-]{1,64}+ is)[ ])?"
        rf"{prose}[ ]?[\"'`(「『“]?([^\s\"'`)」』”]++)",
        "value_of": r"[\"']?\]?(?:\s{0,4}[,;]|\s|</(?:key|name)>(?:\s{0,8}<value>)?)\s{0,40}+"
        # `"Type": "SecureString",` and the like may stand between.
        r"(?:[\"']?(?!value)[\w\-]{1,24}[\"']?[ ]?[:=][ ]?[\"'][^\"'\n]{0,128}[\"'],?\s{1,40}+"
        r"|[\"'](?!value)[\w\-]{1,24}[\"']:[\"'][^\"'\n]{0,128}[\"'],){0,3}"
        rf"(?:<string>([^<]++)</|[\"']?{_VALUE_OF}[\"']?(?:[ \t]{{0,4}}[:=]|,)[ \t]{{0,4}}+"
        rf"(?:{QUOTED}|{BARE}))",
        "call": rf"\([ ]?{QUOTED}",
    }


_after = _After()


_NEAR = 512
"""Characters after a name that are read to judge its value."""

_LONGEST_GAP = 64
_LONG_KEY = 20  # characters of a key that no word of a sentence has
# Words of configuration files that no sentence holds.
_DIRECTIVES = frozenset(
    ("requirepass", "masterauth", "bindpw", "rootpw", "olcrootpw", "rootbindpw")
)
_WEAK_AND_SAID = frozenset(("clave", "llave", "chave", "chiave", "clé", "schlüssel"))
_PHRASES = ("mnemonic", "seed phrase", "seed_phrase", "recovery phrase", "recovery_phrase")
_PROSE_KINDS = frozenset(("password", "passwort", "passphrase", "passwd", "passcode", "pwd"))


def _named_in_english(text: ScannedText) -> Iterator[Span]:
    return _values(english_names_in(text), text.raw, text.low)


def _named(text: ScannedText) -> Iterator[Span]:
    return _values(names_in(text.low, english_only=False), text.raw, text.low)


def _values(names: Iterator[Found], raw: str, low: str) -> Iterator[Span]:
    """Find the values of secret names, whatever stands between a name and its value."""
    done = 0
    for name in names:
        if name.start < done:
            continue
        for start, end in _values_of(name, raw, low):
            if start < end and not is_placeholder(raw[start:end]):
                yield start, end
                # Names deep inside a value are a part of it: no text is read again and again.
                done = max(done, end - _NEAR)


def _values_of(name: Found, raw: str, low: str) -> Iterator[Span]:
    """Find what follows one name: a pair first, then all that has no sign between."""
    after, end = _after, name.end
    if low.startswith("nexpected ", name.start - 10) and name.start >= 10:
        return  # `Unexpected token: '}'`
    following = low[end : end + 1]
    if following and following.isalnum() and following.isascii():
        return  # a part of a longer word
    begin = _word_start(low, name.start)
    if "identified" in name.word and not _SQL_OF_ACCOUNTS.search(
        low[max(0, begin - _NEAR) : begin]
    ):
        return  # `the row identified by "id"`
    if _ARN.search(low[max(0, begin - 64) : begin]):
        return  # the name of a secret, not the secret
    behind_slashes = low.startswith("//", begin - 2) and begin >= 2
    if block := after.block.match(low, end):
        yield from _block(low, begin, block.end())
        return
    if not behind_slashes and (match := after.pair.match(low, end, end + _NEAR)):
        spans = [span for span in spans_of(match) if _gives_away(name, raw, span, match)]
        if _ends_path(low, begin, end):
            spans = [span for span in spans if looks_random(raw[span[0] : span[1]])]
        if spans and match.end() >= end + _NEAR - _LONGEST_GAP:
            spans = list(spans_of(after.pair.match(low, end) or match))
        if name.word in _PHRASES:  # many words: to the end of the line
            spans = [(start, (low + "\n").index("\n", start)) for start, _ in spans]
        yield from spans
        return
    if not name.strong:
        match = _after_weak(name, low, begin)
        values = spans_of(match) if match else ()
        yield from (s for s in values if is_weak_value(name.word, raw[s[0] : s[1]]))
        return
    yield from _values_without_sign(name, raw, low, begin)


def _after_weak(name: Found, low: str, begin: int) -> re.Match[str] | None:
    """Match what follows a weak name without `=` or `:`."""
    after, end = _after, name.end
    if (match := after.value_of.match(low, end)) and _NAME_OF.search(
        low[max(0, begin - 96) : name.start]
    ):
        return match
    if name.word in ("auth", "key") and (match := after.member.match(low, end)):
        return match
    if name.word == "key" and low.startswith("-", begin):
        return after.option.match(low, end, end + _NEAR)
    return after.said.match(low, end) if name.word in _WEAK_AND_SAID else None


def _values_without_sign(name: Found, raw: str, low: str, begin: int) -> Iterator[Span]:
    """Find what follows a strong name without `=` or `:`."""
    after, end = _after, name.end
    is_option = low.startswith("-", begin) or low.startswith(("'-", '"-'), begin - 1)
    following = low[end : end + 1]
    if following in ("'", '"', "\\", ",") and (match := after.member.match(low, end)):
        if is_option or _SET_MEMBER.search(low[max(0, begin - 96) : name.start]):
            yield from spans_of(match)
        elif not _KEY_ERROR.search(low[max(0, begin - 16) : begin]) and _OPENED.search(
            low[max(0, begin - 8) : begin]
        ):
            for start, stop in spans_of(match):
                if not _COMMON_FIELDS.fullmatch(low, start, stop):
                    yield start, stop
    before = low[max(0, begin - 96) : name.start]
    if (
        ((match := after.value_of.match(low, end)) and _NAME_OF.search(before))
        or (following == "(" and (match := _call(low, begin, name)))
        or ("<" in before and (match := after.element.match(low, end)))
    ):
        yield from spans_of(match)
    elif following in (" ", "\t", "'", '"') or not name.word.isascii():
        yield from _values_after_blank(name, raw, low, begin, is_option=is_option)


def _call(low: str, begin: int, name: Found) -> re.Match[str] | None:
    """Match the argument of `set_password("x")`, `SecretStr("x")`; not of `get_token("id")`."""
    if name.word.startswith("credential") or not _CALL.fullmatch(low[begin : name.start]):
        return None
    return _after.call.match(low, name.end)


def _values_after_blank(
    name: Found, raw: str, low: str, begin: int, *, is_option: bool
) -> Iterator[Span]:
    after, end = _after, name.end
    if is_option or low[begin:end] in _DIRECTIVES:
        if match := after.option.match(low, end):
            yield from spans_of(match)
        return
    named_in_code = name.word in _PROSE_KINDS or "_" in low[begin:end] or "identified" in name.word
    if named_in_code and (match := after.quoted.match(low, end)):
        yield from spans_of(match)
        return
    before = low[max(0, begin - 256) : begin]
    line = before[before.rfind("\n") + 1 :]
    word = after.word.match(low, end)
    for span in spans_of(word) if word else ():
        random = looks_random(raw[span[0] : span[1]], 4)
        in_code = random or "_" in low[begin:end]
        if in_code and looks_random(raw[span[0] : span[1]], _LONG_KEY):
            yield span  # `auth_token 0123… rejected`
            continue
        in_netrc = random or "machine" in before or "default" in before
        is_set = in_code and _SET_VERB.search(line + low[begin : name.start])
        if is_set or (in_netrc and _NETRC.search(before)):
            yield span
    if not line.strip() and (match := after.line.match(low, end)):
        yield from _config_value(match, raw, low, begin)
    if (
        name.word in _PROSE_KINDS
        or not name.word.isascii()
        or low.startswith((" is ", " was ", " ist ", " lautet ", " es ", " est ", " é "), end)
    ):
        match = after.said.match(low, end)
        yield from (
            span
            for span in (spans_of(match) if match else ())
            if _said(raw[span[0] : span[1]], f" {low[end : span[0]]}")
        )


def _config_value(match: re.Match[str], raw: str, low: str, begin: int) -> Iterator[Span]:
    """A line of a configuration file that is nothing but a name and a value."""
    line_start = low.rfind("\n", 0, begin) + 1
    previous = low[low.rfind("\n", 0, max(0, line_start - 1)) + 1 : max(0, line_start - 1)].strip()
    for start, stop in spans_of(match):
        if re.match(r"[a-z_]+=", raw[start:stop]):
            continue
        if looks_random(raw[start:stop], 4) or _CONFIG_LINE.fullmatch(previous):
            yield start, stop


_UNLIKE_PASSWORDS = lazy(
    r"(?:sha|md|pbkdf|utf|base|v|bcrypt|argon|ntlm|auth|oauth)[\d.\-v]+\w*|\d+[a-z]*"
)


def _said(value: str, between: str) -> bool:
    """Say whether a word after `password` or `password is` is one."""
    value = value.rstrip(".,;:!?")
    if not looks_random(value, 6) or _UNLIKE_PASSWORDS.fullmatch(value.lower()):
        return False
    certain = bool(re.search(r" (?:is|was|ist|lautet|es|est|é) ", between)) or not between.isascii()
    return certain or sum(character.isdigit() for character in value) > 1 or value != value.lower()


def _block(low: str, begin: int, at: int) -> Iterator[Span]:
    """Hide the lines of a YAML block: those that are deeper than the line of its name."""
    line_start = low.rfind("\n", 0, begin) + 1
    head = low[line_start:begin]
    depth = len(head) - len(head.lstrip(" \t-"))
    while at < len(low):
        stop = low.find("\n", at)
        stop = len(low) if stop < 0 else stop
        line = low[at:stop]
        if line.strip():
            inside = len(line) - len(line.lstrip(" \t"))
            if inside <= depth:
                return
            yield at + inside, stop
        at = stop + 1


def _gives_away(name: Found, raw: str, span: Span, match: re.Match[str]) -> bool:
    """Say whether the value of a pair is a secret: always for a strong name, but for a length."""
    value = raw[span[0] : span[1]]
    if name.strong:
        return not re.fullmatch(r"\d{1,3}(?:자|位|文字).*", value)
    if name.word == "pass" and "=" in match[0][: span[0] - match.start()]:
        return not re.fullmatch(r"\d{1,4}", value)
    if name.word == "pass" and re.match(r"[\"']", match[0]) and value != value.lower():
        return True
    return is_weak_value(name.word, value)


def _ends_path(low: str, begin: int, end: int) -> bool:
    """Say whether the name ends an address or a path: `POST https://…/token: 400 Bad Request`."""
    follows = low.startswith("/", begin - 1) and _AFTER_PATH.match(low, end)
    return bool(follows and _PATH.search(low[max(0, begin - _NEAR) : begin]))


def _word_start(low: str, at: int) -> int:
    """Return where the identifier begins that the name ends."""
    least = max(0, at - 64)
    while at > least and (low[at - 1].isalnum() or low[at - 1] in "_-."):
        at -= 1
    return at


# --- Keys of structured values, by the same names. -----------------------------------------------

HEADER = r"(?:authorization|(?:set-)?cookie2?)"
_HEADER_KEY = lazy(rf"(?:{HEADER}|(?<![a-z])auth|signature)[\"'\]]*\Z")


def is_secret_key(key: str) -> bool:
    """Say whether everything under this key of a mapping is secret."""
    low = key.lower()
    if _HEADER_KEY.search(low):
        return True
    return any(
        name.strong and not low[name.end :].strip("\"'])")
        for name in names_in(low, english_only=False)
    )


def is_harmless(key: str, value: str) -> bool:
    """Say whether the value of a secret key is none: a placeholder, or the working directory."""
    is_directory = key.lower().endswith("pwd") and value.startswith("/")
    return is_placeholder(value) or is_directory


def names_secret_column(columns: str) -> bool:
    """Say whether one of the columns that a database names holds secrets."""
    return any(
        name.strong and not columns[name.end : name.end + 1].isalpha()
        for name in names_in(columns.lower(), english_only=False)
    )


def name_rules() -> tuple[Rule, Rule]:
    """Make the rules for the values of secret names: in English, and in all languages at once."""
    english, patterns = "value of a secret name", tuple(_sources().values())
    return (
        Rule(english, english_hints(), _named_in_english, patterns),
        Rule("value of a name in any language", other_hints(), _named, patterns, replaces=english),
    )
