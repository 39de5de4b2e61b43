"""Secrets on command lines, by the options of the tools that take them.

A command line is read as words, be it typed (`redis-cli -a x`), the list that `CalledProcessError`
shows (`['redis-cli', '-a', 'x']`), or JSON. Only what follows a known tool counts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .lazy_pattern import lazy
from .scanned_text import ScannedText, places_of
from .secret_names import prose
from .secret_options import TOOLS
from .secret_values import Rule, Span, is_placeholder, looks_random

_WORD = lazy(
    r"(?:[\"'](?=\[[\"'])|[\"'](?<=\][\"'])|'(?:[^'\\\n]|\\[^\n]|''){0,1024}+'|\"(?:[^\"\\\n]|\\[^\n]){0,1024}+\""
    r"|[\"']|(?:\\[^\n]|,(?![\"'])|[^\s\"',\\|;&])++|\\)++"
)
_GAP = lazy(r"(?:[ \t,]|\\\n[ \t]*+)*+")
_TOOL_WORD = lazy(
    r"(?<![a-z0-9_.+\-])[a-z0-9_+\-]++(?:\.(?!exe)[a-z0-9_+\-]++)*+(?=[\s\"',\\]|\.exe\b)"
)
_OPENED = lazy(r"[\"'][\[(]{1,4}(?=[\"'])|[\[(`]{1,4}")
_CLOSED = lazy(r"(?:(?<=[\"'])[\])]{1,4}[\"']?)?(?:(?<=[\"'\])])[,`]{1,2})?\Z")
_MOST_WORDS = 200
_LONGEST_QUOTED = 1024


class _Option(NamedTuple):
    """An option that takes a secret: the word that it needs, and what parts user and secret."""

    needs: str
    separator: str = ""


class _Command(NamedTuple):
    """All that the table says of one command."""

    options: dict[str, _Option]
    attached: dict[str, _Option]
    after: dict[str, int]
    login: str


@functools.cache
def _commands() -> dict[str, _Command]:
    """Index the table by command: a command may have several entries."""
    commands: dict[str, _Command] = {}
    for tool in TOOLS:
        needs = _Option(tool.needs)
        options = dict.fromkeys(tool.value.split(), needs)
        options |= {split[:-1]: _Option(tool.needs, split[-1]) for split in tool.split.split()}
        after = dict(entry.rsplit(":", 1) for entry in tool.after.split())
        counts = {word: int(count) for word, count in after.items()}
        for name in tool.names.split():
            known = commands.get(name, _Command({}, {}, {}, login=""))
            commands[name] = _Command(
                known.options | options,
                known.attached | dict.fromkeys(tool.attached.split(), needs),
                known.after | counts,
                login=known.login or tool.login,
            )
    return commands


@functools.cache
def _names() -> frozenset[str]:
    return frozenset(name for tool in TOOLS for name in tool.names.split())


class _Word(NamedTuple):
    """A word of a command line: its text without quotes, and where that text stands."""

    text: str
    start: int

    def without(self, skip: int) -> _Word:
        """Return the rest of the word."""
        return _Word(self.text[skip:], self.start + skip)


def _find(text: ScannedText) -> Iterator[Span]:
    """Walk once over the text, from the name of one tool to the next."""
    if not (tools := _tools_in(text)):
        return
    commands, raw, low, at = _commands(), text.raw, text.low, 0
    for number, tool in enumerate(tools):
        if tool.start() < at:
            continue  # a part of the last command's secret
        end = tools[number + 1].start() if number + 1 < len(tools) else len(raw)
        line = _Line(commands[tool[0]], tool[0])
        at = tool.end() + (4 if low.startswith(".exe", tool.end()) else 0)
        at += low[at : at + 1] in ("'", '"')
        while at < end or line.expects_value:
            at = _GAP.match(raw, at).end()  # type: ignore[union-attr]
            match = _WORD.match(raw, at)
            if match is None or line.seen > _MOST_WORDS:
                break  # a newline, `|`, `;` or `&` ends a command
            word = _plain(match[0], at)
            if word.start > at and line.opens_again(word):
                at = word.start  # `lftp -e "open -u job,x"`: read what is inside the quotes
                continue
            spans = list(line.take(word))
            yield from spans
            if match.end() > end and not spans:
                break  # quotes around the next command: it is read for itself
            at = match.end()


def names_a_tool(low: str, words: Iterable[str]) -> bool:
    """Whether one of these words of a text may be the name of a tool; there is no `~` in it."""
    return ".exe" in low or not _names().isdisjoint(words)


def _tools_in(text: ScannedText) -> list[re.Match[str]]:
    """Find the names of tools in a text, from the first to the last."""
    words = text.words
    if "~" in text.gist:
        words = {part for word in words for part in word.split("~")}
    if ".exe" in text.gist:
        words = words | {word.partition(".exe")[0] for word in words}
    names = words & _names()
    if not names:
        return []
    places = {at for name in names for at in places_of(name, text.low)}
    found = (_TOOL_WORD.match(text.low, at) for at in sorted(places))
    return [match for match in found if match and match[0] in names]


def _plain(text: str, at: int) -> _Word:
    """Take brackets and quotes off a word."""
    opened = _OPENED.match(text)
    word = _Word(_CLOSED.sub("", text), at).without(opened.end() if opened else 0)
    if len(word.text) > 1 and word.text[0] in "'\"":
        closed = word.text[-1] == word.text[0]
        word = _Word(word.text[1:-1] if closed else word.text[1:], word.start + 1)
    return word


class _Line:
    """One command, as its words come by."""

    def __init__(self, command: _Command, name: str) -> None:
        self._command = command
        self._words = {name}
        self._pending: _Option | None = None
        self._positions = [command.after[name]] if name in command.after else []
        takes_slashes = any(option.startswith("/") for option in command.options)
        self._signs = ("-", "/") if takes_slashes else ("-",)
        self.seen = 0

    @property
    def expects_value(self) -> bool:
        """Whether the next word belongs to an option."""
        return self._pending is not None

    def opens_again(self, word: _Word) -> bool:
        """Say whether a quoted word holds options of this command."""
        if self.expects_value or " " not in word.text or len(word.text) > _LONGEST_QUOTED:
            return False
        return not self._command.options.keys().isdisjoint(word.text.split())

    def take(self, word: _Word) -> Iterator[Span]:
        """Take the next word; give the span of the secret in it, if it holds one."""
        self.seen += 1
        pending, self._pending = self._pending, None
        text = word.text
        if pending is not None:
            yield from _value(word, pending)
            return
        if self._command.login and (match := self._login(text)):
            yield word.start + match.start(1), word.start + match.end(1)
        elif len(text) > 1 and text.startswith(self._signs):
            yield from self._option(word)
        else:
            yield from self._positional(word)
            text = text.lower()
        self._words.add(text)
        # `http-basic.` stands for `http-basic.` and whatever host follows.
        for key in (text, text.partition(".")[0] + "."):
            if key in self._command.after:
                self._positions.append(self._command.after[key])

    def _login(self, text: str) -> re.Match[str] | None:
        """Match `user/password@database`; `exp and/or imp` is none."""
        match = _LOGIN.match(text)
        certain = self._command.login == "anywhere" or "@" in text
        return match if match and (certain or looks_random(match[1], 4)) else None

    def _positional(self, word: _Word) -> Iterator[Span]:
        """Count a word that is no option: `rabbitmqctl add_user job SECRET`."""
        left = [count - 1 for count in self._positions]
        self._positions = [count for count in left if count > 0]
        if 0 in left:
            yield from _value(word, _Option(""))

    def _option(self, word: _Word) -> Iterator[Span]:
        """Read an option: `-a`, `--pass=SECRET`, `/p:SECRET`, `-pSECRET`."""
        text = word.text
        if option := self._known(text):
            self._pending = option
            return
        name = re.match(r"--?[^=]{1,64}(?==)|/[^:=]{1,64}(?=[:=])", text)
        if name and (option := self._known(name[0].lower()) or self._known(name[0])):
            yield from _value(word.without(name.end() + 1), option)
            return
        for attached, option in self._command.attached.items():
            if text.startswith(attached) and self._applies(option):
                yield from _value(word.without(len(attached)), option)
                return
        option = self._known(f"-{text[-1]}")
        if option and option.separator and re.fullmatch(r"-[A-Za-z]{2,8}", text):
            self._pending = option  # `curl -sSfu job:secret`
            return
        option = self._known(text[:2])
        if option and not text.startswith("--") and _may_be_attached(text[2:], option):
            yield from _value(word.without(3 if text[2:3] == ":" else 2), option)

    def _known(self, name: str) -> _Option | None:
        option = self._command.options.get(name)
        return option if option and self._applies(option) else None

    def _applies(self, option: _Option) -> bool:
        return not option.needs or option.needs in self._words


def _may_be_attached(rest: str, option: _Option) -> bool:
    """Say whether `-Pxyz` is `-P xyz`, and not three switches."""
    if option.separator:
        return option.separator in rest
    return len(rest) > 1 and not (rest.isalpha() and rest.islower())


def _value(word: _Word, option: _Option) -> Iterator[Span]:
    """Give the span of the secret in an option's value."""
    text = word.text
    if option.separator:
        at = text.find(option.separator)
        if at < 0 or text.startswith(("http:", "https:")):
            return
        word = word.without(at + 1)
    elif text.startswith("pass:"):  # openssl
        word = word.without(5)
    elif text.startswith(("file:", "env:", "fd:")) or _is_prose(text):
        return
    text = word.text
    quoted = len(text) > 1 and text[0] in "'\"" and text[0] == text[-1]
    start, end = (1, len(text) - 1) if quoted else (0, len(text))
    if start < end and not is_placeholder(text[start:end]):
        yield word.start + start, word.start + end


@functools.cache
def _prose_words() -> frozenset[str]:
    return frozenset((*prose().replace("?", "").split("|"), "-", "/"))


def _is_prose(text: str) -> bool:
    return text.lower().rstrip(".,;:!?") in _prose_words()


# `user/password@database`, with `userid=` before it or not.
_LOGIN = lazy(
    r"(?:userid=)?[\"']?(?![./~-])[\w$#.\[\]\"\\-]{1,64}?/(?!nolog|/)"
    r"((?:\\?\"[^\"]{1,128}\"|[^\s@/][^\s@]{0,127}|[^@/\n][^@\n]{0,127}(?=@)))(?:@|[\"']?\Z)"
)


def command_rule() -> Rule:
    """Make the rule that finds secrets on command lines."""
    patterns = (_WORD.pattern, _GAP.pattern, _TOOL_WORD.pattern, _LOGIN.pattern)
    return Rule("option of a command", (), _find, patterns)
