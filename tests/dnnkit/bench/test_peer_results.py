"""Reading the results of `dnnkit/bench/peers`: rows, twins, limits, and peers that did something else."""

from typing import Any

import pytest

from dnnkit.bench import tables
from dnnkit.bench.peer_results import disagreements, identical, limits, rows
from dnnkit.bench.results import Results


def record(work: str, peer: str, *seconds: float, **more: Any) -> dict[str, Any]:
    return {"work": work, "peer": peer, "seconds": list(seconds), **more}


RAW: dict[str, Any] = {
    "works": [
        {"name": "gemm", "title": "matrix product", "kind": "gemm", "size": 100},
        {"name": "copy", "title": "copy", "kind": "copy", "size": 1000},
        {"name": "1", "title": "small", "kind": "train", "size": 0},
        {"name": "6", "title": "neuron", "kind": "neuron", "size": 0},
    ],
    "peers": {"numpy": {}, "dnnkit": {}, "jax": {}, "dnnkit-again": {}},
    "records": [
        record("gemm", "numpy", 2e-3, 1e-3),
        record("gemm", "dnnkit", 3e-3),
        record("copy", "numpy", 4e-6),
        record("1", "numpy", 3.0, accuracy=0.95, loss=0.2),
        record("1", "dnnkit", 0.9, 1.0, 5.0, accuracy=0.97, loss=0.1),
        record("1", "dnnkit", 1.2, accuracy=0.97, loss=0.1),
        record("1", "jax", 2.0, accuracy=0.965, loss=0.3),
        record("1", "jax", 2.1, accuracy=0.965, loss=0.3),
        record("1", "dnnkit-again", 1.3, accuracy=0.97, loss=0.1),
        record("6", "dnnkit", 1.0, loss=1e-5),
        record("6", "jax", 0.5, loss=1.1e-5),
    ],
}


def test_dnnkit_is_first_and_a_sample_is_the_median_of_a_process():
    found = rows(RAW)
    assert [(row.case["peer"], row.case["work"][0]) for row in found] == [
        *(("dnnkit", "g"), ("numpy", "g"), ("numpy", "c")),
        *(("dnnkit", "1"), ("numpy", "1"), ("jax", "1"), ("dnnkit", "6"), ("jax", "6")),
    ]
    assert found[3].samples == (1.0, 1.2)


def test_the_twin_is_noise_and_no_peer():
    assert identical(RAW) == [("dnnkit, small", (1.0, 1.2), (1.3,))]
    results = Results("peers", {}, identical=identical(RAW))
    assert results.noise == pytest.approx(1.3 / 1.1 - 1)


def test_limits_are_of_the_fastest_peer():
    assert list(limits(RAW).values()) == pytest.approx([2e6 / 1e-3, 8000 / 4e-6])


def test_peers_with_other_results_are_reported():
    assert disagreements(rows(RAW)) == [
        "numpy 1. small: accuracy 0.95, but dnnkit's is 0.97",
        "jax 6. neuron: loss 1.1e-05, but dnnkit's is 1e-05",
    ]


def test_a_ratio_to_dnnkit_is_to_dnnkit():
    results = Results("peers", {}, rows=rows(RAW), identical=identical(RAW))
    (table,) = tables.tables(results)
    shown = {(line[0].text, line[1].text): line[-1].text for line in table.lines}
    assert shown["dnnkit", "1. small"] == "1"
    assert shown["jax", "1. small"].startswith("1.86× (1.75 – 2.00)")
    assert shown["numpy", "1. small"] == "2.73× (one sample)"
    assert shown["numpy", "copy. copy"] == "–"
