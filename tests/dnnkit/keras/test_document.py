"""docs/from-keras.md: the halves of each pair are one program but for what they import."""

import re
from itertools import pairwise

import pytest

from tests.dnnkit.keras.document import FILE

BLOCKS = re.findall(r"^```(python(?: with keras)?)\n(.*?)^```", FILE.read_text(), re.MULTILINE | re.DOTALL)
PAIRS = [
    (one, other)
    for (kind, one), (next_kind, other) in pairwise(BLOCKS)
    if (kind, next_kind) == ("python with keras", "python")
]


def test_every_program_for_keras_stands_beside_one_for_dnnkit() -> None:
    assert len(PAIRS) == sum(kind == "python with keras" for kind, _ in BLOCKS) >= 3


@pytest.mark.parametrize(("for_keras", "for_dnnkit"), PAIRS)
def test_only_what_is_imported_differs(for_keras: str, for_dnnkit: str) -> None:
    for line, ours in zip(for_keras.splitlines(), for_dnnkit.splitlines(), strict=True):
        imported = line.replace("import keras", "import dnnkit as keras").replace("from keras", "from dnnkit")
        assert ours == (imported if line.startswith(("import", "from")) else line)
