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
            "result": f"inbox?approval={place.open_approval(made['final'])['id']}",
            "cause": "inbox?row=no_capable_bot+swarmkeeper+bot+run+FILE+--skill+ocr",
            "errors": "inbox?row=failed+KeyError:+'total'+(at+parse.py:…)",
            "explained": f"inbox?row={made['stuck']}",
            "tasks": "tasks",
            "tasks-failed": "tasks?q=status:failed",
            "bots": f"bots?bot={place.admin.read('/bots')['items'][0]['id']}",
            "queues": "queues",
            "task": f"tasks/{made['final']}?subtask=draft",
            "timeline": f"tasks/{made['final']}?view=timeline&subtask=images",
            "results": f"tasks/{made['final']}?tab=results",
            "task-audit": f"tasks/{made['final']}?tab=audit",
            "stuck": f"tasks/{made['stuck']}",
            "failed": f"tasks/{made['failed']}",
            "big": f"tasks/{made['big']}",
            "audit": "audit",
            "record": "audit?record=12",
            "costs": "costs",
            "costs-by-bot": "costs?by=bot",
            "evaluations": "evaluations",
            "simulate": "simulate?faults=bot,net&seeds=20&report=1",
            "settings": "settings",
            "keys": "settings?part=keys",
            "redaction": "settings?part=redaction",
        }
        drive("makes_pictures", place, folder, *(f"{name}={where}" for name, where in shown.items()))
    print("\n".join(sorted(str(file) for file in Path(folder).glob("*.png"))))


if __name__ == "__main__":
    main(*sys.argv[1:])
