"""What a built wheel holds and says of itself."""

import csv
import email.message
import email.parser
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv-uv" / "bin" / "uv"


@dataclass(frozen=True)
class Wheel:
    """A wheel file."""

    path: Path

    @property
    def names(self) -> list[str]:
        """Return the names of its files, without those that describe the wheel."""
        with zipfile.ZipFile(self.path) as file:
            return [name for name in file.namelist() if ".dist-info/" not in name and not name.endswith("/")]

    @property
    def recorded(self) -> list[str]:
        """Return the names that its RECORD lists, in order."""
        return [row[0] for row in csv.reader(self._described("RECORD").splitlines())]

    @property
    def metadata(self) -> email.message.Message:
        return email.parser.Parser().parsestr(self._described("METADATA"))

    @property
    def needs(self) -> set[str]:
        """Return its requirements, without those of extras."""
        return {str(need) for need in self.metadata.get_all("Requires-Dist", []) if "extra ==" not in str(need)}

    def _described(self, file: str) -> str:
        with zipfile.ZipFile(self.path) as whole:
            (name,) = [name for name in whole.namelist() if name.endswith(f".dist-info/{file}")]
            return whole.read(name).decode()


def sdk_and_server(folder: Path) -> tuple[Wheel, Wheel]:
    """Return the wheels of swarmkeeper-sdk and of swarmkeeper in `folder`."""
    (sdk,) = folder.glob("swarmkeeper_sdk-*.whl")
    (server,) = folder.glob("swarmkeeper-*.whl")
    return Wheel(sdk), Wheel(server)
