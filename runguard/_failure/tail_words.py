"""The lines of a tool's last output that do not say what failed. Data only, by tool.

Fragments of regular expressions for a whole line, without its indentation, in any case.
"""

from __future__ import annotations

from typing import Final

# Says nothing of the failure: a frame's ornament, a hint, where the log lies.
NOISE: Final = (
    # ornaments
    r"[\^~\-=*_.|+# \u2500-\u257f]*|[{}\[\]()]+[,;]?",
    # Python
    r"traceback \(most recent call last\):|during handling of the above exception.*"
    r"|the above exception was the direct cause.*|\[previous line repeated .*\]"
    r"|exception group traceback.*|-+ \d+ -+|sys:\d+: \w*warning.*|exception ignored in.*"
    r"|task exception was never retrieved|future: <task .*|unclosed (?:client session|connector)"
    r"|client_session: .*|sentry is attempting to send.*|waiting up to \d+ seconds"
    r"|press ctrl-c to quit|\S+\.py:\d+: \w*warning: .*",
    # Node and npm
    r"node\.js v\d.*|throw (?:\w+|new .*);?|(?:file://|node:|/)\S+:\d+(?::\d+)?"
    r"|emitted '\w+' event.*|npm (?:err!|error)(?: a complete log of this run.*| {2,}/.*"
    r"| errno -?\w+| exit status \d+| code (?:elifecycle|1)| failed at the .*"
    r"| this is probably not a problem with npm.*| .*: `.*`| lifecycle script .*| workspace .*"
    r"| location .*| path .*| command .*| syscall .*| there is likely additional .*"
    r"| if you (?:need|are) .*| node v.*)?|error command failed with exit code \d+\.?|info visit .*"
    r"|\S* ?elifecycle\S*\s+command failed.*|a complete log of this run.*",
    # Java, Gradle, Maven, .NET
    r"\.\.\. \d+ (?:more|common frames omitted)|--- end of .*|build fail(?:ed|ure).*"
    r"|\* (?:try|exception is|where|get more help|what went wrong).*"
    r"|> (?:run with|get more help) .*|failure: build failed.*|\[info\].*"
    r"|\[error\](?: (?:to see the full|re-run maven|for more information|\[help"
    r"|after correcting).*)?",
    # Go, Rust, Ruby, PHP, Perl, R
    r"goroutine \d+ \[.*|created by .*|\[signal sig.*|exit status \d+|note: run with .*"
    r"|stack backtrace:|\d+: 0x.*|stack trace:|#\d+ .*|thrown in .* on line \d+|from \S+:\d+.*"
    r"|execution halted|calls: .*|in addition: .*",
    # psql and other SQL shells
    r"line \d+: .*|(?:detail|hint|context|statement|query|location): .*|pl/pgsql function .*"
    r"|rollback|\(background on this error at: .*\)|\[sql: .*|\[parameters: .*",
    # git, ssh
    r"hint: .*|please make sure you have the correct access rights|and the repository exists\.?"
    r"|remote: (?:counting|compressing|enumerating|total) .*|warning: permanently added .*"
    r"|to (?:https?://|git@).*| ! \[.*|cloning into .*",
    # curl, wget
    r"more details here: .*|curl failed to verify .*|establish a secure connection to it.*"
    r"|how to fix it, please visit .*|to learn more about this situation.*|% total .*"
    r"|dload +upload .*|[\d\s.kmg:%-]+",
    # rsync, tar, docker, terraform, ansible
    r"see '.* --help'\.?|run '.* --help' for more .*|with [\w.\[\]\"-]+,|on \S+ line \d+.*:"
    r"|\d+: (?:resource|data|module|provider|variable|output|locals) .*|to retry, use: .*"
    r"|play recap \*+|no more hosts left \*+|\S+ +: ok=\d+ .*",
    # make, shells, runners, pip
    r"make(?:\[\d+\])?: \*\*\* .*error (?!124\b)\d+|make(?:\[\d+\])?: (?:entering|leaving"
    r"|target) .*|\+{1,3} .*|script returned exit code .*"
    r"|(?:error: )?process (?:completed|exited) with exit .*|error: script .* exited with code \d+"
    r"|note: .*|\[notice\] .*|warning: you are using pip .*|for (?:more )?(?:information|details"
    r"|help)[ ,].*|see .* for (?:more )?(?:details|information|help).*|try '.* --help'.*"
    r"|use .*--help.*|run .* for (?:more )?(?:details|usage|help).*|run `.*` .*|bye\.?",
)

# Follows from what stands before it: the other end of a pipe, a channel that closed.
CONSEQUENCE: Final = (
    r"rsync error: .*\(code \d+\).*|rsync: (?:\[\w+\] )?connection unexpectedly closed .*"
    r"|lost connection|connection closed\.?\r?|scp: connection closed.*"
    r"|connection closed by remote host\. is borg .*",
    r"fatal: could not read from remote repository\.?|fatal: early eof"
    r"|fatal: the remote end hung up unexpectedly|fatal: (?:fetch-pack|index-pack).*"
    r"|fatal: expected 'packfile'|error: failed to push some refs to .*|fatal: protocol error.*",
    r"tar: child returned status \d+|tar: error is not recoverable: exiting now"
    r"|tar: this does not look like a tar archive|tar: unexpected eof in archive"
    r"|gzip: stdin: (?:unexpected end of file|not in gzip format)|.*: broken pipe|curl: \(23\) .*"
    r"|pg_restore: error: could not read from input file.*|mysqldump: got errno 32 on write"
    r"|xz: .*: unexpected end of input",
    r"error: could not find a version that satisfies .*\(from versions: none\)"
    r"|error: no matching distribution found for .*",
    r"error: subprocess-exited-with-error|error: .*returned a non-zero code: \d+"
    r"|(?:error|fatal): .*exit(?:ed)?(?: with)? (?:code|status)[ :]\d+\.?",
)

# Words of lines that only give up. A line of nothing else decides nothing, and hides nothing.
GENERIC_WORDS: Final = frozenset(
    {
        *("a", "abort", "aborted", "aborting", "above", "after", "all", "an", "and", "any"),
        *("anyway", "attempt", "attempts", "backup", "because", "been", "but", "by", "cannot"),
        *("command", "complete", "completed", "could", "critical", "did", "done", "download"),
        *("due", "encountered", "end", "ended", "err", "error", "errors", "exceeded"),
        *("exception", "exhausted", "exit", "exited", "exiting", "export", "fail", "failed"),
        *("failing", "fails", "failure", "failures", "fatal", "finish", "finished", "for"),
        *("gave", "give", "giving", "had", "has", "have", "his", "import", "in", "is", "it"),
        *("its", "job", "limit", "max", "maximum", "more", "no", "not", "number", "of", "on"),
        *("one", "operation", "or", "out", "over", "process", "program", "reached", "retries"),
        *("retry", "run", "runtimeerror", "script", "see", "some", "something", "status"),
        *("step", "stop", "stopped", "stopping", "sync", "systemexit", "task", "the", "this"),
        *("to", "tries", "trying", "unable", "unexpected", "unhandled", "unrecoverable", "up"),
        *("update", "upload", "was", "went", "were", "will", "with", "work", "wrong"),
    }
)

# Says more of the statement before it: Azure's lines, a body that was printed.
CONTINUES: Final = (
    r"(?:message|details?|reason|body|response|response body|description|code|error ?code|target"
    r"|request ?id|exception details|status|cause|response headers"
    r"|http response (?:body|headers))\s?: .*"
)
# JavaScript keeps what happened behind a general error in its cause.
CAUSE: Final = r"\n\s+\[?cause\]?: (.+)"
# JavaScript's TypeError and SyntaxError are no bugs where they say this.
FETCH_FAILED: Final = r"typeerror: (?:fetch failed|failed to fetch|network request failed)"
NOT_JSON: Final = r"syntaxerror: [^\n]*(?:not valid json|in json at|end of json|json\.parse)"
# Before it, what it speaks of will be tried again.
RETRY: Final = (
    r"\b(?:re-?trying|will (?:be )?(?:retry|retried|try again|reconnect)|retry (?:in|after|at|#?\d)"
    r"|next (?:retry|attempt|try)|backing off|back-?off|trying again|try again in|reconnecting"
    r"|(?:retries|attempts|tries) (?:left|remaining)|sleeping (?:for )?\d|wait(?:ing)? \d)"
)
ATTEMPT: Final = r"\b(?:attempt|try|retry) #?(\d{1,6})\s?(?:/|of)\s?(\d{1,6})"
# It went well after all.
SUCCESS: Final = (
    r"http/\d(?:\.\d)?\"?,?\s+[23]\d\d\b|\b(?:status|code)\W{1,3}2(?:0[0-8]|26)\b"
    r"|\b(?:recovered|reconnected)\b|\bsucceeded (?:on|at|in|after)\b|\bretry succeeded\b"
    r"|\bconnection (?:re-?established|restored)\b"
)

# Frames of a traceback, with their indentation.
FRAMES: Final = (
    r"\s+File \".*\", line \d+|\s+at\s\S|\s+from \S+:\d+|#\d+\s|\t\S+\.go:\d+|\s+\d+: 0x"
    r"|\S+\.go:\d+ \+0x|[\w./*()-]+\(0x[0-9a-f]"
)
# Terraform's box, an exception group's margin.
MARGIN: Final = r"[\u2502\u2577\u2575|] ?(?=\s|\S|\Z)|\s{2,}[|+] "
ANSI: Final = r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
# A Python exception on the last line of its traceback.
EXCEPTION: Final = r"([A-Za-z_][\w.]*\w)(?::\s|\Z)"
TRACEBACK: Final = ("traceback (most recent call last)", "exception group traceback")
CHAINED: Final = ("during handling of the above", "the above exception was the direct")
