"""Philox against the known answers of Random123, and the streams that are drawn from it."""

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnnkit.kernels.philox.reference import philox, random_bits

WORD = st.integers(0, 2**32 - 1)
KNOWN_ANSWERS = [
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
"""(counter, key, words) of philox4x32-10, from `kat_vectors` of github.com/DEShawResearch/random123."""


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN_ANSWERS)
@pytest.mark.parametrize("xp", [np, array_api_strict])
def test_known_answers(xp, counter, key, words):
    result = philox(tuple(xp.asarray([word], dtype=xp.uint64) for word in counter), key, xp)
    assert tuple(int(word[0]) for word in result) == words


def test_a_stream_begins_with_the_known_answer():
    words = random_bits(0, 4, layer=0, step=0, seed=0, purpose=0)
    np.testing.assert_array_equal(words, KNOWN_ANSWERS[0][2])


def test_counter_and_key_are_laid_out_as_in_the_contract():
    (block, layer, low, high), (seed, purpose), words = KNOWN_ANSWERS[2]
    drawn = random_bits(4 * block, 4, layer, (high << 32) + low, seed, purpose)
    np.testing.assert_array_equal(drawn, words)


@settings(deadline=None)
@given(start=st.integers(0, 300), count=st.integers(0, 300), layer=WORD, step=st.integers(0, 2**64 - 1))
def test_any_window_equals_the_slice_of_the_whole(start, count, layer, step):
    whole = random_bits(0, 600, layer, step, 1, 2)
    window = random_bits(start, count, layer, step, 1, 2)
    assert window.shape == (count,)
    assert window.dtype == np.uint32
    np.testing.assert_array_equal(window, whole[start : start + count])


@settings(deadline=None)
@given(start=st.integers(0, 2**33), count=st.integers(0, 40), layer=WORD, step=st.integers(0, 2**64 - 1), seed=WORD)
def test_bit_for_bit_the_same_with_another_array_library(start, count, layer, step, seed):
    strict = random_bits(start, count, layer, step, seed, 3, xp=array_api_strict)
    assert strict.dtype == array_api_strict.uint32
    np.testing.assert_array_equal(np.asarray(strict), random_bits(start, count, layer, step, seed, 3))


def test_each_coordinate_changes_the_words():
    base = dict(layer=1, step=2, seed=3, purpose=4)
    streams = [base, *(base | {key: value + 1} for key, value in base.items()), base | {"step": 2 + 2**32}]
    words = [random_bits(0, 64, **coordinates) for coordinates in streams]
    assert len({tuple(stream.tolist()) for stream in words}) == len(streams)
    assert len(np.unique(np.concatenate(words))) > 64 * len(streams) - 2  # a chance collision is possible, but not more


def test_words_are_uniform():
    words = random_bits(0, 2**16, layer=0, step=0, seed=7, purpose=0)
    counts = np.bincount(words >> 24, minlength=256)
    chi_squared = ((counts - 256) ** 2 / 256).sum()
    assert abs(chi_squared - 255) < 5 * np.sqrt(2 * 255)
