"""What redaction costs with the whole shipped pack, decoded views too, for each kind of text, in processor time per KB.

    python benchmarks/redaction_cost.py [--kilobytes 4 --rounds 40] [--known 5000] [--rules FILE ...]

Beside it stands what it costs when as many secrets were released as a tenant may have, and what the cheapest thing
costs that any redaction must do: to look once for the keywords of all rules.
The texts hold no secret, as nearly all evidence does not; `words` and `logs` are full of words that rules go by.
"""

import argparse
import base64
import hashlib
import json
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import re2

from swarmkeeper.govern.known_values import NOTHING, VALUES_MAX, Known, KnownValues
from swarmkeeper.govern.redaction.redactor import Redactor, shipped_rules
from swarmkeeper.rulefiles import load

_WORDS = [
    "the",
    "of",
    "task",
    "result",
    "was",
    "found",
    "in",
    "and",
    "report",
    "file",
    "with",
    "no",
    "when",
    "bot",
    "work",
    "plan",
    "review",
    "that",
    "error",
    "server",
    "made",
    "change",
    "list",
    "number",
    "first",
    "second",
    "because",
    "should",
    "other",
    "value",
    "data",
    "line",
]
_NAMES = [
    "Abstract",
    "Singleton",
    "Proxy",
    "Factory",
    "Bean",
    "Http",
    "Request",
    "Handler",
    "Mapping",
    "Resource",
    "Loader",
    "Context",
    "Application",
    "Listener",
    "Manager",
    "Default",
    "Simple",
    "Async",
    "Thread",
    "Pool",
    "Executor",
    "Service",
    "Configuration",
]


def _repeated(size: int, make: Callable[[random.Random, int], str], between: str) -> str:
    chance = random.Random(1)
    pieces: list[str] = []
    length = 0
    while length < size:
        pieces.append(make(chance, len(pieces)))
        length += len(pieces[-1].encode()) + len(between)
    return between.join(pieces)


def _prose(chance: random.Random, at: int) -> str:
    return chance.choice(_WORDS)


def _camel(chance: random.Random, at: int) -> str:
    return "".join(chance.choices(_NAMES, k=chance.randint(2, 4))) + chance.choice(["", "(", ".", "();"])


def _json(chance: random.Random, at: int) -> str:
    digest = hashlib.sha256(str(at).encode()).hexdigest()
    path = f"/a/{chance.choice(_WORDS)}/{chance.choice(_WORDS)}"
    return json.dumps({"id": at, "name": chance.choice(_WORDS), "path": path, "sha256": digest, "ok": True})


def _base64(chance: random.Random, at: int) -> str:
    return base64.b64encode(chance.randbytes(300)).decode()


def _log(chance: random.Random, at: int) -> str:
    request = hashlib.sha256(str(at).encode()).hexdigest()[:32]
    return (
        f"2026-11-22T07:50:{at % 60:02}.123456Z INFO http.server request_id={request} "
        f"GET https://api.example.com/v1/tasks/tsk_01J8ZK3V9Q7XWTNB6M4CFGHRD2?page={at} 200 {at * 7}ms ServerPool"
    )


def _suspicious(chance: random.Random, at: int) -> str:
    return f"token count: {at}, basic idea of cookies; secret santa, aws, see https://docs.example.com/Guide"


def _escapes(chance: random.Random, at: int) -> str:
    return f"/a%20b?q={chance.choice(_WORDS)}%2C{chance.choice(_WORDS)} then \\u00fc {chance.choice(_WORDS)}"


def _unicode(chance: random.Random, at: int) -> str:
    return chance.choice(["größe", "数据处理", "Zusammenfassung", "für", "été"])


TEXTS: Mapping[str, Callable[[int], str]] = {
    "prose": lambda size: _repeated(size, _prose, " "),
    "camel": lambda size: _repeated(size, _camel, " "),
    "json": lambda size: _repeated(size, _json, "\n"),
    "base64": lambda size: _repeated(size, _base64, "\n"),
    "logs": lambda size: _repeated(size, _log, "\n"),
    "words": lambda size: _repeated(size, _suspicious, "\n"),
    "escapes": lambda size: _repeated(size, _escapes, "\n"),
    "unicode": lambda size: _repeated(size, _unicode, " "),
}


@dataclass(frozen=True, slots=True)
class Cost:
    redaction: float  # microseconds of processor time for each KB
    knowing: float  # the same, when values are known
    keywords: float


def known_values(count: int, *, short: bool = False) -> KnownValues:
    """Return values such as servers make, of 24 to 64 characters; if some are `short`, each tenth has ten."""
    chance, known = random.Random(2), KnownValues()
    sizes = [7 if short and at % 10 == 0 else chance.randint(18, 48) for at in range(count)]
    known.add(base64.urlsafe_b64encode(chance.randbytes(size)).decode().rstrip("=") for size in sizes)
    return known


def measure(redactor: Redactor, text: str, *, rounds: int, known: Known = NOTHING) -> Cost:
    """The best of the rounds: neighbours on the same cores only ever make things slower."""
    words = sorted({word for rule in shipped_rules().detectors for word in rule.keywords})
    scan = re2.compile("(?i)" + "|".join(re2.escape(word) for word in words))
    data = text.encode()

    def look() -> None:
        for _ in scan.finditer(data):
            pass

    def redact(known: Known) -> None:
        redactor.redact({"text": text}, known=known)

    kilobytes = len(data) / 1024
    costs = [(_once(lambda: redact(NOTHING)), _once(lambda: redact(known)), _once(look)) for _ in range(rounds)]
    redaction, knowing, keywords = (min(each) / kilobytes for each in zip(*costs, strict=True))
    return Cost(redaction, knowing, keywords)


def _once(work: Callable[[], None]) -> float:
    began = time.process_time_ns()
    work()
    return (time.process_time_ns() - began) / 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kilobytes", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--known", type=int, default=VALUES_MAX)
    parser.add_argument("--rules", action="append", default=[], metavar="FILE")
    options = parser.parse_args()
    redactor = load(options.rules)
    known = known_values(options.known)
    print(f"{'text':10} {'redaction':>12} {f'{options.known} known':>12} {'keywords':>12}   us/KB")
    for name, make in TEXTS.items():
        cost = measure(redactor, make(options.kilobytes * 1024), rounds=options.rounds, known=known)
        print(f"{name:10} {cost.redaction:12.1f} {cost.knowing:12.1f} {cost.keywords:12.2f}")


if __name__ == "__main__":
    main()
