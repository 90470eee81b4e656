"""Makes proofs of audit records as our own server gives them, for the tests of the dashboard's own check:

python -m tests.browser.proofs > dashboard/test/proofs.json
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from swarmkeeper.transparency import notes
from tests.http.town import Town, town

NAME = "swarm.example.org"


def write_key(folder: Path) -> Path:
    """Write a key that signs the log, always the same."""
    file = folder / "audit.key"
    file.write_text(notes.new_key(NAME, bytes(range(32))).secret() + "\n", encoding="utf-8")
    file.chmod(0o600)
    return file


def sign(place: Town) -> None:
    """Let the server sign all records that there are."""

    async def signed() -> None:
        assert place.swarm._signer is not None
        while await place.swarm._signer.sign_all():
            pass

    place.run(signed())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, town(audit_key_file=str(write_key(Path(folder)))) as place:
        for number in range(5):
            place.submit(title=f"task {number} für naïve 🐝", labels={"password": "hunter2-hunter2"})
        place.advance(2)
        sign(place)
        size = int(place.admin.get("/audit/checkpoint").body.split(b"\n")[1])
        records = place.admin.read(f"/audit?page_size={size}")["items"]
        made: dict[str, Any] = {
            "tenant": "default",
            "checkpoint": place.admin.get("/audit/checkpoint").body.decode(),
            "keys": place.admin.read("/audit/log")["keys"],
            "records": records,
            "proofs": [place.admin.get(f"/audit/{index}/proof").body.decode() for index in range(size)],
        }
    json.dump(made, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
