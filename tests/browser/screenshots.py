"""Makes pictures of each page, in both themes, wide and narrow: `make screenshots`. Look at them."""

import sys
from pathlib import Path

from tests.browser.place import drive, furnish, real_town


def main(folder: str) -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    with real_town() as place:
        made = furnish(place)
        approval = place.open_approval(made["plan"])["id"]
        shown = {
            "inbox": "inbox",
            "decision": f"inbox?approval={approval}",
            "tasks": "tasks",
            "tasks-failed": "tasks?q=status:failed",
            "bots": f"bots?bot={place.admin.read('/bots')['items'][0]['id']}",
            "queues": "queues",
            "task": f"tasks/{made['final']}?subtask=draft",
            "stuck": f"tasks/{made['stuck']}",
            "failed": f"tasks/{made['failed']}",
            "big": f"tasks/{made['big']}",
        }
        drive("makes_pictures", place, folder, *(f"{name}={where}" for name, where in shown.items()))
    print("\n".join(sorted(str(file) for file in Path(folder).glob("*.png"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
