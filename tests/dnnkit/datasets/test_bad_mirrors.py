"""Faults of mirrors, and invalid variables: what is rejected, with which message, and what remains on disk."""

import gzip
import re
import tracemalloc

import pytest

from tests.dnnkit.datasets import mirror_server as server
from tests.dnnkit.datasets.mirror_server import CONTENTS, FILES, IMAGES, LABELS, PACKED, failure, files, load, mirror

BAD_SUM = bytearray(CONTENTS[IMAGES])
BAD_SUM[-1] ^= 1
BAD_CHECK = bytearray(PACKED[f"{IMAGES}.gz"])
BAD_CHECK[-8] ^= 1
ONCE = [
    ("wrong magic", server.body_is(PACKED[f"{LABELS}.gz"]), "begins with 00000801: expected 00000803"),
    ("wrong sum", server.body_is(gzip.compress(BAD_SUM)), f"MD5 sum is [0-9a-f]{{32}}: expected {FILES[0].digest}"),
    (
        "too short",
        server.body_is(gzip.compress(CONTENTS[IMAGES][:-1])),
        "decompresses to 392,015 bytes: expected 392,016",
    ),
    ("too long", server.body_is(gzip.compress(CONTENTS[IMAGES] + b"x")), "more than the published 392,016 bytes"),
    ("not gzip", server.body_is(b"<html>Please log in to the hotel's network</html>"), "not a gzip file"),
    ("not zipped", server.body_is(CONTENTS[IMAGES]), "not a gzip file"),
    ("wrong check", server.body_is(bytes(BAD_CHECK)), "not a gzip file, or a damaged one: .*incorrect data check"),
    ("goes on", server.body_is(PACKED[f"{IMAGES}.gz"] + b"x"), "continues after the end"),
    ("announces too much", server.announces_gigabytes, "sends more than 1,518,995 bytes"),
    ("endless", server.endless, "sends more than 1,518,995 bytes"),
    ("404", server.status(404), "HTTP status 404"),
    ("403", server.status(403), "HTTP status 403"),
]
THRICE = [
    ("empty", server.body_is(b""), "ended before the end of its gzip data"),
    ("truncated", server.truncated, "ended after 392,[0-9]{3} of 392,[0-9]{3} bytes"),
    ("truncated without length", server.truncated_without_length, "ended before the end of its gzip data"),
    ("drops", server.drops, "closed connection without response"),
    ("500", server.status(500), "HTTP status 500"),
    ("429", server.status(429), "HTTP status 429"),
    ("another language", server.talks_another_language, "220 mail ready"),
    ("silent", server.stalls_before_its_headers, "no data for 0.2 s"),
    ("stalls", server.stalls_after_its_headers, "no data for 0.2 s"),
    ("stalls half-way", server.stalls_half_way, "no data for 0.2 s"),
]


@pytest.mark.parametrize(
    ("answer", "words", "tries"),
    [(answer, words, 1) for _, answer, words in ONCE] + [(answer, words, 3) for _, answer, words in THRICE],
    ids=[name for name, _, _ in (*ONCE, *THRICE)],
)
def test_a_bad_mirror_leaves_nothing_and_the_next_one_is_tried(folder, monkeypatch, answer, words, tries):
    if "no data for" in words:
        monkeypatch.setenv("DNNKIT_DOWNLOAD_TIMEOUT", "0.2")
    with mirror(*[answer] * 6) as bad, mirror() as good:
        message = failure(bad.url)
        assert re.search(f"{re.escape(bad.url)}/{IMAGES}.gz: .*{words}", message)
        assert ("(3 tries)" in message) == (tries == 3)
        assert len(bad.requests) == tries
        assert files(folder) == set()

        load(bad.url, good.url)
        assert len(bad.requests) == 2 * tries  # not asked for the other files: those come from the mirror that works
        assert len(good.requests) == 4
        assert files(folder) == set(PACKED)
        assert bad.sent < 1 << 25  # in addition to what was read, the socket buffers hold some


def test_each_mirror_and_what_to_do_are_in_the_message(folder):
    with mirror(server.status(404)) as first, mirror(server.body_is(PACKED[f"{LABELS}.gz"])) as second:
        message = failure(first.url, second.url, "http://127.0.0.1:9")
    assert f"{first.url}/{IMAGES}.gz: HTTP status 404" in message
    assert f"{second.url}/{IMAGES}.gz: decompressed, it begins with" in message
    assert f"http://127.0.0.1:9/{IMAGES}.gz: Connection refused (3 tries)" in message
    assert f"tiny is not in {folder}" in message
    assert all(name in message for name in PACKED)
    assert "DNNKIT_DATA_DIR" in message


def test_files_before_a_failure_are_kept(folder):
    with mirror(server.good, server.status(404)) as first:
        message = failure(first.url)
        assert f"{IMAGES}.gz" not in message
        assert files(folder) == {f"{IMAGES}.gz"}
        load(first.url)
    assert len(first.requests) == 2 + 3


def test_a_decompression_bomb_is_rejected_at_its_first_excess_byte(folder):
    bomb = bytearray(gzip.compress(CONTENTS[IMAGES] + bytes(1 << 27), 9))
    bomb[-8] ^= 1  # so that decompressing all of it would give another error
    assert len(bomb) < 1 << 20
    with mirror(server.body_is(bytes(bomb))) as bad:
        tracemalloc.start()
        try:
            message = failure(bad.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert "decompresses to more than the published" in message
    assert peak < 1 << 22
    assert files(folder) == set()


@pytest.mark.parametrize("value", ["ftp://127.0.0.1/", "/data/mirror", "127.0.0.1:8000"])
def test_a_mirror_that_is_no_url_is_explained(folder, monkeypatch, value):
    monkeypatch.setenv("DNNKIT_MIRROR", value)
    message = failure()
    assert f"DNNKIT_MIRROR is {value!r}" in message
    assert "https://" in message
    assert not folder.exists()


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan", "inf", "1e300"])
def test_a_timeout_that_is_no_time_is_explained(folder, monkeypatch, value):
    monkeypatch.setenv("DNNKIT_DOWNLOAD_TIMEOUT", value)
    assert f"DNNKIT_DOWNLOAD_TIMEOUT is {value!r}: expected seconds" in failure()
