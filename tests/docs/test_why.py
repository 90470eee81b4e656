"""The guide "Why is it waiting?" lists every reason, in the order in which the program checks them."""

import re

from swarmkeeper.core.rules.explain import WaitingReason
from tests.docs.blocks import ROOT


def test_the_guide_has_a_row_for_each_reason_and_no_others() -> None:
    page = (ROOT / "docs/guides/why-is-it-waiting.md").read_text(encoding="utf-8")

    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", page, re.MULTILINE)

    assert [name for name, _, _ in rows] == [str(reason) for reason in WaitingReason]
