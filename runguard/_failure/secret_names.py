"""What secrets are called, in English, in code and in other languages: data, and how to find it.

A strong name gives away any value that is not prose. A weak one is an ordinary word too, so its
value must look random. All run on lower-cased text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import NamedTuple

from .lazy_pattern import lazy
from .scanned_text import ScannedText, places_of


class Names(NamedTuple):
    """The words of one language: regular expressions for strong and weak names."""

    language: str
    hints: str
    """Plain pieces, one of which stands in every name; a text without any is not searched."""
    strong: tuple[str, ...]
    weak: tuple[str, ...] = ()
    prose: str = ""
    """What follows a name in a sentence: `Passwort: erforderlich`."""
    begins: str = ""
    """What a name begins with, if that is known: a search for plain text is fast."""


ENGLISH = Names(
    language="English",
    hints=(
        "pass|pwd|secret|token|credential|jwt|psk|signature|mnemonic|phrase|recovery|identified"
        "|hapikey|npmauthident|key|pw|auth|sign|sess|sid|masterauth|bindcred|appid|presharedkey"
    ),
    strong=(
        r"pass(?:word|wd|phrase|code|key)",
        r"pwd(?!=/(?:app|data|home|mnt|opt|root|srv|tmp|usr|var|work)\b)",
        r"secret(?:[_\-. ]?access)?(?:[_\-. ]?key)?(?:_base)?",
        r"token|credentials?|jwt|wpa_psk|psk|presharedkey",
        r"shared[_\-]?access[_\-]?signature",
        r"requirepass|masterauth|identitytoken|ansible_(?:ssh|become|sudo)_pass",
        r"client-key-data|mnemonic|seed[_ ]phrase|recovery[_ ](?:phrase|code)",
        r"identified by|tf_token_\w{1,64}|bindcred|hapikey|npmauthident",
    ),
    weak=(r"key|pass|pw|auth|signature|sign|session_?id|sessid|sid|appid",),
    prose=(
        "a|an|and|any|are|at|attempts?|auth|authentication|be|been|but|by|can|cannot|changed|check"
        "|contains?|could|denied|did|do|does|empty|entry|eof|error|exceeded|exists|expected|expired"
        "|expires|expiry|failed|failure|field|file|for|format|found|from|got|has|have|hash|hint|if"
        "|in|incorrect|input|invalid|is|it|length|line|login|logon|malformed|manager|may|mismatch"
        "|missing|must|name|needed|needs|no|not|of|on|only|option|or|permission|please|policy|prompt"
        "|provided|refused|rejected|required|requires|reset|revoked|rotation|session|should|signature|str"
        "|string|supplied|takes|that|the|this|to|too|type|unable|unauthorized|unexpected|unknown|unset"
        "|unsupported|update|updated|use|user|using|validation|value|was|were|when|which|will|with"
        "|without|wrong|you|your"
    ),
    begins=(
        "pass|pwd|secret|token|credential|jwt|wpa_psk|psk|presharedkey|shared|requirepass"
        "|masterauth|identitytoken|ansible_|client-key-data|mnemonic|seed|recovery|identified by"
        "|tf_token_|bindcred|hapikey|npmauthident|key|pw|auth|sign|sess|sid|appid"
    ),
)

OTHER_LANGUAGES: tuple[Names, ...] = (
    Names(
        "Korean",
        "비밀|패스|비번|암호|토큰|시크릿|키|인증",
        (
            r"비밀\s?번호|패스\s?워드|패스프레이즈|비번|암호(?:키)?|토큰|시크릿\s?키?",
            r"(?:인증|서비스|비밀|접근|접속|개인|보안|액세스|암호화|api|에이피아이)\s?키",
        ),
        (r"인증\s?번호|인증\s?코드|아이피키",),
    ),
    Names(
        "Japanese",
        "パス|暗証|合言葉|トークン|シークレット|キー|鍵",
        (
            r"パスワード|パスフレーズ|パスコード|暗証番号|合言葉|トークン|シークレット(?:キー)?",
            r"(?:秘密|アクセス|認証|暗号|api|プライベート|暗号化|サービス|サブスクリプション)\s?(?:キー|鍵)",
        ),
    ),
    Names(
        "Chinese",
        "码|碼|口令|令牌|钥|鑰|权杖|權杖",
        (
            r"密\s?[码碼]|口令|令牌|通行[码碼]|[密秘]\s?[钥鑰](?!匙?对)|私[钥鑰]|授权码|授權碼",
            r"(?:访问|訪問|存取|安全|应用|應用|接口|api)\s?(?:密[钥鑰]|金鑰|令牌)|金鑰|权杖|權杖",
        ),
    ),
    Names(
        "German",
        "passwort|kennwort|gehei|zug|schl",
        (
            r"passwort|kennwort|geheimnis|zugangsdaten|zugriffstoken|zugangstoken",
            r"(?:api|zugangs|zugriffs|geheim|lizenz|sitzungs|dienst|privater?)"
            r"[ \-]?schl(?:ü|ue)ssel",
        ),
        (r"schl(?:ü|ue)ssel",),
        "erforderlich|falsch|fehlt|fehlgeschlagen|ungültig|ungueltig|abgelaufen|muss|nicht|ist|darf"
        "|wurde|zu|leer|stimmt|der|die|das|für|fuer|ein|eingeben|bitte|unbekannt|und|oder|vergessen"
        "|geändert|zurücksetzen|vom|von|im|in|mit|kein|keine",
    ),
    Names(
        "Spanish",
        "contrase|pala|creden|secreto|lave",
        (
            r"contrase(?:ñ|n)as?|palabra de paso|credencial(?:es)?|secreto",
            r"(?:clave|llave)[ _\-](?:secreta|privada|de[ _](?:api|acceso|servicio|licencia)|api)",
        ),
        (r"clave|llave",),
        "incorrecta|requerida|obligatoria|obligatorio|no|es|debe|inválida|inválido|invalida"
        "|expirada|caducada|vacía|vacia|demasiado|la|el|de|del|para|errónea|olvidada|y|o|con|sin"
        "|desconocida|primaria|por|en|su|ha",
    ),
    Names(
        "French",
        "mdp|passe|phrase secr|jeton|clé|clef|cle_|"
        + "|".join(
            f"{key}{kind}"
            for key in ("cle ", "cle-", "cles ", "cles-", "cles_")
            for kind in ("secr", "priv", "api", "d'", "d\u2019")
        ),
        (
            r"mots?[ _\-]de[ _\-]passe|mdp|phrase secrète|jeton(?: d['\u2019]acc(?:è|e)s)?",
            r"cl(?:é|e|ef)s?[ _\-](?:secr(?:è|e)te|priv(?:é|e)e|d['\u2019](?:api|acc(?:è|e)s)|api)",
        ),
        (r"cl(?:é|ef)",),
        "incorrect|requis|obligatoire|manquant|invalide|expiré|expirée|doit|est|ne|trop|le|la|les"
        "|de|du|des|pour|oublié|vide|erroné|et|ou|non|inconnu|primaire|par|en|votre|a|n",
    ),
    Names(
        "Portuguese",
        "senha|pala|segre|creden|chave",
        (
            r"senha|palavra[ _\-]passe|segredo|credencia(?:l|is)",
            r"chave[ _\-](?:secreta|privada|api"
            r"|d[ae][ _](?:api|acesso|servi(?:ç|c)o|licen(?:ç|c)a))",
        ),
        (r"chave",),
        "incorreta|inválida|invalida|obrigatória|expirada|deve|é|não|nao|muito|a|o|de|da|do|para"
        "|vazia|errada|e|ou|com|sem|primária|por|em|sua",
    ),
    Names(
        "Russian and Ukrainian",
        "парол|пассворд|токен|секрет|ключ|данные",
        (
            r"парол[ьяюе]м?|пассворд|токен[а-я]?|секрет(?:ный)?(?: ключ)?|учетные данные",
            r"(?:api|апи|приватный|закрытый|личный)[ \-]?ключ|ключ[ \-](?:api|апи|доступа)",
        ),
        (r"ключ",),
    ),
    Names(
        "Italian",
        "parol|segre|chiave",
        (r"parola d['\u2019]ordine|parola chiave|segreto|chiave (?:api|segreta|privata)",),
        (r"chiave|parola",),
        "errata|obbligatoria|non|scaduta|deve|mancante|vuota|di|per|è|la|il|e|o|primaria",
    ),
    Names(
        "Dutch, Swedish, Danish, Norwegian, Finnish",
        "wachtwoord|lösenord|kode|passord|sana|gehei",
        (
            r"wachtwoord|lösenord|adgangskode|passord|salasana|geheime sleutel"
            r"|tunnussana|kodeord",
        ),
        (),
        "onjuist|verplicht|verlopen|moet|is|niet|te|voor|ontbreekt|ongeldig|felaktigt|krävs"
        "|saknas|er|ikke|forkert|ugyldig|on|virheellinen|puuttuu|het|de|een|en|of|är|inte",
    ),
    Names(
        "Polish, Czech, Slovak, Hungarian, Romanian, Turkish",
        "hasło|heslo|jelszó|parol|şifre",
        (r"hasło|heslo|jelszó|parol[ăa]|şifre",),
        (),
        "jest|nie|wymagane|nieprawidłowe|je|není|neplatné|chybí|hibás|kötelező|este|nu|incorectă"
        "|yanlış|gerekli|geçersiz|się|musi|moze",
    ),
    Names(
        "Vietnamese, Indonesian, Thai, Greek, Arabic, Hebrew, Hindi, Persian",
        "khẩu|mật|sandi|รหัสผ่าน|κωδικ|كلمة|رمز|סיסמ|पासवर्ड|گذرواژه",
        (
            r"mật khẩu|khóa bí mật|kata sandi|รหัสผ่าน|κωδικ(?:ός|ος)(?: πρόσβασης)?"
            r"|كلمة (?:المرور|السر)|رمز الوصول|סיסמ[הא]|पासवर्ड|گذرواژه|رمز عبور",
        ),
        (),
        "không|sai|bắt|phải|đã|salah|tidak|wajib|harus|dan|atau",
    ),
)

_SUFFIX = (
    r"(?:[_\-]?(?:hash|digest|value|strings?|text|plain(?:text)?|raw|confirm(?:ation)?|again|repeat"
    r"|b64|base64|encoded|encrypted|old|new|current|previous|prod|dev|test|live|v\d)|[_\-]?\d{1,3}"
    r"|_(?:db|database|mysql|pg|postgres|redis|smtp|mail|ftp|sftp|ssh|api|admin|root|user))?"
)

# What makes a `key` a secret: any value at all, or one that looks random.
_STRONG_KEY = lazy(
    r"(?:api|access|private|account|signing|encryption|decryption|master|auth|licen[sc]e|deploy"
    r"|deployment|service|svc|confm|crtfc|cert|app|application|subscription|consumer|ttb|unseal|sas"
    r"|rapidapi|admin|activation|webhook|ingestion|instrumentation|hmac|wpa|wep|pre-?shared"
    r"|functions?|secret|authentication|authorization|open-?api|privileged?|wrapping"
    r"|super)[_\-. ]?\Z"
)
_ORDINARY_KEY = lazy(
    r"(?:public|primary|foreign|sort|cache|partition|routing|row|message|dedup|deduplication|group"
    r"|idempotency|hash|range|object|s3|blob|dict|lookup|index|unique|composite|natural|surrogate"
    r"|business|job|run|lock|task|event|order|item|file|config|setting|i18n|translation|redis|kafka"
    r"|record|shard|mon|tur|don|hot|short|key|mapping|join|candidate|alternate|map|bucket|storage"
    r"|column|field|data|entity|cooldown|alert|incident|issue|project|commit|correlation|trace"
    r"|source|target|parent|image|layer|artifact|state|host|page|the|a|no|by|for|of|with|this|any"
    r"|duplicate|missing|invalid|unknown|bad|wrong|state)[_\-. ]?\Z"
)
_PASS_OF = lazy(
    r"(?:[_.\-]|(?:auth|db|default|ftp|http|imap|pop3?|key|ldap|login|mail|mongo|my|mysql|pg|proxy"
    r"|redis|remote|require|root|site|smtp|ssh|store|sudo|user|account|admin|bind|become|client"
    r"|server|svn|host|rpc|wifi|vpn|api|git|sql|ora|oracle|sftp))\Z"
)
_PW_OF = lazy(
    r"(?:\A|[^a-z]|user|root|bind|db|admin|my|ftp|ldap|smtp|sql|olcroot|login|mail|owner|old|new)\Z"
)


class Found(NamedTuple):
    """A name in a text: the span of the word itself, and how much it gives away."""

    start: int
    end: int
    strong: bool
    word: str


@functools.cache
def english_hints() -> tuple[str, ...]:
    """Return the pieces of which an English name has one."""
    return tuple(ENGLISH.hints.split("|"))


@functools.cache
def other_hints() -> tuple[str, ...]:
    """Return the pieces of which a name of another language has one."""
    return tuple(sorted({piece for names in OTHER_LANGUAGES for piece in names.hints.split("|")}))


@functools.cache
def name_pattern(*, english_only: bool) -> re.Pattern[str]:
    """Compile the pattern of a name's word."""
    languages = (ENGLISH,) if english_only else (ENGLISH, *OTHER_LANGUAGES)
    # No group around the alternatives: the engine then skips what none of them begins with.
    # Strong ones first: `passwort` is more than a `pass`.
    strong = [name for names in languages for name in names.strong]
    return re.compile("|".join(strong + [name for names in languages for name in names.weak]))


@functools.cache
def _weak_pattern() -> re.Pattern[str]:
    return re.compile(
        "|".join(name for names in (ENGLISH, *OTHER_LANGUAGES) for name in names.weak)
    )


@functools.cache
def suffix_pattern() -> re.Pattern[str]:
    """Compile what may stand between a name's word and its end: `password_hash`, `token2`."""
    return re.compile(_SUFFIX)


@functools.cache
def prose() -> str:
    """Return the words that follow a name in a sentence, as one alternation."""
    words = (word for names in (ENGLISH, *OTHER_LANGUAGES) for word in names.prose.split("|"))
    return "|".join(dict.fromkeys(word for word in words if word))


def names_in(lowered: str, *, english_only: bool) -> Iterator[Found]:
    """Yield every name in a lower-cased text."""
    return _judged(name_pattern(english_only=english_only).finditer(lowered), lowered)


def english_names_in(text: ScannedText) -> Iterator[Found]:
    """Yield every English name in a text."""
    return _judged(_english_words(text), text.low)


def _english_words(text: ScannedText) -> Iterator[re.Match[str]]:
    """Find what `name_pattern` finds, looking only where a name may begin."""
    low = text.low
    places: set[int] = set()
    for begin in _english_begins():
        if " " in begin or begin in text.gist:
            places.update(places_of(begin, low))
    done, match_at = 0, name_pattern(english_only=True).match
    for at in sorted(places):
        if at >= done and (match := match_at(low, at)):
            yield match
            done = match.end()


@functools.cache
def _english_begins() -> tuple[str, ...]:
    return tuple(ENGLISH.begins.split("|"))


def _judged(matches: Iterator[re.Match[str]], lowered: str) -> Iterator[Found]:
    """Say of each name how much it gives away; leave out what is none where it stands."""
    suffix = suffix_pattern()
    for match in matches:
        word, start, end = match[0], match.start(), match.end()
        strong = _weak_pattern().fullmatch(word) is None
        if not strong and word in _QUALIFIED:
            before = lowered[max(0, start - 24) : start]
            verdict = _QUALIFIED[word](before)
            if verdict is None:
                continue
            strong = verdict
        if (tail := suffix.match(lowered, end)) is not None:
            end = tail.end()
        yield Found(start, end, strong, word)


def is_ordinary_key(before: str) -> bool:
    """Say whether a `key` with this before it is one of an index, a cache or a store."""
    return bool(_ORDINARY_KEY.search(before))


def _key(before: str) -> bool | None:
    """Judge a `key` by what it is the key of; None where it is no secret's name."""
    if _STRONG_KEY.search(before):
        return True
    return None if _ORDINARY_KEY.search(before) or not _IN_A_NAME.search(before) else False


def _pass(before: str) -> bool | None:
    if _PASS_OF.search(before):
        return True
    return None if before[-1:].isalnum() else False


def _pw(before: str) -> bool | None:
    return True if _PW_OF.search(before) else None


def _auth(before: str) -> bool | None:
    return None if before[-1:].isalnum() else False


_IN_A_NAME = lazy(r"(?!_)\w[_\-.]?\Z")
_QUALIFIED = {
    "key": _key,
    "pass": _pass,
    "pw": _pw,
    "auth": _auth,
    "sign": _auth,
    "sid": _auth,
}
