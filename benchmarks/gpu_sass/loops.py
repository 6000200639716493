"""Loops in GPU machine code (SASS), from the output of nvdisasm.

For each loop, per iteration of one thread:
- instructions: on the longest path through it, without branches that call a subroutine (the slow case of a division
or
  a root, which is rarely taken) and without inner loops;
- bytes in flight: the maximum that loads have requested from global memory before the first instruction that needs
one;
- accesses to global and shared memory, by their width in bytes.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

SECTION = re.compile(r"^\.text\.(\w+):", re.MULTILINE)
LINE = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@(!?U?P\w+)\s+)?([\w.]+)\s*(.*?)\s*;", re.MULTILINE)
TOKEN = re.compile(r"^(\.L_x_\d+):|^\s+/\*[0-9a-f]{4,}\*/.*$|^(\$\w+):", re.MULTILINE)
TARGET = re.compile(r"`\((\.L_x_\d+)\)")
REGISTER = re.compile(r"\bR(\d+)\b")
WIDTHS = {"128": 16, "64": 8, "U8": 1, "S8": 1, "U16": 2, "S16": 2}


@dataclass(frozen=True)
class Instruction:
    """One line: `@guard opcode operands`."""

    guard: str
    opcode: str
    operands: str

    @property
    def name(self) -> str:
        """The opcode without its modifiers."""
        return self.opcode.split(".")[0]

    @property
    def width(self) -> int:
        """Return the bytes that a load or store moves for one thread."""
        return next((WIDTHS[part] for part in self.opcode.split(".") if part in WIDTHS), 4)

    @property
    def target(self) -> str | None:
        """Return the label of a possible jump."""
        found = TARGET.search(self.operands)
        return found[1] if found else None

    def reads(self, register: int) -> bool:
        """Return whether it reads the register, or one of the aligned group of four that wide operands name once."""
        named = [int(each) for each in REGISTER.findall(self.operands)]
        if self.name not in ("STG", "LDG", "LDS", "ST", "BRA", "EXIT"):
            named = named[1:]
        return any(first <= register < first + (4 if self.name == "STG" else 1) for first in named)


@dataclass(frozen=True)
class Loop:
    """Blocks of a loop in the order of addresses, without those of inner loops."""

    instructions: int
    in_flight: int
    accesses: tuple[tuple[str, int, int], ...]
    opcodes: frozenset[str]
    blocks: frozenset[int]
    address: int

    def count(self, name: str, width: int | None = None) -> int:
        """Return the number of instructions with this name, such as LDG, of that many bytes if given."""
        return sum(count for each, size, count in self.accesses if each == name and width in (None, size))


class Kernel:
    """Instructions and control flow of one kernel."""

    def __init__(self, text: str) -> None:
        self.code: list[Instruction] = []
        labels: dict[str, int] = {}
        for token in TOKEN.finditer(text):
            if token[2]:  # subroutines follow
                break
            if token[1]:
                labels[token[1]] = len(self.code)
            elif line := LINE.match(token[0]):
                self.code.append(Instruction(line[2] or "", line[3], line[4]))
        self._labels = labels

    @cached_property
    def blocks(self) -> list[tuple[int, int]]:
        """Return [first, last) of each block."""
        ends = {0, len(self.code), *(place for place in self._labels.values() if place < len(self.code))}
        ends |= {i + 1 for i, each in enumerate(self.code) if each.name in ("BRA", "EXIT", "BSYNC", "RET", "CALL")}
        marks = sorted(end for end in ends if end <= len(self.code))
        return list(pairwise(marks))

    @cached_property
    def follows(self) -> dict[int, list[int]]:
        """Return the possible successors of each block."""
        number = {first: block for block, (first, _) in enumerate(self.blocks)}
        found: dict[int, list[int]] = {}
        for block, (_, end) in enumerate(self.blocks):
            last, to = self.code[end - 1], []
            if last.name == "BRA" and last.target is not None:
                to.append(number[self._labels[last.target]])
            conditional = bool(last.guard) or last.opcode.startswith("BRA.") or "P" in last.operands.split("`")[0]
            goes_on = last.name not in ("BRA", "EXIT", "RET") or conditional
            if goes_on and end in number:
                to.append(number[end])
            found[block] = to
        return found

    def loops(self, without: str = "") -> Iterator[Loop]:
        """Yield the loops, by their back edges; blocks that contain `without` are skipped."""
        bodies = [
            (head, self._body(head, tail)) for tail, after in self.follows.items() for head in after if head <= tail
        ]
        for head, body in bodies:
            inner = [other for first, other in bodies if other < body and first != head]
            own = body - frozenset().union(*inner)
            yield self._loop(head, body, own, without)

    def _body(self, head: int, tail: int) -> frozenset[int]:
        before: dict[int, list[int]] = {}
        for block, after in self.follows.items():
            for each in after:
                before.setdefault(each, []).append(block)
        body, waiting = {head, tail}, [tail] if tail != head else []
        while waiting:
            for each in before.get(waiting.pop(), []):
                if each not in body and each >= head:
                    body.add(each)
                    waiting.append(each)
        return frozenset(body)

    def _loop(self, head: int, body: frozenset[int], own: frozenset[int], without: str) -> Loop:
        slow = {block for block in own if any(each.name == "CALL" for each in self._of(block))}
        closed = {block for block in own if without and any(without in each.operands for each in self._of(block))}
        counted = own - slow
        longest: dict[int, tuple[int, list[int]]] = {}
        longest[head] = (0, [])
        for block in sorted(body - closed):  # forward edges go to larger addresses
            if block not in longest:
                continue
            length, way = longest[block]
            if block in counted:
                length, way = length + len(self._of(block)), [*way, block]
            longest[block] = (length, way)
            for after in self.follows[block]:
                if after in body and after > block and length >= longest.get(after, (-1, []))[0]:
                    longest[after] = (length, way)
        ends = [longest[block] for block in body if head in self.follows[block] and block in longest]
        length, way = max(ends, key=lambda each: each[0], default=(0, []))
        code = [each for block in way for each in self._of(block)]
        moves = Counter((each.name, each.width) for each in code if each.name in ("LDG", "STG", "LDS", "STS"))
        accesses = tuple((name, width, count) for (name, width), count in sorted(moves.items()))
        opcodes = frozenset(each.opcode for each in code)
        return Loop(length, _in_flight(code), accesses, opcodes, body, self.blocks[head][0])

    def _of(self, block: int) -> list[Instruction]:
        first, end = self.blocks[block]
        return self.code[first:end]


def kernels(text: str) -> dict[str, Kernel]:
    """Return the kernels in nvdisasm's output of a cubin, by name."""
    parts = SECTION.split(text)[1:]
    return {name: Kernel(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def _in_flight(code: list[Instruction]) -> int:
    """Return the bytes in flight; two iterations are followed, since loads may be needed in the next one."""
    waiting: dict[int, int] = {}
    most = 0
    for each in [*code, *code]:
        if any(each.reads(register) for register in waiting):
            waiting = {}
        if each.name == "LDG":
            first = int(REGISTER.findall(each.operands)[0])
            waiting |= dict.fromkeys(range(first, first + max(1, each.width // 4)), 0)
            waiting[first] = each.width
        most = max(most, sum(waiting.values()))
    return most
