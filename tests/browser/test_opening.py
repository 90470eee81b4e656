"""A page that is opened loads little, and paints soon."""

import json

from swarmkeeper.http.web.files import web_files
from tests.browser.place import RealTown, drive

LOADED_BYTES = 60 * 1024  # packed, of all files of one page
FILES_BEFORE_PAINT = {"app.js", "runtime.js", "app.css"}
# Milliseconds of the processor in the page's main thread until the first paint, also if other programs have it, too.
COMPUTED_MS = 100


def places_of(place: RealTown, made: dict[str, str]) -> list[str]:
    """Return the address of each page, and of each part of a page that has one."""
    task = f"tasks/{made['final']}"
    return [
        "inbox",
        f"inbox?approval={place.open_approval(made['plan'])['id']}",
        f"inbox?row={made['stuck']}",
        "tasks",
        task,
        *(f"{task}?view={view}&subtask=draft" for view in ("graph", "table", "timeline")),
        *(f"{task}?tab={tab}" for tab in ("results", "events", "audit", "messages")),
        f"tasks/{made['big']}",
        *("bots", "queues", "evaluations", "costs", "audit", "audit?record=1", "simulate", "settings"),
        *(f"settings?part={part}" for part in ("keys", "persons", "limits", "stops", "redaction")),
    ]


def test_no_page_loads_more_than_60_kib_when_it_is_opened(shown: RealTown, shown_made: dict[str, str]) -> None:
    places = places_of(shown, shown_made)
    packed = {name: len(file.packed) for name, file in web_files().items()}

    loaded = json.loads(drive("loads_what_each_page_needs", shown, *places))

    assert list(loaded) == places
    # Who shows one page loads the worker with the stream of changes, too; the browser tells nobody that it does.
    sizes = {
        place: sum(packed[name or "index.html"] for name in {*names, "worker.js"}) for place, names in loaded.items()
    }
    assert {place: size for place, size in sizes.items() if size > LOADED_BYTES} == {}, sizes
    assert all("app.js" in names for names in loaded.values()), loaded
    # Each file belongs to some page, but for those that something other than a page asks for.
    seen = {name for names in loaded.values() for name in names}
    assert set(packed) - seen <= {"index.html", "worker.js", "palette.js", "icon.svg", "licences.txt"}
    print(sorted((size, place) for place, size in sizes.items()))


def test_the_first_paint_takes_three_files_and_little_of_the_processor(shown: RealTown) -> None:
    tries = json.loads(drive("paints_soon", shown))

    for each in tries:
        assert each["tasks"] > 20, "the browser traced nothing"
    best = min(tries, key=lambda each: each["computed"])
    print(min(each["by_clock"] for each in tries), "ms by the clock", best)
    assert {name.rpartition("/")[2] for name in best["before"]} >= FILES_BEFORE_PAINT
    files = [name for name in best["before"] if "/ui/" in name]
    assert {name.rpartition("/")[2] for name in files} <= {*FILES_BEFORE_PAINT, "icon.svg"}
    assert best["computed"] <= COMPUTED_MS, tries


def test_the_first_paint_waits_for_no_answer_of_the_api(shown: RealTown) -> None:
    drive("paints_without_an_answer", shown)
