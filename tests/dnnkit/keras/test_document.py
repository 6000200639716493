"""docs/from-keras.md: the halves of each pair are one program except for their imports, and Keras runs its half."""

import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests import processes
from tests.dnnkit.keras.document import FILE

BLOCKS = re.findall(r"^```(python(?: keras)?)\n(.*?)^```", FILE.read_text(), re.MULTILINE | re.DOTALL)
PAIRS = [
    (one, other)
    for (kind, one), (next_kind, other) in pairwise(BLOCKS)
    if (kind, next_kind) == ("python keras", "python")
]


def test_every_program_for_keras_has_one_for_dnnkit() -> None:
    assert len(PAIRS) == sum(kind == "python keras" for kind, _ in BLOCKS) >= 3


@pytest.mark.parametrize(("for_keras", "for_dnnkit"), PAIRS)
def test_only_the_imports_differ(for_keras: str, for_dnnkit: str) -> None:
    for line, ours in zip(for_keras.splitlines(), for_dnnkit.splitlines(), strict=True):
        imported = line.replace("import keras", "import dnnkit as keras").replace("from keras", "from dnnkit")
        assert ours == (imported if line.startswith(("import", "from")) else line)


@pytest.mark.extras
def test_keras_runs_its_half(tmp_path: Path) -> None:
    pytest.importorskip("keras")
    code = "\n".join([BLOCKS[0][1], *(for_keras for for_keras, _ in PAIRS)])
    done = processes.run([sys.executable, "-c", code], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
