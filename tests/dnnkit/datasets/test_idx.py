"""IDX files: what is read, what is rejected and with which message, and where files are searched."""

import gzip
import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from dnnkit.datasets import mnist
from dnnkit.datasets.idx import IdxFile, read_idx
from dnnkit.errors import DataError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
ANY_SIZE = IdxFile("images", 3, bytes=-1, digest="")


def header(*shape: int) -> bytes:
    return bytes([0, 0, 8, len(shape)]) + b"".join(size.to_bytes(4, "big") for size in shape)


def encode(array: np.ndarray) -> bytes:
    return header(*array.shape) + array.tobytes()


def put(folder: Path, content: bytes, zipped: bool) -> Path:
    path = folder / ("images.gz" if zipped else "images")
    path.write_bytes(gzip.compress(content) if zipped else content)
    return path


def damage_the_checksum(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)


both_forms = pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])


@both_forms
def test_a_file_is_read_as_it_was_written(tmp_path, zipped):
    put(tmp_path, encode(IMAGES), zipped)
    array = read_idx(tmp_path, ANY_SIZE)
    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array, IMAGES)


@both_forms
def test_labels_have_one_axis(tmp_path, zipped):
    put(tmp_path, encode(np.array([3, 1, 4], np.uint8)), zipped)
    np.testing.assert_array_equal(read_idx(tmp_path, IdxFile("images", 1, -1, "")), [3, 1, 4])


@both_forms
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "truncated"),
        (b"\x00\x00", "truncated"),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), "begins with 89504e47.*00000803"),
        (bytes([0, 0, 8, 1]) + bytes(40), "begins with 00000801.*00000803"),
        (bytes([0, 0, 13, 3]) + bytes(40), "begins with 00000d03.*00000803"),
        (header(2, 3, 4)[:9], "truncated.*header"),
        (encode(IMAGES)[:-1], r"declares 24 numbers, \(2, 3, 4\), but holds only 23"),
        (header(2, 3, 4), "holds only 0"),
        (encode(IMAGES) + b"x", "declares 24 numbers.*holds more"),
    ],
    ids=["empty", "two bytes", "PNG", "labels", "floats", "short header", "short body", "no body", "long body"],
)
def test_a_file_of_another_layout_is_rejected_by_name(tmp_path, zipped, content, words):
    path = put(tmp_path, content, zipped)
    with pytest.raises(DataError, match=words) as caught:
        read_idx(tmp_path, ANY_SIZE)
    assert str(path) in str(caught.value)
    assert "replace it" in str(caught.value)


@both_forms
@pytest.mark.parametrize("shape", [(2**32 - 1, 2800, 1), (2**32 - 1,) * 3], ids=["terabytes", "above 64 bits"])
def test_a_header_that_announces_more_than_any_memory_is_rejected(tmp_path, zipped, shape):
    put(tmp_path, header(*shape) + b"abc", zipped)
    with pytest.raises(DataError, match="replace it"):
        read_idx(tmp_path, ANY_SIZE)


@pytest.mark.parametrize("part", [slice(0, -9), slice(0, 12)], ids=["cut at its end", "cut after its start"])
def test_a_gzip_file_that_was_cut_is_damaged(tmp_path, part):
    path = put(tmp_path, encode(IMAGES), zipped=True)
    path.write_bytes(path.read_bytes()[part])
    with pytest.raises(DataError, match=r"images\.gz is damaged.*replace it"):
        read_idx(tmp_path, ANY_SIZE)


def test_a_gzip_file_with_a_wrong_checksum_is_damaged(tmp_path):
    damage_the_checksum(put(tmp_path, encode(IMAGES), zipped=True))
    with pytest.raises(DataError, match=r"images\.gz is damaged.*replace it"):
        read_idx(tmp_path, ANY_SIZE)


def test_a_file_named_gz_that_is_not_gzip_is_damaged(tmp_path):
    (tmp_path / "images.gz").write_bytes(encode(IMAGES))
    with pytest.raises(DataError, match=r"images\.gz is damaged.*replace it"):
        read_idx(tmp_path, ANY_SIZE)


def test_a_file_larger_than_announced_is_not_read_to_its_end(tmp_path):
    path = put(tmp_path, encode(IMAGES) + bytes(1 << 24), zipped=True)
    damage_the_checksum(path)  # reading to the end would find that it is damaged
    with pytest.raises(DataError, match="holds more"):
        read_idx(tmp_path, ANY_SIZE)


@both_forms
def test_a_file_of_the_published_size_needs_the_published_bytes(tmp_path, zipped):
    published = encode(IMAGES)
    file = IdxFile("images", 3, len(published), hashlib.md5(published).hexdigest())
    put(tmp_path, published, zipped)
    np.testing.assert_array_equal(read_idx(tmp_path, file), IMAGES)

    put(tmp_path, encode(IMAGES[:, ::-1]), zipped)
    with pytest.raises(DataError, match=f"damaged.*{len(published)} uncompressed bytes.*MD5.*{file.digest}"):
        read_idx(tmp_path, file)


def test_a_file_of_another_size_is_used_as_it_is(tmp_path):
    put(tmp_path, encode(IMAGES[:1]), zipped=False)
    file = IdxFile("images", 3, len(encode(IMAGES)), "the MD5 of something else")
    np.testing.assert_array_equal(read_idx(tmp_path, file), IMAGES[:1])


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"images is missing.*\.gz"):
        read_idx(tmp_path, ANY_SIZE)


def test_a_folder_in_place_of_a_file_is_an_error_of_the_family(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path, ANY_SIZE)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@both_forms
def test_a_pipe_is_not_waited_for(tmp_path, zipped):
    os.mkfifo(tmp_path / ("images.gz" if zipped else "images"))
    with pytest.raises(DataError, match="it is a pipe"):
        read_idx(tmp_path, ANY_SIZE)


def test_a_data_set_larger_than_the_budget_says_how_to_raise_it(tmp_path, monkeypatch):
    monkeypatch.setenv("DNNKIT_LARGEST_FILE", "100")
    put(tmp_path, encode(IMAGES[:1]), zipped=False)
    assert read_idx(tmp_path, ANY_SIZE).shape == (1, 3, 4)
    (tmp_path / "images").unlink()
    put(tmp_path, encode(np.zeros((9, 3, 4), np.uint8)), zipped=True)
    with pytest.raises(DataError, match="DNNKIT_LARGEST_FILE"):
        read_idx(tmp_path, ANY_SIZE)


def test_the_checksum_of_mnist_is_collision_resistant(tmp_path):
    assert {file.algorithm for file in mnist.FILES} == {"SHA-256"}
    file = IdxFile("images", 3, len(encode(IMAGES)), hashlib.sha256(encode(IMAGES)).hexdigest())
    put(tmp_path, encode(IMAGES), zipped=True)
    np.testing.assert_array_equal(read_idx(tmp_path, file), IMAGES)
    put(tmp_path, encode(IMAGES + 1), zipped=True)
    with pytest.raises(DataError, match="published SHA-256 sum"):
        read_idx(tmp_path, file)
