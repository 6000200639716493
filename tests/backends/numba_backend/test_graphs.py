"""Graphs in the compiled epoch: every partition follows NumPy, and gives the same bits each time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dnnkit.backends import get_backend
from dnnkit.backends.numba_backend.bytecode import assemble
from dnnkit.backends.numba_backend.executable import NumbaExecutable
from dnnkit.backends.numba_backend.partition import SINGLE
from dnnkit.backends.program import Program
from tests.backends.graphs import Graph, built, graphs, hyperparameters, samples, trained, two_inputs_two_outputs
from tests.backends.numba_backend.partitions import dividing

PARTITIONS = "units/1", "units/2", "rows/2", "rows/3"


def compiled(monkeypatch: pytest.MonkeyPatch, partition: str, program: Program, **how: Any) -> NumbaExecutable:
    """Train in one compiled epoch with that partition."""
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    executable, _ = trained(get_backend("numba"), program, **how)
    assert isinstance(executable, NumbaExecutable)
    assert executable.plan.reason is None
    assert executable.state.execution.startswith(partition)
    return executable


@pytest.mark.parametrize("partition", PARTITIONS)
@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(program=graphs(), clip_norm=st.sampled_from([None, 0.1]))
def test_any_partition_follows_numpy(
    partition: str, program: Program, clip_norm: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = trained(get_backend("numpy"), program, clip_norm=clip_norm)[0].snapshot()
    first, again = (compiled(monkeypatch, partition, program, clip_norm=clip_norm).snapshot() for _ in range(2))
    for name, value in expected.parameters.items():
        np.testing.assert_allclose(first.parameters[name], value, rtol=1e-9, atol=1e-9, err_msg=name)
        assert first.parameters[name].tobytes() == again.parameters[name].tobytes(), name


@pytest.mark.parametrize("partition", PARTITIONS)
def test_several_outputs_in_any_partition(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = two_inputs_two_outputs(dropout=True)
    weights = np.linspace(0, 2, 23)
    expected, wanted = trained(get_backend("numpy"), program, weights=weights)
    executable = compiled(monkeypatch, partition, program, weights=weights)
    for name, value in expected.snapshot().parameters.items():
        np.testing.assert_allclose(executable.read_parameter(name), value, rtol=1e-9, atol=1e-9, err_msg=name)
    assert executable.totals().means(program.metrics) == pytest.approx(wanted)
    x, _ = samples(program, 9)
    few = executable.predict_few(x)
    assert few is not None
    np.testing.assert_allclose(few, expected.predict(expected.load(x, None, None), 4), rtol=1e-9)


@pytest.mark.parametrize("partition", ["units/2", "rows/3"])
def test_bits_do_not_depend_on_the_schedule_of_threads(partition: str) -> None:
    program, found = two_inputs_two_outputs("float32", dropout=True), []
    for joined in (True, False):
        with dividing(partition, joined=joined):
            executable, _ = trained(get_backend("numba"), program, 230, 64)
            found.append(executable.snapshot().parameters)
    for name, value in found[0].items():
        assert found[1][name].tobytes() == value.tobytes(), name


def test_an_epoch_interrupted_in_its_middle_resumes_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    program = two_inputs_two_outputs("float32", dropout=True)
    for partition in ("units/1", "rows/2"):
        whole = compiled(monkeypatch, partition, program, epochs=1).snapshot()
        (x, y), order = samples(program, 23), np.random.default_rng(0).permutation(23)
        executable = built(get_backend("numba"), program)
        numbers = hyperparameters(program, 3)
        executable.begin_epoch(executable.load(x, y, None), order, 8)
        executable.run_steps(0, 2, type(numbers)(numbers.learning_rates[:2], numbers.constants))
        executable.state.position = 2
        left, other = executable.snapshot(), get_backend("numba").build(program)
        other.restore(left)
        other.begin_epoch(other.load(x, y, None), order, 8)
        assert left.state.sums is not None
        other.go_on_from(left.state.sums)
        other.run_steps(2, 3, type(numbers)(numbers.learning_rates[2:], numbers.constants))
        for name, value in whole.parameters.items():
            assert other.read_parameter(name).tobytes() == value.tobytes()
        executable.run_steps(2, 3, type(numbers)(numbers.learning_rates[2:], numbers.constants))
        assert other.totals() == executable.totals()


def test_a_chain_has_no_instruction_of_a_graph() -> None:
    graph = Graph(4)
    graph.dense(graph.dense(graph.dense(0, 5), 4), 2)
    executable = built(get_backend("numba"), graph.program())
    assert isinstance(executable, NumbaExecutable)
    team = executable._new_team(SINGLE, 4, trains=True)
    data = executable.load(*samples(executable.program, 8), None)
    from dnnkit.backends.numba_backend.runs import Batches

    key = team.key("train", Batches(executable._source(data), np.arange(8), 4, np.ones(2)), 0)
    assert team.schedule(key) == assemble(executable._stages, SINGLE, key)
    names = {line.opcode for line in team.schedule(key)}
    assert not names & {"use_slope", "add_slope", "move_gradient", "add_gradient", "update_parameter", "add_losses"}


def test_memory_is_used_again_when_nobody_reads_it_any_more() -> None:
    graph, value = Graph(4), 0
    for _ in range(12):
        value = graph.dense(value, 32)
    executable = built(get_backend("numba"), graph.program())
    assert isinstance(executable, NumbaExecutable)
    trains, reads = (executable._new_team(SINGLE, 64, trains=trains) for trains in (True, False))
    assert reads._memory.size < trains._memory.size / 3
    # outputs of the stages, two gradients, and memory that belongs to no stage
    assert trains._memory.size < 64 * 32 * (12 + 6)


@pytest.mark.parametrize("partition", ["units/1", "rows/2"])
def test_a_step_is_told_part_by_part(partition: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DNNKIT_PARTITION", partition)
    program = two_inputs_two_outputs("float32")
    executable = built(get_backend("numba"), program)
    found = executable.step_parts(executable.load(*samples(program, 16), None), np.arange(16), 8)
    names = [part.name for part in found.parts]
    assert names[1:4] == ["columns"] * 3
    assert names.count("add") == 2
    assert all(part.predicted for part in found.parts if part.name in ("add", "multiply", "concatenate", "columns"))
    for word in ("use_slope", "add_slope", "add_gradient", "loss_of_part", "add_losses"):
        assert word in found.schedule
