"""Downloads over a server on this machine: once and never again, also with several processes."""

import os
import re
import shutil
import signal
import sys
import time
import tracemalloc
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest

from dnnkit.datasets import download, fashion_mnist, mnist
from tests.dnnkit.datasets import mirror_server as server
from tests.dnnkit.datasets.mirror_server import ARRAYS, CONTENTS, FILES, IMAGES, PACKED, failure, files, load, mirror
from tests.processes import Process, started


def wait_for(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- success ----------------------------------------------------------------------------------------------------------


def test_missing_files_are_downloaded_once(folder, capsys):
    with mirror() as good:
        for _ in range(2):
            load(f"{good.url}/some/where/")
    assert good.requests == [f"/some/where/{name}" for name in PACKED]
    assert files(folder) == set(PACKED)
    for name, content in PACKED.items():
        assert (folder / name).read_bytes() == content
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == f"downloading {good.url}/some/where/{IMAGES}.gz, {len(PACKED[IMAGES + '.gz']):,} bytes"
    assert len(lines) == 4


def test_on_a_terminal_there_is_a_bar(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    with mirror() as good:
        load(good.url)
    printed = capsys.readouterr()
    assert f"downloading {good.url}" in printed.err
    assert "━" in printed.err
    assert printed.out == ""


def test_a_good_file_is_never_in_memory_as_a_whole(folder):
    with mirror() as good:
        tracemalloc.start()
        try:
            download.download_missing("tiny", folder, FILES, [good.url])
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < FILES[2].bytes


@pytest.mark.parametrize("module", [mnist, fashion_mnist], ids=["mnist", "fashion_mnist"])
def test_the_data_sets_come_from_their_public_mirrors(folder, monkeypatch, module):
    assert all(re.fullmatch(r"https://[a-z0-9./-]+/", url) for url in module.MIRRORS)
    monkeypatch.setattr(module, "FILES", FILES)
    with mirror(server.status(404)) as first, mirror() as second:
        monkeypatch.setattr(module, "MIRRORS", (first.url, second.url))
        (x, _), (_, y_test) = module.load_data()
    np.testing.assert_array_equal(x, ARRAYS[IMAGES])
    np.testing.assert_array_equal(y_test, ARRAYS[FILES[3].name])
    assert (len(first.requests), len(second.requests)) == (1, 4)


def test_a_custom_mirror_replaces_the_public_ones(folder, monkeypatch):
    with mirror() as public, mirror() as own:
        monkeypatch.setenv("DNNKIT_MIRROR", f"{own.url}/lab/")
        load(public.url)
    assert own.requests == [f"/lab/tiny/{name}" for name in PACKED]
    assert public.requests == []


@pytest.mark.parametrize("zipped", [False, True], ids=["plain", "gzip"])
def test_files_put_there_by_hand_are_not_downloaded(folder, zipped):
    folder.mkdir(parents=True)
    contents = PACKED if zipped else CONTENTS
    for name, content in list(contents.items())[:2]:
        (folder / name).write_bytes(content)
    with mirror() as good:
        load(good.url)
        assert good.requests == [f"/{name}" for name in list(PACKED)[2:]]
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        (folder / ".lock").unlink(missing_ok=True)
        load(good.url)
    assert len(good.requests) == 2
    assert not (folder / ".lock").exists()  # a folder with all files may be read-only


def test_redirections_are_followed_over_http_alone(folder):
    with mirror() as good, mirror(server.redirect(f"{good.url}/moved/{IMAGES}.gz")) as first:
        load(first.url)
        assert good.requests == [f"/moved/{IMAGES}.gz"]
    shutil.rmtree(folder)
    with mirror(*[server.redirect("ftp://127.0.0.1:9/x.gz")] * 3) as first:
        assert "unknown url type: ftp" in failure(first.url)


def test_the_end_of_a_file_needs_no_end_of_the_connection(folder, monkeypatch):
    monkeypatch.setenv("DNNKIT_DOWNLOAD_TIMEOUT", "0.5")
    with mirror(*[server.lingers] * 4) as slow:
        load(slow.url)
    assert len(slow.requests) == 4


@pytest.mark.parametrize(
    "answer", [server.drops, server.truncated, server.status(500), server.stalls_after_its_headers]
)
def test_a_download_is_tried_three_times(folder, monkeypatch, answer):
    if answer is server.stalls_after_its_headers:  # only here the timeout is waited for
        monkeypatch.setenv("DNNKIT_DOWNLOAD_TIMEOUT", "0.2")
    with mirror(answer, answer) as shaky:
        load(shaky.url)
    assert len(shaky.requests) == 2 + 4
    assert files(folder) == set(PACKED)


# -- several processes -----------------------------------------------------------------------------------------------


def another_process(url: str) -> AbstractContextManager[Process]:
    code = "from dnnkit.datasets.idx import IdxFile\nfrom dnnkit.datasets.store import load_pairs\n"
    code += f"print(load_pairs('tiny', {FILES!r}, ())[0][0].sum())"
    return started([sys.executable, "-c", code], env={**os.environ, "DNNKIT_MIRROR": url})


def test_two_processes_at_once_download_once(folder):
    with mirror(server.waits_for_release) as good, another_process(good.url) as first:
        wait_for(lambda: good.requests)
        with another_process(good.url) as second:
            assert second.stderr.readline() == f"waiting for another process to download tiny to {folder}\n"
            good.released.set()
            for process in (first, second):
                done = process.end()
                assert done.returncode == 0, done.stderr
                assert int(done.stdout) == ARRAYS[IMAGES].sum()
    assert good.requests == [f"/tiny/{name}" for name in PACKED]
    assert files(folder) == set(PACKED)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_process_that_is_stopped_blocks_and_leaves_nothing(folder, number):
    with mirror(server.stalls_half_way) as good:
        with another_process(good.url) as process:
            wait_for(lambda: folder.exists() and any(path.stat().st_size for path in folder.glob(".*.part")))
            process.send_signal(number)
            process.end()
        assert process.returncode != 0
        assert len(files(folder)) == (number == signal.SIGKILL)  # only the next process can clean up after SIGKILL
        load(f"{good.url}/tiny")
    assert files(folder) == set(PACKED)
