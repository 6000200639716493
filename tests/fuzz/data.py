"""Files of data: IDX, plain and gzipped, and samples for `dnnkit predict`."""

import gzip
import io
import os
import struct
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

from dnnkit.cli.predict_samples import read_samples
from dnnkit.datasets import mnist
from tests.fuzz.mutations import BYTE_EDITS, changed
from tests.fuzz.reader import Reader

SIZES = st.one_of(st.integers(0, 70), st.sampled_from([255, 256, 2**16, 2**27, 2**31, 2**32 - 1]))


def _idx(shape: list[int], body: bytes) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(struct.pack(">I", size) for size in shape) + body


GOOD = (_idx([6, 4, 3], bytes(range(72))), _idx([6], bytes(6)), _idx([2, 4, 3], bytes(24)), _idx([2], bytes([1, 9])))


@cache
def _bomb() -> bytes:
    """A megabyte that decompresses to a gigabyte."""
    return gzip.compress(_idx([2**20, 32, 32], b"")) + gzip.compress(bytes(1 << 24)) * 64


def _read_idx(case: Any, folder: Path) -> None:
    """Change one file of the data set: its header, its bytes, or what they decompress to."""
    number, shape, inner, outer, zipped, special = case
    data = GOOD[number]
    if shape is not None:
        data = _idx(shape, data[4 + 4 * data[3] :])
    data = changed(data, inner) if inner else data
    data = gzip.compress(data, 1) if zipped else data
    data = changed(data, outer) if outer else data
    place = folder / "mnist"
    place.mkdir(exist_ok=True)
    for file in place.iterdir():
        file.unlink()
    for other, file in enumerate(mnist.FILES):
        content = data if other == number else GOOD[other]
        (place / f"{file.name}{'.gz' if other == number and zipped else ''}").write_bytes(content)
    changed_file = place / f"{mnist.FILES[number].name}{'.gz' if zipped else ''}"
    if special:
        changed_file.unlink()
        if special == "pipe":
            os.mkfifo(changed_file)
        elif special == "bomb":
            (place / f"{mnist.FILES[number].name}.gz").write_bytes(_bomb())
        else:
            changed_file.symlink_to(special)
    with patch.dict(os.environ, {"DNNKIT_DATA_DIR": str(folder), "DNNKIT_MIRROR": "http://127.0.0.1:9"}):
        (x, y), (x_test, _) = mnist.load_data()
    assert len(x) == len(y) > 0
    assert x.shape[1:] == x_test.shape[1:]
    assert y.max() < 10


@cache
def _samples() -> dict[str, bytes]:
    files = {}
    for name, array in {"float": np.linspace(0, 1, 12).reshape(3, 4), "byte": np.ones((2, 3), np.uint8)}.items():
        target = io.BytesIO()
        np.save(target, array)
        files[f"{name}.npy"] = target.getvalue()
        target = io.BytesIO()
        np.savez_compressed(target, array)
        files[f"{name}.npz"] = target.getvalue()
    files["a.csv"] = b"0.5,1,2e3\n-1,nan,inf\n"
    files["b.csv"] = "\ufeff1,2\r\n3,4\r\n# note\n".encode()
    return files


def _read_samples(case: Any, folder: Path) -> None:
    name, of_bytes, text = case
    file = folder / name
    file.write_bytes(text if text is not None and file.suffix == ".csv" else changed(_samples()[name], of_bytes))
    samples = read_samples(file)
    assert samples.size > 0
    assert samples.dtype.kind in "biuf"


_CSV = st.one_of(
    st.none(),
    st.binary(max_size=60),
    st.lists(st.sampled_from(["1", "-2.5", ",", "\n", "\r", " ", "nan", "1e999", "0x1", '"', "#", ";", "9" * 400]))
    .map("".join)
    .map(str.encode),
)  # fmt: skip
READERS = (
    Reader(
        "idx",
        st.tuples(
            st.integers(0, 3),
            st.none() | st.lists(SIZES, min_size=1, max_size=4),
            st.none() | BYTE_EDITS,
            st.none() | BYTE_EDITS,
            st.booleans(),
            st.sampled_from(["", "", "", "", "", "", "pipe", "bomb", "/dev/zero", "/dev/null", "/", "nowhere"]),
        ),
        _read_idx,
    ),
    Reader("samples", st.tuples(st.sampled_from(["float.npy", "byte.npy", "float.npz", "byte.npz", "a.csv", "b.csv"]),
                                BYTE_EDITS, _CSV), _read_samples, few=60),
)  # fmt: skip
"""Return the readers of data."""
