"""Tells secrets from what only stands in their place: placeholders, references to a vault, code, words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import re2

from swarmkeeper.govern.redaction.names import SecretKind, kind_of, words

# What people write where a secret belongs, as part of any value.
_STANDS_FOR_ONE = re2.compile(  # RE2, because every candidate of every rule is searched for it
    r"[xX]{4,}|\*{3,}|\.\.\.|…|•{3,}|_{5,}|#{4,}|\?{3,}|0{14,}|1{14,}|^[-_.*#xX0]{3,}$|<[A-Za-z][^<>]*>|"
    r"(?i:ex[ae]mple|fake|place_?holder|redacted(?:[^:]|$)|[_ -]here$|dummy|insert[-_ ]|\bto-?do\b|fix-?me|"
    r"not-?a?-?real|(?:^|[_\W]|\\n)your[-_ ]?(?:[a-z]{1,12}[-_ ]?){0,3}?"
    r"(?:key|token|secret|password|pass|pw|id|value|sid|user|name|account|org)"
    r"(?:[^a-z]|$)|"
    r"(?:^|[_\W])my[-_ ](?:[a-z]{1,12}[-_ ]){0,2}(?:key|token|secret|password|pass|pw|value|username)(?:[^a-z]|$)|"
    r"(?:^|[-_])your[-_]|replace[-_ ]?(?:me|this|with)|(?:^|[-_])to[-_ ]?be[-_ ]|change[-_ ]?(?:me|this|it)[-_ ])"
)
_STANDS_FOR_LONG = re2.compile(r"[xX]{12,}|\*{8,}|\.\.\.|…|0{24,}|<[A-Za-z][^<>]*>|(?i:your[-_ ]|example|placeholder)")
_RUN = re2.compile(r"(?:[A-WYZa-wyz1-9+/_-]+[0-9xX]?){24,}")
_SHORT = 80
# References and templates: the whole value, or its beginning.
_REFERENCE = re.compile(
    r"\$[A-Za-z_{(\[]|\$\$?[0-9@*#]$|\$\{|\$\(|`|%[A-Za-z_][\w.]*%|%\(?[a-z_]*\)?[sdvqr]|%\{|\{\{|\{%|"
    r"\{ ?[\w.$!:-]* ?\}|<%|<[^<>]*>?$|"
    r"#\{|@@|@[\w.]+@$|:[a-z_]\w*$|\?$|\[[\w %$.\[\]'-]*\]?$|\(\w*\)?$|"
    r"(?:env|file|vault|ssm|arn|op|secretsmanager|secretref|keyring|sops|awssm|gcpsm|azurekv|akv|ref\+?[a-z]*|bws|doppler|"
    r"secrets?|kms|aws-sm|gsm|https?|ftp|s3|gs|urn|classpath|data)(?::|/{2})|ENC\[|!\w|__\w+__$|~/|\.{1,2}/|/(?:[\w.-]+/)+[\w.-]*$|"
    r"/[a-z]\w*$|[A-Za-z]:\\|\\\\"
)
_NOTHING = words("""
    null none nil true false str string bytes int integer bool boolean number object any void undefined unknown text
    varchar char uuid secretstr date required missing invalid wrong incorrect empty expired must is was not the a an
    please redacted hidden changed reset see same ask as in on or and if for to from with your my our their this that
    it has have should will can cannot may never always n/a na yes no ok optional default unset tbd todo valid strong
    weak encrypted stored protected provided given set here above below use used using login siehe voir ver via are be
    been being by new old current confirm again too also when where which who how why what one only must match matches
    field input password passwd pwd pass token secret key apikey username user admin_password changeme change_me value
    hash plain plaintext off on enabled disabled failed failure success ok error ask forgot inherit self this super
    guest changeit contraseña contrasena пароль パスワード 密码 密碼 비밀번호 passwort kennwort senha wachtwoord
    lösenord adgangskode passord
    salasana heslo jelszó hasło parola şifre clave geslo lozinka
    mindestens maximal minimum obligatoire obligatorio obligatoria requis expected got files systemd compat await
    new return const let var function lambda async typeof external internal public private protected static
    final bearer basic digest negotiate oauth oauth2 apikey token> |  > - -- -> => { [ ( } ] ) , ; : " '
    """)
_TYPE = re.compile(
    r"(?:(?:typing\.)?(?:Optional|Union|List|Dict|Annotated|Secret|Option|Maybe|Promise|Array|Map|Set|Vec|Result)[\[<]|"
    r"(?:str|string|String|bytes|Buffer|char|byte|int|SecretStr|SecureString|Text|NSString)(?:\[\]|[?!]|\b[ |*&]|\[)|"
    r"(?:VARCHAR|CHAR|TEXT|BLOB|BINARY|Column|Field|models|mapped_column|z|yup|t|Joi|prisma)[(.])"
)
# An expression: attributes and calls. Only of a value without quotes.
_ROOTS = words("""
    self this cls os process env environ config conf cfg settings setting secrets secret var local data module request
    req res response ctx context args opts options params user row session form state props app super window document
    import github inputs steps needs credentials environment system cypress kms crypto buffer getpass random_password
    flask django current_app vault ssm client server body payload json input lexer parser token tokens creds
    keyring account auth event e r c s t p u kwargs values store localstorage sessionstorage cookies headers model
    record item node string result output deno bun pulumi terraform sys rails aws azurerm each count path
    """)
_ATTRIBUTES = re.compile(r"([A-Za-z_$][\w$]*)(?:(?:\?\.|!?\.|->|::)[A-Za-z_$][\w$]*)+[\[(]?")
_CALL = re.compile(r"(?:new\s+|await\s+|\*|&)?[A-Za-z_$][\w$.:<>!?-]*[(\[]")
_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z_$]*")
# By RE2, which takes as long as the text is: callers choose the text, and could make `re` search for days.
_NAME_OR_LABEL = re2.compile(
    r"[a-z]+(?:[_.][a-z]+)+|[A-Z]+(?:_[A-Z]+)*|[a-z]+(?:[A-Z][a-z]+)+|(?:[A-Z]?[a-z]+[:?.!]?\s)+[A-Z]?[a-z]+[:?.!]?|[A-Z][a-z]+[:?.!]?|[a-z]{1,20}[:?.!]?"
)
_FROM_ELSEWHERE = re.compile(r"(?:process\.env|os\.environ|import\.meta|Cypress|secrets?\.|env\.)")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+(?:\(.*)?")
# A letter before a text in quotes that is empty; a command of PowerShell.
_BEFORE_QUOTES = re.compile(r"(?:[bruflenBRUFLEN@$]{1,2}|u8)#{0,2}")
_CMDLET = re.compile(r"(?:Read|Get|New|Import|Invoke|Select|Test|Set|ConvertTo|ConvertFrom|Unprotect)-[A-Z][A-Za-z]+")
# What a form or a check says about a password, in quotes.
_SAYS = re.compile(
    r"(?i)(?:is|are|must|should|can(?:not|'t)|please|enter|type|choose|invalid|incorrect|wrong|your|the|this|too|does|"
    r"passwords?|passphrases?|tokens?|secrets?|keys?)\s(?:[a-z']+\s){0,3}?(?:be|is|are|not|at|too|short|long|least|"
    r"required|invalid|incorrect|wrong|weak|match|contain|characters?|blank|empty|enter|password|passphrase|again)\b.*"
)
_LABELS = frozenset({"mot de passe", "mật khẩu", "kata sandi", "palavra-passe", "كلمة المرور", "คำรหัสผ่าน", "รหัสผ่าน"})
_ALPHABET = re.compile(r"(?i:abcdefghijklmnopqrstuvwxyz|0123456789|1234567890|[+/_=-])+")
_WORD_OR_NUMBER = re.compile("[a-z]*|[A-Z]?[a-z]+|[A-Z]+|[0-9]{1,8}|[vV][0-9]+")
_WORD_WITH_NUMBER = re.compile("[A-Z]?[a-z]*[0-9]{0,2}|[A-Z]+[0-9]{0,2}|[0-9]{1,8}|[vV][0-9]+")
_RESOURCE = re.compile("[a-z]{2,16}(?:-[0-9a-z]{1,10}){2,8}")
_RESOURCE_WORD = re.compile("(?<![0-9a-z])[a-z]{3,16}(?![0-9a-z])")
_PUBLIC = re.compile("age1[0-9a-z]{58}|npub1[0-9a-z]{58}")
_FILE = re.compile(r"(?:[\w.-]+/)+[\w.-]+\.[a-z]{2,4}")
_LONG_WORD = re.compile("[a-z]{20,64}")  # longer than words are
_SEQUENCE_MIN = 20  # people do choose 123456
# A tag of a field in Go: `json:"password"`.
_STRUCT_TAG = re.compile(r"[a-z]{2,16}:\\?\"[^\"]*")
_EAST_ASIAN_WORDS = re.compile("[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7af]{2}")
_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ][\d:.]+.*)?|[\d.,:%/-]+(?:ms|s|m|h|d|k|kb|mb|gb|px|%)?", re.IGNORECASE)
_TOKEN_LETTERS = re.compile(r"[0-9A-Za-z_.~+/=:|@%$!,{}*&#-]+")
_TRAILING = ".,;:)]}>"
_CRYPT = re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|apr1|argon2(?:id?|d)|pbkdf2[a-z0-9-]*|scrypt|krb5[a-z]+|bcrypt-sha256)\$")

NamedCheck = Callable[[str, str, bool], int | None]


def entropy(text: str) -> float:
    """Return the Shannon entropy, in bits per character."""
    size = len(text)
    return -sum(count / size * math.log2(count / size) for count in Counter(text).values())


def is_placeholder(value: str) -> bool:
    """Return whether a value of any form is written in place of a secret: `ghp_xxxx`, `your-token-here`."""
    if len(value) >= _SEQUENCE_MIN and len(set(value[-16:])) <= 1:
        return True
    if len(value) <= _SHORT:
        return _STANDS_FOR_ONE.search(value) is not None
    # By chance, a long key may contain `xxxx` or a word.
    return _STANDS_FOR_LONG.search(value) is not None and _RUN.search(value) is None


def stands_for_a_secret(value: str) -> bool:
    """Return whether this is written where a secret belongs, and is none: `xxxx`, `your-token-here`, `${TOKEN}`."""
    return is_placeholder(value) or (_REFERENCE.match(value) is not None and _CRYPT.match(value) is None)


def password(name: str, value: str, bare: bool) -> int | None:
    """A value that is a password by its name: anything but a placeholder, a reference, code or a word of a sentence."""
    kind = kind_of(name) if name else SecretKind.PASSWORD
    if kind is not SecretKind.PASSWORD:
        return None
    return _password(name, value, bare)


def secret(name: str, value: str, bare: bool) -> int | None:
    """A value that is a secret by its name, and looks made by a machine."""
    kind = kind_of(name) if name else SecretKind.SECRET
    if kind is None or kind is SecretKind.PASSWORD:
        return None
    shown = value.rstrip(_TRAILING) if bare else value.strip()
    if len(shown) < 8 or _is_none(name, shown, bare):
        return None
    if kind is SecretKind.SECRET and not bare and _is_long_word(shown):
        return len(value)
    if not _looks_made(shown):
        return None
    if kind is SecretKind.KEY and (not is_very_varied(shown) or _FILE.fullmatch(shown)):
        return None
    if _ALPHABET.fullmatch(shown) or (bare and _is_dotted_name(shown)):
        return None
    if _TOKEN_LETTERS.fullmatch(shown) is None and (bare or not _may_be_a_phrase(name)):
        return None
    return len(value) if not bare else len(shown)


def any_secret(name: str, value: str, bare: bool) -> int | None:
    """A password or another secret, as its name says."""
    return password(name, value, bare) or secret(name, value, bare)


def password_of_user(name: str, value: str, bare: bool) -> int | None:
    """A password beside its user, whose name is given: `test:test` is an example."""
    return None if name == value else _password("", value, bare)


def client_id(name: str, value: str, bare: bool) -> int | None:
    """The id of an application, if a machine made it: alone it opens nothing, but it goes with a secret."""
    del name, bare
    varied = (
        is_very_varied(value) and not _is_dotted_name(value) and len(value) >= 20 and not stands_for_a_secret(value)
    )
    return len(value) if varied else None


def varied_secret(name: str, value: str, bare: bool) -> int | None:
    """A secret in a sentence: its name says so, and its letters, too."""
    del bare
    varied = is_very_varied(value) and not is_placeholder(value) and not _is_dotted_name(value)
    return len(value) if varied and kind_of(name) is not None else None


def argument(name: str, value: str, bare: bool) -> int | None:
    """A password or secret in a list of arguments, where other words may follow, too."""
    kind = kind_of(name)
    if kind is SecretKind.PASSWORD:
        if re.fullmatch(r"[a-z]+(?:_[a-z]+)+", value) or _is_none(name, value, bare):
            return None
        return len(value) if prose(name, value, True) is not None else None
    return secret(name, value, bare)


def prose(name: str, value: str, bare: bool) -> int | None:
    """A password in a sentence: it must differ from a word, for `the password is required` is no secret."""
    shown = value.rstrip(_TRAILING + "?!" if not re.search(r"\d", value) else _TRAILING)
    if len(shown) < 4 or _is_none("", shown, bare) or _DATE.fullmatch(shown):
        return None
    if not bare:
        return len(value)
    if (kind_of(shown) is not None and not re.search(r"\d", shown)) or _EAST_ASIAN_WORDS.search(shown):
        return None
    is_word = re.fullmatch(r"[^\W\d_]?[^\W\d_A-Z]*(?:['’-][^\W\d_A-Z]+)*|[A-Z]+", shown) is not None
    return None if is_word or not re.search(r"[^\W_]", shown) else len(shown)


def _password(name: str, value: str, bare: bool) -> int | None:
    if bare and value.endswith(":"):
        return None
    if bare and name.lower() == "pass":
        return prose(name, value, bare)
    shown = value.rstrip(_TRAILING) if bare and not value.startswith(("$", "[redacted:")) else value
    if not shown.strip() or _is_none(name, shown, bare) or (bare and re.fullmatch(r"\d{1,2}", shown)):
        return None
    return len(shown)


def _is_none(name: str, value: str, bare: bool) -> bool:
    text = value.strip()
    lower = text.lower()
    if lower in _NOTHING or lower == name.lower() or stands_for_a_secret(text) or _TYPE.match(text):
        return True
    if is_sequence(text) or _STRUCT_TAG.match(text) or _PUBLIC.fullmatch(text):
        return True
    if not re.search(r"[^\W_]", text):
        return True
    if bare:
        return _is_code(text)
    if re.fullmatch(r"[A-Za-z_$][\w.$?]*\([^()]*\)|[a-z_]+(?:\??\.[a-zA-Z_]+){2,}(?: \?\? \w+)?", text):
        return True
    if _SAYS.fullmatch(text) or lower in _LABELS:
        return True
    # In quotes: the name of another value, or a label such as "Enter your password".
    if kind_of(text) is not None and _NAME_OR_LABEL.fullmatch(text) is not None:
        return True
    return lower.replace(" ", "_") == name.lower() or _FROM_ELSEWHERE.match(text) is not None


def _is_code(text: str) -> bool:
    if _BEFORE_QUOTES.fullmatch(text) or _CMDLET.fullmatch(text):
        return True
    if text.endswith((":", "++", "--", "+=")) or _CALL.match(text):
        return True
    if text.startswith("[") and not text.startswith("[redacted:"):
        return True
    if re.match(r":[A-Za-z_]\w*[(:]", text):
        return True
    if text.startswith(("{", "(", "|", ">", "!", "<", "//", "--", "&&", "||", "=")):
        return True
    attributes = _ATTRIBUTES.match(text)
    if attributes is not None:
        parts = re.split(r"\W+", text)
        if any(is_very_varied(part) for part in parts):
            return False
        if attributes[1].lower() in _ROOTS or any(kind_of(part) for part in parts[1:]):
            return True
    # Another variable: `password=db_password`, `token: accessToken`.
    return _IDENTIFIER.fullmatch(text) is not None and kind_of(text) is not None


def _looks_made(text: str) -> bool:
    letters = any(letter.isalpha() for letter in text)
    digits = any(letter.isdigit() for letter in text)
    if _DATE.fullmatch(text):
        return False
    if letters and digits:
        return True
    # Letters alone: a machine mixes capitals among them.
    turns = sum(one.isupper() != other.isupper() for one, other in pairwise(text))
    return letters and entropy(text) >= 3.7 and 3 * turns >= len(text) and not re.search(r"[\s.()]", text)


def _is_long_word(text: str) -> bool:
    return _LONG_WORD.fullmatch(text) is not None and kind_of(text) is None and entropy(text) >= 3


def is_very_varied(text: str) -> bool:
    """Return whether only a machine makes such a text: long, of letters and digits, each as likely as the next."""
    if len(text) < 16 or " " in text or _UUID.fullmatch(text):
        return False
    parts = re.split(r"[-_.:/@,={}]", text)
    words_and_numbers = _WORD_OR_NUMBER if len(parts) == 1 else _WORD_WITH_NUMBER
    if all(words_and_numbers.fullmatch(part) for part in parts) or is_sequence(text) or _is_resource_name(text):
        return False
    return (
        re.search(r"\d", text) is not None
        and re.search("[A-Za-z]", text) is not None
        and entropy(text) >= (3 if len(text) < 20 else 3.2)
    )


def _is_resource_name(text: str) -> bool:
    """Return whether this is a name as Kubernetes makes them: words, and then parts of up to ten letters and digits."""
    return _RESOURCE.fullmatch(text) is not None and len(_RESOURCE_WORD.findall(text)) >= 2


def is_sequence(text: str) -> bool:
    """Return whether nearly each letter follows the one before it, as in `abcdefgh…` and `12345678…`, or repeats it."""
    if len(text) < _SEQUENCE_MIN:
        return False
    steps = [ord(after) - ord(before) for before, after in pairwise(text.lower())]
    return max(steps.count(1), steps.count(0), steps.count(-1)) >= 0.8 * len(steps)


def _is_dotted_name(text: str) -> bool:
    """Return whether this is a name of code, such as `self.token_of_utf8`; in a token, a part looks made."""
    if _DOTTED.fullmatch(text) is None:
        return False
    return not any(len(re.findall(r"\d+", part)) > 2 and is_very_varied(part) for part in re.split(r"\W+", text))


def _may_be_a_phrase(name: str) -> bool:
    return re.search(r"(?i)secret|salt|credential|private", name) is not None
