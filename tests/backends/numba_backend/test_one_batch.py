"""Single steps on batches of one shape are not affected by what other runs leave behind in the team."""

import pytest

from tests.backends.numba_backend.partitions import check_same, classes, classifier, dividing


@pytest.mark.parametrize("partition", ["units/1", "units/2", "rows/2"])
def test_a_stop_request_of_the_previous_run_does_not_stop_a_step(partition: str) -> None:
    x, labels, _ = classes()
    stopped, expected = classifier(num_threads=2), classifier(num_threads=2)
    with dividing(partition):
        for _ in range(3):
            losses = [net.train_step(x[:32], labels[:32]) for net in (stopped, expected)]
            assert losses[0] == losses[1]
            gradients = [net.get_gradients(x[:32], labels[:32]) for net in (stopped, expected)]
            assert gradients[0][0] == gradients[1][0]
            for batch in stopped.executable._one_batches.values():
                batch.team.stop()
    check_same(stopped, expected)
    assert stopped.executable.state == expected.executable.state


def test_the_plan_says_how_a_step_was_divided() -> None:
    x, labels, _ = classes()
    net = classifier(num_threads=2)
    net.build(x.shape[1])
    with dividing("rows/2"):
        net.train_step(x, labels)
    assert net.executable.plan.details["partition"] == "rows/2"
