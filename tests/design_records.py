"""The index of docs/design: number, decision and status of each record. `python -m tests.design_records` writes it."""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "docs" / "design"
FILE = FOLDER / "README.md"
STATUSES = ("accepted", "superseded by [")

INTRODUCTION = """# Design records

Each record is a decision that a reader may question: the context, what was decided, what was measured, and what was
rejected. Figures are of the time of the record; [speed.md](../speed.md) has current ones. "Amended by" names a later
record that changed a part.

To add one: `NNNN-a-few-words.md` with the next number, a title `# NNNN: What was decided`, a line `Status: accepted.`,
and sections Context, Decision, Measurements or Consequences, Rejected, Not done, as far as there is something to say.
A record that changes another one says so in its status, and the other one names it. `python -m tests.design_records`
writes the table below from titles and status lines.

| record | decision | status |
| --- | --- | --- |
"""


@dataclass(frozen=True)
class Record:
    """A design record, as its first lines describe it."""

    file: Path
    title: str
    status: str

    @property
    def number(self) -> str:
        """The first four digits of the file name."""
        return self.file.name[:4]

    @property
    def state(self) -> str:
        """The first clause of the status, such as "accepted, amended by [0046](0046-graphs-on-a-gpu.md)"."""
        return re.split(r"[.;:](?:\s|$)| \(", self.status, maxsplit=1)[0]


def records() -> list[Record]:
    """All records, in the order of their numbers."""
    return [_read(file) for file in sorted(FOLDER.glob("[0-9]*.md"))]


def index() -> str:
    """Return the text of docs/design/README.md."""
    rows = [f"| [{record.number}]({record.file.name}) | {record.title} | {record.state} |\n" for record in records()]
    return INTRODUCTION + "".join(rows)


def _read(file: Path) -> Record:
    head = re.match(rf"# {file.name[:4]}: (.+)\n\nStatus: (.+(?:\n.+)*)", file.read_text())
    assert head, f"{file.name}: expected a title '# NNNN: Decision', an empty line, and 'Status: accepted.'"
    return Record(file, head[1], " ".join(head[2].split()))


if __name__ == "__main__":
    FILE.write_text(index())
