"""`dev`: an orchestrator for this folder, with keys and sample bots, for the first steps."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarmkeeper import files
from swarmkeeper.cli.framework import connection, flags, running, terminal
from swarmkeeper.cli.framework.flags import AsJson, flag, setting
from swarmkeeper.cli.framework.terminal import Exit
from swarmkeeper.cli.serving import server
from swarmkeeper.cli.serving.sample_swarm import at_work, name_of, role_of
from swarmkeeper.devfolder import DEV_FILE, DEV_FOLDER

if TYPE_CHECKING:
    from swarmkeeper.app import Orchestrator
    from swarmkeeper.server import Served
    from swarmkeeper.settings import Settings


def dev(
    context: typer.Context,
    port: Annotated[str | None, setting("port", metavar="N")] = None,
    no_demo: Annotated[bool, flag("--no-demo", help="Do not start the sample bots.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the orchestrator for this folder, with keys and sample bots. The next `dev` continues from the same state.

    All data is kept in .swarmkeeper/, which Git ignores. Commands in this folder find the server and the key there.
    """
    folder = Path(DEV_FOLDER)
    found = flags.found(
        port=port, store=f"sqlite:///{folder / 'store.db'}", api_key_file=str(key_file(folder, "admin"))
    )
    settings = found.settings
    if found.explain("four_eyes")[0].source == "default":
        settings = replace(settings, four_eyes=False)  # one person, who has all keys
    server.warn_of_unread(context)
    if running.run_fast(_dev(folder, settings, with_bots=not no_demo, as_json=as_json)):
        terminal.stop(Exit.ERROR)


async def _dev(folder: Path, settings: Settings, *, with_bots: bool, as_json: bool) -> bool:
    from swarmkeeper.bots import review
    from swarmkeeper.sdk.errors import ApiError
    from swarmkeeper.server import serving

    try:
        prepare(folder)
        async with serving(settings, take_over_logs=True, keeps_pepper=settings.pepper_in_store) as served:
            admin, is_new = await kept_key(folder, served.swarm, "admin", "admin", None)
            bots = review.swarm() if with_bots else []
            keys = {
                name_of(bot): (await kept_key(folder, served.swarm, name_of(bot), role_of(bot), name_of(bot)))[0]
                for bot in bots
            }
            remember(folder, settings, served.url)
            async with at_work(served.url, bots, keys) as working:
                stopping = asyncio.ensure_future(server.until_stopped(served))
                # Signals must be handled before the address is printed: its reader may stop the server at once.
                await asyncio.sleep(0)
                link = f"{served.url}/ui/#t={await served.swarm.one_time_token(admin)}"
                _introduce(folder, served, admin if is_new else None, list(keys), link, as_json=as_json)
                await asyncio.wait([stopping, working] if bots else [stopping], return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
                if bots and working.done():
                    working.result()
            return served.swarm.ended.is_set()
    except* ApiError as errors:
        raise connection.refused(next(_leaves(errors)), settings) from None
    except* Exception as errors:
        raise running.of_store(next(_leaves(errors))) from None


def _leaves(group: BaseExceptionGroup[Any]) -> Any:
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from _leaves(error)
        else:
            yield error


def prepare(folder: Path) -> None:
    """Make the folder for the store and the keys, which Git ignores."""
    for made in (folder, folder / "keys"):
        files.folder(made)
    files.write(folder / ".gitignore", "# created by `swarmkeeper dev`; contains keys\n*\n")


def _sample(folder: Path) -> Path:
    """Write a task that the sample bots can do in any folder, even an empty one: the review of their own code."""
    from swarmkeeper.bots import review

    file = folder / "review.json"
    files.write(file, json.dumps(review.task(Path(review.__file__).parent), indent=2) + "\n")
    return file


def key_file(folder: Path, name: str) -> Path:
    """Return where the key with this name is kept."""
    return folder / "keys" / f"{name}.key"


async def kept_key(folder: Path, swarm: Orchestrator, name: str, role: str, bot: str | None) -> tuple[str, bool]:
    """Return the key kept under this name, and whether it is new; creates one if the store does not know it."""
    file = key_file(folder, name)
    kept = file.read_text(encoding="utf-8").strip() if file.exists() else ""
    if kept and await swarm.knows(kept):
        return kept, False
    text = await swarm.make_key(role, bot=bot)
    files.write(file, text + "\n")
    return text, True


def remember(folder: Path, settings: Settings, url: str) -> None:
    """Save server, store and key for commands in this folder."""
    kept = {"store": settings.store, "url": url, "api_key_file": settings.api_key_file}
    lines = ["# written by `swarmkeeper dev`", *(f"{name} = {json.dumps(value)}" for name, value in kept.items())]
    files.write(folder / DEV_FILE, "\n".join(lines) + "\n")


def _introduce(
    folder: Path, served: Served, new_key: str | None, bots: Sequence[str], link: str, *, as_json: bool
) -> None:
    admin_file = str(key_file(folder, "admin"))
    terminal.talk(f"listening on {served.url}")
    if as_json:
        answer: dict[str, Any] = {"url": served.url, "store": served.swarm.settings.store, "api_key_file": admin_file}
        if new_key is not None:
            answer["api_key"] = new_key
        terminal.say_json(answer | {"bots": list(bots), "resumed": new_key is None, "dashboard": link})
        return
    lines = [
        f"server   {served.url}",
        f"look     {link}   (signs in once, within a minute)",
        f"kept in  {folder}/ (ignored by Git)",
    ]
    if new_key is not None:
        days = served.swarm.settings.key_days
        lasts = f"expires in {days} days" if days else "does not expire"
        lines.append(f"key      {new_key}   (role admin; shown this once, kept in {admin_file}; {lasts})")
    else:
        lines.append(f"key      in {admin_file} (role admin)")
    if not served.swarm.settings.four_eyes:
        lines.append("review   for one person: a key may approve its own task (four_eyes is off)")
    if bots:
        lines.append(f"bots     {', '.join(bots)}")
    if bots:
        lines += ["", f"try      {running.program()} submit -f {_sample(folder)} --wait   in another terminal, here"]
    else:
        lines += ["", f"try      {running.program()} init   in another terminal, here: a sample bot, and how to run it"]
    terminal.say("\n".join(lines))
