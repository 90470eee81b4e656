"""Decides by its name whether a value is a secret: `db_password` names one, `password_field` and `tokenizer` do not.

A name is cut into words (`nextPageToken`: next, page, token). One word must be that of a secret, and no other word may
say that the name is about something else: its number, its place, its page.
"""

from __future__ import annotations

import enum
import re
from functools import lru_cache


def words(text: str) -> frozenset[str]:
    """Return the words of a list that is written as text."""
    return frozenset(text.split())


class SecretKind(enum.Enum):
    PASSWORD = "password"  # people choose it, so any value may be one
    SECRET = "secret"  # a machine makes it, so it looks made
    KEY = "key"  # only `key`, or a plural: it must look very much so


_PASSWORDS = words("""
    password passwd passwrd passphrase passcode passwort kennwort passkey pwd pw pass passw pswd psw pword pwrd
    requirepass masterauth bindpw rootpw psk storepass keypass userpw adminpw mdp userpwd dbpwd dbpw pgpassword
    sshpass community wpapsk
    """)
# The end of a word written in one: `dbpassword`, `ROOTPASSWD`.
_PASSWORD_ENDS = ("password", "passwd", "passphrase", "passwort", "kennwort", "passcode")
_GLUED = re.compile(
    r"(?:db|user|my|ftp|sftp|smtp|imap|root|admin|sudo|mail|email|ldap|redis|mysql|pg|sql|ssh|login|become|auth|proxy|"
    r"http|rpc|bind|key|store|cert|vnc|wifi|wpa|net|app|api|svc|service|master|old|new|repo|git|docker|nexus)"
    r"(?:pass|pwd|pw|pswd)"
)
_SECRETS = words(
    "secret token apikey apitoken apisecret authtoken accesstoken secretkey clientsecret credential creds cred "
    "appsecret appkey authkey salt pepper mnemonic jwt pat webhook accesskey privatekey signingkey encryptionkey "
    "bearer masterkey seckey sharedsecret totp"
)
_SECRET_ENDS = ("secret", "token", "apikey", "secretkey", "accesskey", "privatekey")
# What makes a `key` a secret one.
_KEY_KINDS = words("""
    api access secret private signing sign signature encryption encrypt decryption decrypt master auth account shared
    storage license service session app application client consumer webhook deploy integration subscription admin write
    read function functions host hmac aes rsa ecdsa ed25519 jwt cookie bot server ingest ingestion priv personal user
    dev developer ssh tls ssl pem validation crypto cipher instrumentation management rest sdk preshared unseal
    recovery rapid
    """)
_NO_KEYS = words("""
    public pub primary foreign partition sort cache idempotency routing message object row unique composite index lookup
    map dict json yaml i18n translation locale label answer sorting group grouping hash range dedup deduplication
    registry reg press down up shift ctrl alt enter arrow hot short keyboard on event feature flag context storage-name
    shard bucket s3 file image query search sql order column field data config setting metric trace property entity kv
    issue project jira item param attribute record state react list node publishable site business natural surrogate
    join parent child source target secondary tertiary socket gpg pgp
    """)
# Words after the secret's that say the name is about something else.
_ABOUT = words("""
    name names id ids file files filename path paths dir folder url uri urls link links endpoint host port type types
    kind count counts counter len length min max minimum maximum size limit limits field fields input inputs label
    labels hint hints placeholder expiry expires expire expired expiration exp ttl lifetime policy policies arn ref
    refs reference version versions at on by date time timestamp days hours seconds age attempts attempt retries
    required enabled disabled changed strength rule rules format header headers prefix suffix column table list store
    storage manager provider providers service class map index symbols symbol budget bucket usage window regex pattern
    validator validation algorithm alg algo method methods scope scopes audience issuer location source generator
    factory parser request response handler selector element box form page pages button message messages error errors
    valid invalid match matches ring chain pair spec template cache hook event events status state states action mode
    flag alias region zone namespace mount owner group role user users username email description desc comment title
    note notes docs help tooltip autocomplete param params parameter variable var arg args properties property schema
    model entity controller component view dialog modal screen icon visible visibility hidden shown toggle
    requirement requirements complexity history rotation rotated created updated last next fingerprint checksum digest
    thumbprint encoding charset separator delimiter position offset span stream iterator metrics rate rates per
    encryption hashing authentication
    review exists missing set manage management mapping layer renderer helper util utils test tests spec interceptor
    guard middleware filter listener callback plugin module package cli command commands tool login signup register
    exchange grant grants introspection revocation info details metadata stats total sum price cost costs used left
    remaining available stdin prompt question env created
    vesting sale contract swap decimals supply balance encode decode get strip split replace startswith
    endswith join lower upper append pop trim slice substring tolowercase equals compare includes
    """)
# Words before it that do.
_OTHERWISE = words("""
    next page pages previous prev continuation continue pagination paging max min num number total prompt completion
    pad eos bos sep cls mask unk special stop has is show hide use uses require requires forgot forget reset validate
    valid check change update design css syntax lexer cancellation cancel no without missing invalid wrong get fetch
    on handle toggle enable disable public publishable pub count sync resume cursor scroll xsrf csrf anti forgery
    antiforgery input output special eof eol string number identifier keyword generate create delete revoke
    list rotate verify encode decode parse read hash hashed encrypted should can will did secretary tokenizer existing
    """)
_NAME_MAX = 256  # a longer text is no name, and must not be remembered
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
# What grep writes before a line: the file, and the number of the line.
_PLACE = re.compile(r"^[^:]*\.[A-Za-z0-9]{1,8}:[0-9]{1,7}:(?:[0-9]{1,5}:)?(?=[^:]+$)")
_PLURALS = {"tokens": "token", "secrets": "secret", "credentials": "credential", "passwords": "password", "keys": "key"}


def kind_of(name: str) -> SecretKind | None:
    """Return what kind of secret a value of this name is; None: it is none."""
    return _kind_of(name) if len(name) <= _NAME_MAX else None


@lru_cache(maxsize=4_096)
def _kind_of(name: str) -> SecretKind | None:
    name = _PLACE.sub("", name)
    if name.count(":") > 1:
        return None  # a path, such as arn:aws:secretsmanager:eu-west-1:1:secret
    parts = [word.lower() for word in _WORD.findall(name)]
    found: SecretKind | None = None
    at = -1
    for place in range(len(parts)):
        kind = _kind_of_word(parts, place)
        if kind is not None:
            found, at = kind, place
    if found is None:
        return None
    if any(word in _ABOUT for word in parts[at + 1 :]):
        return None
    if found is not SecretKind.PASSWORD and "hash" in parts[at + 1 :]:
        return None  # what is left of a secret; of a password, it can be guessed from
    before = parts[:at]
    if before and found is not SecretKind.PASSWORD and any(word in _OTHERWISE for word in before):
        return None
    if before and before[0] in _OTHERWISE:
        return None
    return found


def _kind_of_word(parts: list[str], at: int) -> SecretKind | None:
    word = parts[at]
    plural = _PLURALS.get(word)
    single = plural or word
    if single in _PASSWORDS or single.endswith(_PASSWORD_ENDS) or _GLUED.fullmatch(single):
        return SecretKind.PASSWORD
    if word == "phrase" and at and parts[at - 1] in ("pass", "seed", "secret"):
        return SecretKind.PASSWORD
    if single in _SECRETS or (single.endswith(_SECRET_ENDS) and single != "jsonwebtoken"):
        return SecretKind.KEY if plural in ("token", "key") else SecretKind.SECRET
    if single == "key":
        before = parts[at - 1] if at else ""
        if plural is None and before in _KEY_KINDS:
            return SecretKind.SECRET
        return None if before in _NO_KEYS else SecretKind.KEY
    return None
