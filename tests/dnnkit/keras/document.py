"""The exclusions in docs/from-keras.md, made from the list: `python -m tests.dnnkit.keras.document` writes them."""

import re
from collections.abc import Sequence
from pathlib import Path

from tests.dnnkit.keras.calls import Call, calls

FILE = Path(__file__).parents[3] / "docs" / "from-keras.md"
BEGIN, END = "<!-- exclusions -->", "<!-- end of exclusions -->"


def excluded_table(all_calls: Sequence[Call]) -> str:
    """Return their number, then each with its reason."""
    excluded = [call for call in all_calls if call.reason]
    lines = [
        f"Of {len(all_calls)} calls, {len(all_calls) - len(excluded)} run as they stand; {len(excluded)} do not:",
        "",
        "| part | call | why, and what instead |",
        "| --- | --- | --- |",
        *(f"| {call.part} | `{call.code.replace('|', chr(92) + '|')}` | {call.reason} |" for call in excluded),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    text = FILE.read_text()
    made = f"{BEGIN}\n\n{excluded_table(calls())}\n\n{END}"
    FILE.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: made, text, flags=re.DOTALL))
