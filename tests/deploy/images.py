"""Builds both images and runs them from their very files: `make images`, as root on Debian or Ubuntu.

Needs buildah, bubblewrap, util-linux and, without `--base`, mmdebstrap; so `make test` does not run it, the nightly
workflow does. buildah works in chroot isolation, which needs no daemon. Each container is a bubblewrap sandbox with the
image's files as a read-only root, without capabilities and privileges, as the user of the image, and as process 1. Not
covered is a container runtime's own set-up, such as seccomp and networks.
"""

import argparse
import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from swarmkeeper import __version__, sync
from tests.deploy.chart import environment, rendered

ROOT = Path(__file__).parents[2]
SUITE = "trixie"
PACKAGES = "python3,python3-venv,ca-certificates,passwd"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
USER = "10001:10001"
SECONDS_MAX = 60
TASK: dict[str, Any] = {
    "title": "Count",
    "input": {"texts": ["to be", "or not to be"]},
    "planner_skills": ["toy.plan"],
    "evaluator_skills": ["toy.judge"],
}
BOTS = ("planner", "executor", "evaluator")
# A place that a second sandbox can see, in place of the container's own /tmp.
HEALTH = {"SWARMKEEPER_HEALTH_FILE": "/run/health/now"}
# What a process of the container finds: prints a JSON object.
LOOK = """import json, os
status = dict(line.split(":\\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\\t" in line)
def writes(path):
    try: open(os.path.join(path, "probe"), "w").close()
    except OSError: return False
    return True
print(json.dumps({
    "uid": os.getuid(), "pid": os.getpid(),
    "cap": status["CapEff"], "bnd": status["CapBnd"], "nnp": status["NoNewPrivs"],
    "written": [path for path in ("/", "/opt/swarmkeeper", "/app", "/etc", "/tmp", "/data") if writes(path)],
}))
"""


class NotAsPromised(Exception):
    """An image does not do what the documents say."""


def expect(holds: object, what: str) -> None:
    if not holds:
        raise NotAsPromised(what)
    print(f"  ok: {what}", flush=True)


def output(*words: str | Path) -> str:
    return subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


# ---- building --------------------------------------------------------------------------------------------------------


def make_base(folder: Path) -> str:
    """Make an image of a minimal Debian with Python, which takes the place of BASE; return its name."""
    tar = folder / "base.tar"
    output("mmdebstrap", "--quiet", "--variant=apt", f"--include={PACKAGES}", SUITE, tar)
    container = output("buildah", "from", "scratch")
    try:
        output("buildah", "add", "-q", container, tar, "/")
        # Of this machine, which may be behind a proxy with a certificate of its own.
        output("buildah", "copy", "-q", container, CERTIFICATES, CERTIFICATES)
        output("buildah", "commit", "-q", container, "localhost/swarmkeeper-base")
    finally:
        output("buildah", "rm", container)
    return "localhost/swarmkeeper-base"


def build(target: str, base: str) -> str:
    """Build a target of the Dockerfile; return the image's name."""
    name = f"localhost/swarmkeeper-{target}"
    # The format of Docker has health checks, that of OCI has none.
    options = ["--isolation", "chroot", "--format", "docker", "--layers", "--build-arg", f"BASE={base}"]
    subprocess.run(["buildah", "bud", "-q", *options, "--target", target, "-t", name, ROOT], check=True)
    return name


@dataclass(frozen=True)
class Image:
    name: str
    root: Path  # its files, mounted
    config: Mapping[str, Any]

    @property
    def command(self) -> list[str]:
        return [*self.config["Entrypoint"], *self.config["Cmd"]]


@contextmanager
def mounted(name: str, folder: Path) -> Iterator[Image]:
    """Mount the image's files below `folder`, where every user may go."""
    config = json.loads(output("buildah", "inspect", "--type", "image", name))["Docker"]["config"]
    container = output("buildah", "from", name)
    root = folder / name.replace("/", "-")
    root.mkdir()
    try:
        output("mount", "--bind", output("buildah", "mount", container), root)
        try:
            yield Image(name, root, config)
        finally:
            output("umount", root)
    finally:
        output("buildah", "rm", container)


# ---- running ---------------------------------------------------------------------------------------------------------


@dataclass
class Container:
    """The image's command, or another, in a sandbox."""

    image: Image
    environment: Mapping[str, str] = field(default_factory=dict)
    binds: Sequence[tuple[str, Path, str]] = ()  # (--bind or --ro-bind, a place here, its place there)
    command: Sequence[str] | None = None
    pid: int = 0  # of its process 1, seen from here

    def __enter__(self) -> Self:
        user, group = self.image.config["User"].split(":")
        drop = ["setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--bounding-set=-all"]
        sandbox = ["bwrap", "--unshare-all", "--share-net", "--as-pid-1", "--die-with-parent", "--clearenv"]
        sandbox += ["--ro-bind", str(self.image.root), "/", "--proc", "/proc", "--dev", "/dev"]
        sandbox += ["--tmpfs", "/tmp", "--tmpfs", "/run"]  # in /run are places for volumes, which a runtime would make
        for kind, here, there in self.binds:
            sandbox += [kind, str(here), there]
        given = dict(line.split("=", 1) for line in self.image.config["Env"]) | dict(self.environment)
        for name, value in given.items():
            sandbox += ["--setenv", name, value]
        sandbox += ["--chdir", self.image.config["WorkingDir"]]
        told, tells = os.pipe()
        sandbox += ["--info-fd", str(tells), "--"]
        self.process = subprocess.Popen(
            [*drop, "--no-new-privs", *sandbox, *(self.command or self.image.command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=[tells],
        )
        os.close(tells)
        with os.fdopen(told) as info:
            self.pid = json.loads(info.read() or "{}").get("child-pid", 0)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def end(self) -> tuple[int, str]:
        """Wait for its end; return its exit code and what it wrote."""
        said = self.process.communicate(timeout=SECONDS_MAX)[0]
        return self.process.returncode, said

    def terminate(self) -> tuple[int, str, float]:
        """Stop it as `docker stop` does; return its exit code, what it wrote, and the seconds it took."""
        began = time.monotonic()
        os.kill(self.pid, 15)
        return *self.end(), time.monotonic() - began


def soon(is_so: Callable[[], bool], what: str, running: Container) -> None:
    until = time.monotonic() + SECONDS_MAX
    while not is_so():
        if time.monotonic() > until or running.process.poll() is not None:
            running.process.kill()
            raise NotAsPromised(f"within {SECONDS_MAX} s: {what}\n{running.end()[1]}")
        time.sleep(0.2)
    print(f"  ok: {what}", flush=True)


def private(folder: Path) -> Path:
    """Make a folder that only the image's user may use, as a volume."""
    folder.mkdir(mode=0o700)
    shutil.chown(folder, *map(int, USER.split(":")))
    return folder


# ---- what is promised ------------------------------------------------------------------------------------------------


def check_files(image: Image) -> None:
    expect(image.config["User"] == USER, f"it runs as {USER}, by number")
    expect(image.config["Labels"]["org.opencontainers.image.version"] == __version__, f"its label says {__version__}")
    expect(image.config["Healthcheck"]["Test"][0] == "CMD", "its health check needs no shell")
    with Container(image, command=["python", "-c", LOOK]) as looking:
        code, said = looking.end()
    expect(code == 0, f"Python runs: {said.strip()}")
    seen = json.loads(said)
    expect((seen["uid"], seen["pid"]) == (10001, 1), "process 1 is not root")
    expect(
        {int(seen["cap"], 16), int(seen["bnd"], 16)} == {0} and seen["nnp"] == "1", "it has no capability and gets none"
    )
    expect(seen["written"] == ["/tmp"], "with a read-only root, only /tmp can be written")
    own = its_own(image.root)
    expect(own == ["data"], f"with a writable root, its user could write to /{', /'.join(own)} only")


def its_own(root: Path) -> list[str]:
    """Return the files and folders of an image that its user could change, apart from places for everyone."""
    user, group = map(int, USER.split(":"))
    found = []
    for where, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(where, name)
            status = path.lstat()
            for_all = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
            if not path.is_symlink() and (status.st_uid == user or status.st_gid == group or for_all):
                found.append(str(path.relative_to(root)))
    return sorted(path for path in found if not path.startswith(("dev/", "proc/", "sys/")))


def check_swarm(orchestrator: Image, bot: Image, folder: Path) -> None:
    """Run a server as the chart does and three bots, a task through them, and stop all."""
    secrets, data = private(folder / "secrets"), private(folder / "data")
    with Container(orchestrator, command=["swarmkeeper", "key", "generate"]) as generating:
        key = generating.end()[1].strip()
    write_secret(secrets / "key", key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    # As the chart starts it, on a port of this machine.
    pod = rendered({}).orchestrator()["spec"]["containers"][0]
    settings = environment(pod) | {"SWARMKEEPER_PORT": port}
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["volumeMounts"]}
    binds = [("--bind", data, mounts["data"]), ("--ro-bind", secrets, mounts["first-key"])]
    command = [*orchestrator.config["Entrypoint"], *pod["args"]]

    def is_healthy() -> bool:
        with Container(orchestrator, settings, command=orchestrator.config["Healthcheck"]["Test"][1:]) as checking:
            return checking.end()[0] == 0

    expect(not is_healthy(), "without a server, the health check fails")
    url = f"http://127.0.0.1:{port}"
    with Container(orchestrator, settings, binds, command) as server:
        soon(is_healthy, "a server on an empty volume becomes healthy with no hand on it", server)
        with sync.Client(url, key) as client:
            task = run_task(orchestrator, bot, client, key, url, folder)
        code, said, seconds = server.terminate()
    expect(code == 0, f"SIGTERM ends the server with 0, after {seconds:.2f} s")
    expect(key.split("_")[2] not in said, "its log does not show the key")
    with Container(orchestrator, settings, binds, command) as server, sync.Client(url, key) as client:
        soon(is_healthy, "started again on the volume, it becomes healthy", server)
        expect(client.get(task).outcome == "accepted", "and has the task and the key")
        server.terminate()


def run_task(orchestrator: Image, bot: Image, client: sync.Client, key: str, url: str, folder: Path) -> str:
    """Make keys and run the bots as compose.yaml does, and a task through them; return its id."""
    services = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    keys = private(folder / "keys")
    program = ("--ro-bind", ROOT / "deploy" / "compose" / "make_keys.py", "/tmp/make_keys.py")
    making = ["python", "/tmp/make_keys.py", "/data", *services["keys"]["command"]]
    given = {"SWARMKEEPER_URL": url, "SWARMKEEPER_API_KEY": key}
    with Container(orchestrator, given, [("--bind", keys, "/data"), program], making) as made:
        code, said = made.end()
        expect(code == 0, f"keys are made: {said.split(chr(10))}")
    with ExitStack() as stack:
        bots: dict[str, Container] = {}
        for kind in BOTS:
            settings = services[kind]["environment"] | {"SWARMKEEPER_URL": url, **HEALTH}
            binds = [("--ro-bind", keys, "/run/keys"), ("--bind", private(folder / kind), "/run/health")]
            binds.append(("--ro-bind", ROOT / "examples", "/app"))
            command = [*bot.config["Entrypoint"], *services[kind]["command"]]
            bots[kind] = stack.enter_context(Container(bot, settings, binds, command))
        task = client.submit(TASK)
        soon(
            lambda: client.get(task.id).outcome is not None,
            "a task goes through a planner, an executor and an evaluator",
            bots["planner"],
        )
        expect(client.get(task.id).outcome == "accepted", "and is accepted")
        for kind, running in bots.items():
            expect(check_bot(bot, folder / kind) == 0, f"the {kind} is healthy")
            code, said, seconds = running.terminate()
            expect(code == 0, f"SIGTERM ends the {kind} with 0, after {seconds:.2f} s: {said.splitlines()[-1:]}")
            expect(check_bot(bot, folder / kind) == 1, "and without it, its check fails")
    return task.id


def check_bot(bot: Image, folder: Path) -> int:
    check = bot.config["Healthcheck"]["Test"][1:]
    with Container(bot, HEALTH, [("--ro-bind", folder, "/run/health")], check) as checking:
        return checking.end()[0]


def write_secret(file: Path, text: str) -> None:
    file.write_text(text + "\n", encoding="utf-8")
    file.chmod(0o400)
    shutil.chown(file, *map(int, USER.split(":")))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", help="the image to build on; by default a minimal Debian is made")
    given = parser.parse_args()
    # In /run: other users must be able to go there, and it is no place that is mounted without programs.
    with tempfile.TemporaryDirectory(dir="/run", prefix="swarmkeeper-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        base = given.base or make_base(folder)
        images = {
            target: stack.enter_context(mounted(build(target, base), folder)) for target in ("orchestrator", "bot")
        }
        for target, image in images.items():
            print(f"{target} on {base}:", flush=True)
            check_files(image)
        expect(
            not list(images["bot"].root.glob("opt/swarmkeeper/lib/python3*/site-packages/fastapi")),
            "the bot has no server",
        )
        print("a swarm:", flush=True)
        check_swarm(images["orchestrator"], images["bot"], folder)
    print("the images do what is promised")


if __name__ == "__main__":
    try:
        main()
    except NotAsPromised as error:
        sys.exit(f"not as promised: {error}")
