"""Medians, quartiles, outliers; and when two sets of samples differ."""

from math import inf

import numpy as np
import pytest

from dnnkit.bench.statistics import noise_of, ratio, summarize


def test_a_summary_is_numpys_and_shows_its_outlier():
    samples = [1.0, 1.1, 1.2, 1.3, 9.0]
    found = summarize(samples)
    assert [found.low, found.median, found.high] == pytest.approx(np.quantile(samples, (0.25, 0.5, 0.75)))
    assert (found.least, found.most, found.outliers, found.count) == (1.0, 9.0, 1, 5)


def test_a_goal_that_most_seeds_missed_has_an_infinite_median():
    found = summarize([1.0, inf, inf])
    assert (found.median, found.high, found.least) == (inf, inf, 1.0)
    assert found.low == inf  # between a number and infinity
    assert summarize([1.0, 2.0, inf]).median == 2.0


@pytest.mark.parametrize(("factor", "verdict"), [(1.3, "slower"), (0.7, "faster"), (1.0, "indistinguishable")])
def test_a_planted_difference_is_found_and_none_is_not(rng, factor, verdict):
    a, b = rng.normal(1, 0.02, (2, 15))
    found = ratio(a, b * factor)
    assert found.low <= found.value <= found.high
    assert found.verdict(0.05) == verdict


def test_a_difference_within_the_noise_is_not_claimed(rng):
    a = rng.normal(1, 1e-4, 15)
    found = ratio(a, a * 1.03)
    assert found.verdict(0.0) == "slower"
    assert found.verdict(0.05) == "indistinguishable"


def test_rounds_that_share_a_disturbance_are_paired(rng):
    disturbance = rng.uniform(1, 3, 25)
    paired, apart = (ratio(disturbance, disturbance * 1.1, paired=choice) for choice in (True, False))
    assert paired.low > 1.09
    assert apart.low < 1 < apart.high


def test_identical_code_is_seldom_called_different(rng):
    """At a level of 95 %, about one pair in twenty; the noise between identical cases removes most of these."""
    pairs = rng.lognormal(0, 0.03, (200, 2, 15))
    called = [ratio(a, b).verdict(0.0) != "indistinguishable" for a, b in pairs]
    assert sum(called) < 30
    assert sum(ratio(a, b).verdict(0.05) != "indistinguishable" for a, b in pairs) < 5


def test_noise_is_the_largest_difference_whichever_way():
    assert noise_of([([1.0], [1.02]), ([1.1], [1.0])]) == pytest.approx(0.1)
    assert noise_of([]) == 0


def test_too_few_samples_claim_nothing_at_a_strict_level():
    """All five of one above all five of the other: once in 126 by chance, which happens among 200 rows."""
    a, b = [1.0, 1.1, 1.2, 1.3, 1.4], [3.0, 3.1, 3.2, 3.3, 3.4]
    assert ratio(a, b, 0.95, paired=False).verdict(0.05) == "slower"
    strict = ratio(a, b, 1 - 0.05 / 200, paired=False)
    assert (strict.value, strict.verdict(0.05)) == (pytest.approx(3.2 / 1.2), "indistinguishable")
