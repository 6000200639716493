"""The list: where a fault is planted, what it replaces, and which tests then have to fail.

A fault is one mistake in one line, such as experts make: the code still compiles and runs. Its name begins with where
it is planted: the reference formulas, compiled code (`numba`), CUDA kernels and their launchers (`cuda`), or
`backends`. Files and tests are plain strings, so that a script that moves a module can rewrite them.
"""

from dataclasses import dataclass

SIGN, SCALE, INDEX, MISSING = "sign", "scale", "index", "missing term"
STALE, ORDER, ONE, DTYPE = "stale buffer", "wrong order", "off by one", "wrong dtype"
KINDS = (SIGN, SCALE, INDEX, MISSING, STALE, ORDER, ONE, DTYPE)
PLACES = ("reference", "numba", "cuda", "backends")


@dataclass(frozen=True)
class Fault:
    """Text that occurs once in a file, its replacement, and the arguments of pytest."""

    name: str
    kind: str
    file: str
    old: str
    new: str
    tests: str

    @property
    def place(self) -> str:
        """Where it is planted, one of `PLACES`."""
        return self.name.partition("-")[0]


REFERENCE = [
    Fault(
        "reference-shared-rows", MISSING, "dnnkit/many/intervals.py",
        "sqrt(1 / len(numbers) + share)", "sqrt(1 / len(numbers))",
        "tests/dnnkit/many/test_selection.py -k wider_for_shared_rows",
    ),
    Fault(
        "reference-halving-again", ONE, "dnnkit/many/halving.py",
        "len(many.histories[number].epoch) < done", "len(many.histories[number].epoch) <= done",
        "tests/dnnkit/many/test_selection.py -k halving_repeats_its_choice",
    ),
    Fault(
        "reference-ranking-kept", STALE, "dnnkit/many/ranking.py",
        "- 1 if best is None else best", "- 1",
        "tests/dnnkit/many/test_selection.py -k weights_were_restored",
    ),
    Fault(
        "reference-out-of-fold", INDEX, "dnnkit/many/cross_validation.py",
        "total[held_out] += part", "total[: len(held_out)] += part",
        "tests/dnnkit/many/test_selection.py -k without_it",
    ),
    Fault(
        "reference-laboratory-other-machine", ORDER, "dnnkit/bench/history.py",
        "key=lambda change: not change.is_same_machine", "key=lambda change: 0",
        "tests/dnnkit/bench/test_history.py -k on_the_same_machine",
    ),
    Fault(
        "reference-formula-parameters", MISSING, "dnnkit/formula/definition.py",
        "Formula(name or UNNAMED, formula,", "Formula(name or UNNAMED, formula.replace('beta', '1 * beta / beta'),",
        "tests/dnnkit/cli/test_train.py -k which_the_run_keeps",
    ),
    Fault(
        "reference-deferred-dataclass", MISSING, "dnnkit/deferred.py",
        "cell.cell_contents = self.cls", "cell.cell_contents = twin",
        "tests/dnnkit/test_deferred.py -k 'whichever_use_comes_first and derived_plainly'",
    ),
    Fault(
        "reference-stream-buffer", STALE, "dnnkit/streams/feeding.py",
        "buffer, self._turn = self._buffers[self._turn], 1 - self._turn", "buffer = self._buffers[self._turn]",
        "tests/dnnkit/streams/test_streams.py -k 'numpy and in_their_order'",
    ),
    Fault(
        "reference-noise-within-a-pair", INDEX, "kernels/stages/gaussian_noise/reference.py",
        "axis=1), (-1,))[odd : odd + count]", "axis=1), (-1,))[:count]",
        "tests/dnnkit/distributed/test_ranks.py -k 'numpy and parts_of_a_batch'",
    ),
    Fault(
        "reference-share-of-the-last-batch", INDEX, "dnnkit/training/parts.py",
        "first, last = self.rows(rest)", "first, last = 0, self.rows(rest)[1] - self.rows(rest)[0]",
        "tests/dnnkit/distributed/test_shares.py -k 'numpy and one_process and True'",
    ),
    Fault(
        "reference-stream-tail", ONE, "dnnkit/streams/order.py",
        "here = min(last - first, int(counts[block]) - skipped)", "here = min(last - first, int(counts[block]))",
        "tests/dnnkit/streams/test_order.py",
    ),
    Fault(
        "reference-digits-split", ONE, "dnnkit/datasets/digits.py",
        "return (images[:-TEST], labels[:-TEST])", "return (images[: 1 - TEST], labels[: 1 - TEST])",
        "tests/dnnkit/datasets/test_digits.py -k every_version",
    ),
    Fault(
        "reference-estimator-waits", ONE, "dnnkit/estimators/convergence.py",
        "curve.waited > settings.n_iter_no_change", "curve.waited >= settings.n_iter_no_change",
        "tests/dnnkit/estimators/test_estimators.py -k ends_where",
    ),
    Fault(
        "reference-stretch-callbacks", STALE, "dnnkit/many/elsewhere.py",
        'heard.restore_each(sent.callbacks, "what a worker was sent")', "pass",
        "tests/dnnkit/many/test_executors.py -k leave_a_folder",
    ),
    Fault(
        "reference-lost-with-a-worker", MISSING, "dnnkit/many/executors/joblib_executor.py",
        "self._waiting = handed_out | self._waiting", "self._waiting |= {}",
        "tests/dnnkit/many/test_executors.py -k killed",
    ),
    Fault(
        "reference-best-epoch", STALE, "dnnkit/estimators/watching.py",
        "if self.weights is not None:", "if False:",
        "tests/dnnkit/estimators/test_tabular.py -k best_epoch",
    ),
    Fault(
        "reference-temperature-slope", MISSING, "dnnkit/estimators/calibration.py",
        " + share * logits.mean(axis=1)", "",
        "tests/dnnkit/estimators/test_calibration.py",
    ),
    Fault(
        "reference-estimator-temperature", MISSING, "dnnkit/estimators/saving.py",
        'Members(networks, curves, found["task"], temperature, bounds)',
        'Members(networks, curves, found["task"], 1.0, bounds)',
        "tests/dnnkit/estimators/test_estimators.py -k 'predict_alike and tabular'",
    ),
    Fault(
        "reference-estimator-slots", STALE, "dnnkit/estimators/sparse.py",
        "Snapshot(snapshot.parameters, snapshot.slots, state)", "Snapshot(snapshot.parameters, {}, state)",
        "tests/dnnkit/estimators/test_estimators.py -k learned_as_a_dense",
    ),
    Fault(
        "reference-sparse-scale", SCALE, "backends/stagewise/flat.py",
        "return x if self._rescale.scale == 1 else x * self._rescale.scale", "return x",
        "tests/dnnkit/streams/test_sparse.py -k 'nearly_empty and numpy'",
    ),
    Fault(
        "reference-table-quartiles", SCALE, "dnnkit/tables/scaling.py",
        "return 0.0 if spread == 0 else min(0.5 / spread", "return 0.0 if spread == 0 else min(1.0 / spread",
        "tests/dnnkit/tables/test_encoder.py -k quartiles",
    ),
    Fault(
        "reference-table-codes", ONE, "dnnkit/tables/category_columns.py",
        "place.code[:] = codes + 1", "place.code[:] = np.maximum(codes, 0)",
        "tests/dnnkit/tables/test_encoder.py -k embeddings",
    ),
    Fault(
        "reference-lbfgs-second-loop", ORDER, "kernels/lbfgs/reference.py",
        "curvatures, shares[::-1], strict=True)", "curvatures, shares, strict=True)",
        "tests/kernels/lbfgs/test_direction.py -k matrix",
    ),
    Fault(
        "reference-zoom-turns-round", SIGN, "kernels/lbfgs/line_search.py",
        "(slope * (s.high_step - s.low_step) >= 0)", "(slope * (s.high_step - s.low_step) < 0)",
        "tests/kernels/lbfgs/test_line_search.py -k both",
    ),
    Fault(
        "reference-trace-weights", SCALE, "dnnkit/diagnosis/unrolled.py",
        "(1.0 / total if total else 0.0)", "(1.0 / len(x) if total else 0.0)",
        "tests/dnnkit/diagnosis/test_trace.py -k 'get_gradients and logits'",
    ),
    Fault(
        "reference-variant-smoothing", SCALE, "kernels/variants.py",
        'classes = 2 if base.outputs == "binary" else scores.shape[1]', "classes = scores.shape[1]",
        "tests/conformance/test_variants.py -k 'numpy and smoothed'",
    ),
    Fault(
        "reference-gelu-density", SCALE, "kernels/activations/gelu/reference.py",
        "sqrt(2 * pi)", "sqrt(pi)",
        "tests/kernels/activations/test_reference.py -k 'gelu and central_differences'",
    ),
    Fault(
        "reference-silu-slope", SIGN, "kernels/activations/silu/reference.py",
        "x * sigmoid.forward(-x", "x * sigmoid.forward(x",
        "tests/kernels/activations/test_reference.py -k 'silu and central_differences'",
    ),
    Fault(
        "reference-mish-gate", SCALE, "kernels/activations/mish/reference.py",
        "2 * z * z", "z * z",
        "tests/kernels/activations/test_reference.py -k 'mish and independent'",
    ),
    Fault(
        "reference-selu-slope-from-output", SCALE, "kernels/activations/selu/reference.py",
        "y + SCALE * ALPHA", "y + ALPHA",
        "tests/kernels/activations/test_reference.py -k 'selu and from_output'",
    ),
    Fault(
        "reference-leaky-relu-branches", ORDER, "kernels/activations/leaky_relu/reference.py",
        "xp.where(x > 0, xp.ones_like(x), SLOPE * xp.ones_like(x))",
        "xp.where(x > 0, SLOPE * xp.ones_like(x), xp.ones_like(x))",
        "tests/kernels/activations/test_reference.py -k 'leaky_relu and central_differences'",
    ),
    Fault(
        "reference-hard-sigmoid-corner", ONE, "kernels/activations/hard_sigmoid/reference.py",
        "xp.abs(x) < 3", "xp.abs(x) <= 3",
        "tests/kernels/activations/test_reference.py -k hard_sigmoid",
    ),
    Fault(
        "reference-softplus-exponent", SIGN, "kernels/activations/softplus/reference.py",
        "xp.exp(-xp.abs(x))", "xp.exp(xp.abs(x))",
        "tests/kernels/activations/test_reference.py -k 'softplus and independent'",
    ),
    Fault(
        "reference-softmax-largest", MISSING, "kernels/activations/softmax/reference.py",
        "xp.exp(x - xp.max(x, axis=axis, keepdims=True))", "xp.exp(x)",
        "tests/kernels/activations/test_reference.py -k softmax_at_extremes",
    ),
    Fault(
        "reference-softmax-slope", MISSING, "kernels/activations/softmax/reference.py",
        "y * (dy - xp.sum(y * dy, axis=axis, keepdims=True))", "y * dy",
        "tests/kernels/activations/test_reference.py -k softmax_backward",
    ),
    Fault(
        "reference-special-precision", DTYPE, "kernels/_reference/special.py",
        "= np.asarray(x)", "= np.asarray(x, np.float32)",
        "tests/kernels/test_registry.py -k 'another_array_library and gelu'",
    ),
    Fault(
        "reference-special-series", MISSING, "kernels/_reference/special.py",
        " + m * step * terms[m]", "",
        "tests/kernels/_reference/test_special.py -k two_units",
    ),
    Fault(
        "reference-special-lowest", ONE, "kernels/_reference/special.py",
        '("erfc", "float64"): Expansion(9, -6, 28)', '("erfc", "float64"): Expansion(9, -5, 28)',
        "tests/kernels/_reference/test_special.py -k two_units",
    ),
    Fault(
        "reference-philox-rounds", ONE, "kernels/philox/reference.py",
        "ROUNDS = 10", "ROUNDS = 9",
        "tests/kernels/philox/test_reference.py -k known_answers",
    ),
    Fault(
        "reference-philox-key", INDEX, "kernels/philox/reference.py",
        "(product0 >> 32) ^ c3 ^ k1", "(product0 >> 32) ^ c3 ^ k0",
        "tests/kernels/philox/test_reference.py -k known_answers",
    ),
    Fault(
        "reference-philox-last-block", ONE, "kernels/philox/reference.py",
        "(start + count + 3) // 4", "(start + count) // 4",
        "tests/kernels/philox/test_reference.py -k any_window",
    ),
    Fault(
        "reference-dropout-scale", SCALE, "kernels/dropout/reference.py",
        "* (1 / (1 - rate))", "* (1 - rate)",
        "tests/kernels/dropout/test_reference.py -k apply_zeroes",
    ),
    Fault(
        "reference-dense-kernel-gradient", STALE, "kernels/dense/reference.py",
        "x.T @ dz", "x.T @ dy",
        "tests/kernels/dense/test_reference.py -k 'central_differences and elu'",
    ),
    Fault(
        "reference-gather-rescaling", ORDER, "kernels/gather/reference.py",
        "return xp.astype(xp.take(data, rows, axis=0), dtype) * scale + offset",
        "return (xp.astype(xp.take(data, rows, axis=0), dtype) + offset) * scale",
        "tests/kernels/gather/test_reference.py -k converted_and_rescaled",
    ),
    Fault(
        "reference-binary-gradient", SCALE, "kernels/losses/binary_crossentropy/reference.py",
        "* (scale / outputs)", "* scale",
        "tests/kernels/losses/test_reference.py -k 'binary and central_differences'",
    ),
    Fault(
        "reference-categorical-gradient", SIGN, "kernels/losses/categorical_crossentropy/reference.py",
        "-t / p *", "t / p *",
        "tests/kernels/losses/test_reference.py -k 'categorical and central_differences'",
    ),
    Fault(
        "reference-softmax-cross-entropy-targets", MISSING, "kernels/losses/softmax_cross_entropy/reference.py",
        "/ total * xp.sum(t, axis=1, keepdims=True) - t", "/ total - t",
        "tests/kernels/losses/test_reference.py -k do_not_sum_to_one",
    ),
    Fault(
        "reference-sigmoid-cross-entropy-targets", SIGN, "kernels/losses/sigmoid_cross_entropy/reference.py",
        "- logits * targets", "+ logits * targets",
        "tests/kernels/losses/test_reference.py -k 'sigmoid_cross_entropy and rows_formula'",
    ),
    Fault(
        "reference-row-weights", MISSING, "kernels/_reference/rows.py",
        "gradient * weights[:, None]", "gradient",
        "tests/kernels/losses/test_reference.py -k 'mean_squared and central_differences'",
    ),
    Fault(
        "reference-row-labels", DTYPE, "kernels/_reference/rows.py",
        "xp.astype(targets, xp.int64)", "xp.astype(targets, xp.int8)",
        "tests/conformance -k 'numpy-loss-labels_are'",
    ),
    Fault(
        "reference-row-sum", DTYPE, "kernels/_reference/rows.py",
        "xp.sum(rows, dtype=xp.float64)", "xp.sum(rows)",
        "tests/conformance -k 'numpy-loss-many_small_rows'",
    ),
    Fault(
        "reference-accuracy-threshold", ONE, "kernels/metrics/binary_accuracy/reference.py",
        "scores > threshold", "scores >= threshold",
        "tests/kernels/metrics/test_reference.py -k threshold_itself",
    ),
    Fault(
        "reference-accuracy-axis", INDEX, "kernels/metrics/categorical_accuracy/reference.py",
        "xp.argmax(scores, axis=1)", "xp.argmax(scores, axis=0)",
        "tests/kernels/metrics/test_reference.py -k against_a_loop",
    ),
    Fault(
        "reference-adam-step", ONE, "kernels/optimizer_step/reference.py",
        "beta_1**step", "beta_1**(step + 1)",
        "tests/kernels/optimizer_step/test_reference.py -k 'published and adam'",
    ),
    Fault(
        "reference-rmsprop-epsilon", ORDER, "kernels/optimizer_step/reference.py",
        "(xp.sqrt(square) + epsilon)", "xp.sqrt(square + epsilon)",
        "tests/kernels/optimizer_step/test_reference.py -k 'published and rmsprop'",
    ),
    Fault(
        "reference-nesterov-look-ahead", MISSING, "kernels/optimizer_step/reference.py",
        "(g + momentum * velocity)", "(momentum * velocity)",
        "tests/kernels/optimizer_step/test_reference.py -k 'published and nesterov'",
    ),
]  # fmt: skip

NUMBA = [
    Fault(
        "numba-many-seed", STALE, "kernels/_engine/many.py",
        "run.control, run.seed, run.clip_norm, run.clip_value = job.control, job.seed,",
        "run.control, run.seed, run.clip_norm, run.clip_value = job.control, run.seed,",
        "tests/backends/numba_backend/test_many.py -k trains_whom",
    ),
    Fault(
        "numba-gathered-by-halves", STALE, "backends/numba_backend/bytecode.py",
        "wiring.reads_data_once and not isinstance(stage_list[0], Op)", "wiring.reads_data_once",
        "tests/backends/numba_backend/test_first_stages.py",
    ),
    Fault(
        "numba-weights-of-outputs", INDEX, "kernels/_engine/parts.py",
        "own[i] = weights[i, place]", "own[i] = weights[i, 0]",
        "tests/dnnkit/network/test_output_weights.py -k 'means_of_rows and numba'",
    ),
    Fault(
        "numba-loss-of-outputs", STALE, "kernels/_engine/parts.py",
        "(number(0.0, worker.totals, part.first) - before)", "number(0.0, worker.totals, part.first)",
        "tests/backends/numba_backend/test_own_parts.py -k 'of_one_of_several and no'",
    ),
    Fault(
        "numba-classes-second-product", STALE, "kernels/stages/dense_of_classes/cpu.py",
        "worker.dz if is_begun else stage.y", "stage.y",
        "tests/backends/numba_backend/test_fusing.py -k 'beside_numbers and units/1'",
    ),
    Fault(
        "numba-exp-reduction", SIGN, "kernels/_numba/exponentials.py",
        "- n * kind(lower)", "+ n * kind(lower)",
        "tests/conformance -k 'points-activation-values-sigmoid'",
    ),
    Fault(
        "numba-exp-exponent", ONE, "kernels/_numba/exponentials.py",
        "whole(both - half) << whole(digits)", "half << whole(digits)",
        "tests/kernels/_numba/test_elementary.py -k 'units and exp'",
    ),
    Fault(
        "numba-logistic-sides", SIGN, "kernels/_numba/exponentials.py",
        "(large, small) if x > 0", "(large, small) if x < 0",
        "tests/conformance -k 'points-activation-values-sigmoid'",
    ),
    Fault(
        "numba-exp-least", ONE, "kernels/_numba/exponentials.py",
        "types.float32: -88.0", "types.float32: -87.0",
        "tests/kernels/_numba/test_elementary.py -k 'far_from_zero or zero_below'",
    ),
    Fault(
        "numba-log1p-terms", ONE, "kernels/_numba/logarithms.py",
        "kind(2 * k + 1)", "kind(2 * k + 3)",
        "tests/conformance -k 'points-activation-values-softplus'",
    ),
    Fault(
        "numba-erfc-lost-digits", SIGN, "kernels/_numba/error_functions.py",
        "(kind(1) - lost)", "(kind(1) + lost)",
        "tests/kernels/_numba/test_elementary.py -k 'units and erfc'",
    ),
    Fault(
        "numba-normal-lost-digits", MISSING, "kernels/_numba/error_functions.py",
        "rest_of_exp(r - kind(0.5) * lost)", "rest_of_exp(r)",
        "tests/kernels/_numba/test_elementary.py -k 'units and (normal or bell)'",
    ),
    Fault(
        "numba-largest-tie", ONE, "kernels/_numba/rows.py",
        "row[k] > row[best]", "row[k] >= row[best]",
        "tests/conformance -k 'points-metric-values'",
    ),
    Fault(
        "numba-derivatives-output", INDEX, "kernels/_engine/derivatives.py",
        "(worker.first_in_batch + row) % run.repeats", "row % run.repeats",
        "tests/dnnkit/network/test_jacobian.py -k 'any_size and softmax'",
    ),
    Fault(
        "numba-lbfgs-ring", INDEX, "kernels/lbfgs/cpu.py",
        "place if place >= 0 else place + s.slots", "place if place >= 0 else place + s.slots - 1",
        "tests/dnnkit/test_lbfgs.py -k 'same_path and numba and float64'",
    ),
    Fault(
        "numba-softmax-largest", INDEX, "kernels/activations/softmax/cpu.py",
        "largest_of(x[i])", "largest_of(x[0])",
        "tests/conformance -k 'points-activation-values-softmax'",
    ),
    Fault(
        "numba-softmax-slope", MISSING, "kernels/activations/softmax/cpu.py",
        "dot += y[i, k] * dy[i, k]", "dot += dy[i, k]",
        "tests/conformance -k 'points-activation-values-softmax'",
    ),
    Fault(
        "numba-softmax-cross-entropy-factor", SCALE, "kernels/losses/softmax_cross_entropy/cpu.py",
        "out[i, k] * step - factor * t", "out[i, k] * step - t",
        "tests/conformance -k 'points-loss-values-softmax'",
    ),
    Fault(
        "numba-softmax-cross-entropy-targets", MISSING, "kernels/losses/softmax_cross_entropy/cpu.py",
        "factor * target_sum / sums[i]", "factor / sums[i]",
        "tests/conformance -k 'points-loss-values-softmax'",
    ),
    Fault(
        "numba-softmax-cross-entropy-label", SCALE, "kernels/losses/softmax_cross_entropy/cpu.py",
        "shares[i] * steps[i] - weights[i] * factor", "shares[i] * steps[i] - factor",
        "tests/kernels/losses/test_at_once.py -k reference",
    ),
    Fault(
        "numba-softmax-cross-entropy-infinite", MISSING, "kernels/losses/softmax_cross_entropy/cpu.py",
        "losses[i] += kind(0) * smallest[i]", "losses[i] += kind(0) * sums[i]",
        "tests/kernels/losses/test_at_once.py -k never_hidden",
    ),
    Fault(
        "numba-lanes-rest", INDEX, "kernels/_numba/lanes.py",
        "here = read(place, v.first(builder.sub(count, place)))", "here = read(place, v.first(WORD(LANES)))",
        "tests/kernels/_numba/test_lanes.py",
    ),
    Fault(
        "numba-elements-weights", SCALE, "kernels/_numba/elements.py",
        "multiply(own, own_weights[i] * step, own)", "multiply(own, step, own)",
        "tests/kernels/losses/test_at_once.py -k reference",
    ),
    Fault(
        "numba-elements-outputs", SCALE, "kernels/_numba/elements.py",
        "factor / kind(outputs)", "factor",
        "tests/conformance/test_variants.py -k 'output_by_output and sigmoid_cross_entropy'",
    ),
    Fault(
        "numba-log1p-and-logistic-half", ONE, "kernels/_numba/logarithms.py",
        "(z - kind(1), z + kind(3))", "(z - kind(1), z + kind(2))",
        "tests/kernels/_numba/test_elementary.py -k 'units and logistic'",
    ),
    Fault(
        "numba-finite-rest", MISSING, "kernels/_engine/finite.py",
        "if numbers[e] - numbers[e] != 0:", "if numbers[e] != numbers[e]:",
        "tests/backends/numba_backend/test_finite.py -k wherever",
    ),
    Fault(
        "numba-huber-slope", SIGN, "kernels/losses/huber/cpu.py",
        "v9 = kind(-1.0) if v8", "v9 = kind(1.0) if v8",
        "tests/conformance -k 'points-loss-values-huber'",
    ),
    Fault(
        "numba-variant-share", MISSING, "kernels/variants.py",
        "{targets}, share * factor, single_column(out)", "{targets}, factor, single_column(out)",
        "tests/conformance/test_variants.py -k 'points and mean_squared_error'",
    ),
    Fault(
        "numba-binary-clipping", ONE, "kernels/losses/binary_crossentropy/cpu.py",
        "low < y < high", "low <= y <= high",
        "tests/conformance -k 'points-loss-extreme_scores-binary'",
    ),
    Fault(
        "numba-steps-threshold", INDEX, "kernels/_engine/stages.py",
        "run.metrics + option * METRIC_BYTES", "run.metrics",
        "tests/backends/numba_backend/test_workers.py -k thresholds_of_their_own",
    ),
    Fault(
        "numba-loss-totals", STALE, "kernels/_numba/entry_points.py",
        "gradient.dtype.type(scale), total[0]", "gradient.dtype.type(scale), 0.0",
        "tests/kernels/_numba/test_entry_points.py -k added_to_existing_values",
    ),
    Fault(
        "numba-slope-of-what", STALE, "kernels/_numba/entry_points.py",
        "forward(value), {slope}(value)", "forward(value), {slope}(forward(value))",
        "tests/kernels/_numba/test_entry_points.py -k 'slope_kept and gelu'",
    ),
    Fault(
        "backends-slope-over-outputs", STALE, "backends/numba_backend/program_kernels.py",
        "return isinstance(stage, Dense) and", "return",
        "tests/dnnkit/network/test_gradients.py -k 'layer_before and numba'",
    ),
    Fault(
        "numba-adam-epsilon", ORDER, "kernels/optimizer_step/cpu.py",
        "(square_root(second_moment[i]) * root_correction + epsilon)",
        "((square_root(second_moment[i]) + epsilon) * root_correction)",
        "tests/conformance -k 'points-optimizer-steps-adam'",
    ),
    Fault(
        "numba-adamw-decay", SIGN, "kernels/optimizer_step/cpu.py",
        "p.dtype.type(1 - learning_rate * weight_decay)", "p.dtype.type(1 + learning_rate * weight_decay)",
        "tests/conformance -k 'points-optimizer-steps-adamw'",
    ),
    Fault(
        "numba-nesterov-decay", MISSING, "kernels/optimizer_step/cpu.py",
        "(gradient + momentum * velocity[i])", "(g[i] + momentum * velocity[i])",
        "tests/conformance -k 'points-optimizer-steps-nesterov'",
    ),
    Fault(
        "numba-philox-last-block", ONE, "kernels/dropout/cpu.py",
        "(start + count + 3) // 4", "(start + count) // 4",
        "tests/kernels/dropout/test_cpu.py -k bit_for_bit",
    ),
    Fault(
        "numba-dropout-step", ORDER, "kernels/dropout/cpu.py",
        "np.uint64(step) & LOW, np.uint64(step) >> HALF", "np.uint64(step) >> HALF, np.uint64(step) & LOW",
        "tests/kernels/dropout/test_cpu.py -k odd_windows",
    ),
    Fault(
        "numba-dropout-factor", DTYPE, "kernels/dropout/cpu.py",
        "out.dtype.type(1 / (1 - rate))", "1 / (out.dtype.type(1) - out.dtype.type(rate))",
        "tests/conformance -k 'numba-data-dropped'",
    ),
    Fault(
        "numba-gather-row", INDEX, "kernels/gather/cpu.py",
        "data[row, j]", "data[i, j]",
        "tests/conformance -k 'numba-data-values-gather'",
    ),
    Fault(
        "numba-dense-bias-gradient", STALE, "kernels/dense/cpu.py",
        "if db.size > 0:", "if db.size > 1:",
        "tests/conformance -k 'numba-dense-values-linear'",
    ),
    Fault(
        "numba-columns-united", STALE, "kernels/nonzero_columns/cpu.py",
        "united[w] |= row[w]", "united[w] = row[w]",
        "tests/kernels/nonzero_columns/test_cpu.py -k 'columns_are and float32'",
    ),
    Fault(
        "numba-columns-last", ONE, "kernels/nonzero_columns/cpu.py",
        "range(whole * WORD, features)", "range(whole * WORD, features - 1)",
        "tests/kernels/nonzero_columns/test_cpu.py -k 'columns_are and float32'",
    ),
    Fault(
        "numba-columns-finite", MISSING, "kernels/nonzero_columns/cpu.py",
        "lost |= ", "lost = ",
        "tests/kernels/nonzero_columns/test_cpu.py -k 'not_finite and float32'",
    ),
    Fault(
        "numba-product-first-panel", STALE, "kernels/matmul/blocks.py",
        "bias if depth - k <= block_depth else 0, 1 if k > 0 else 0, 0,",
        "bias if depth - k <= block_depth else 0, 1, 0,",
        "tests/kernels/matmul/test_cpu.py -k 'wide_products_are_right and float32'",
    ),
    Fault(
        "numba-product-by-rows", INDEX, "kernels/matmul/blocks.py",
        "start, place = after(row_index, a, i * a_row * size), target", "start, place = a, target",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-by-rows-deep", MISSING, "kernels/matmul/blocks.py",
        "target_index, own, 1 if k > 0 else 0,", "target_index, own, 0,",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-by-rows-of-index", INDEX, "kernels/matmul/blocks.py",
        "skip(row_index, i), column_index", "row_index, column_index",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-deep", MISSING, "kernels/matmul/blocks.py",
        "bias if depth - k <= block_depth else 0, 1 if k > 0 else 0, 0,",
        "bias if depth - k <= block_depth else 0, 0, 0,",
        "tests/kernels/matmul/test_cpu.py -k 'wide_products_are_right and float32'",
    ),
    Fault(
        "numba-offer-awaited", MISSING, "kernels/matmul/blocks.py",
        "wait_until_finished(offer, blocks)", "wait_until_finished(offer, 0)",
        "tests/kernels/matmul/test_offer.py -k one_threads_bits",
    ),
    Fault(
        "numba-offer-claimed", ORDER, "kernels/matmul/offer.py",
        "if atomics.exchange_if(offer, STATE, state, state + 1):",
        "if atomics.exchange_if(offer, STATE, atomics.load(offer, STATE), state + 1):",
        "tests/kernels/matmul/test_offer.py -k claimed_once",
    ),
    Fault(
        "numba-offer-counted", STALE, "kernels/matmul/offer.py",
        "offer[FINISHED] = 0", "offer[FINISHED] += 0",
        "tests/kernels/matmul/test_offer.py -k one_threads_bits",
    ),
    Fault(
        "numba-product-packed-row", INDEX, "kernels/matmul/tiles.py",
        "b + number_in(index, k) * b_row * size, packed", "b + k * b_row * size, packed",
        "tests/kernels/matmul/test_cpu.py -k wide_products_of_columns",
    ),
    Fault(
        "numba-product-packed-panel", INDEX, "kernels/matmul/tiles.py",
        "b + j * depth * size, panel, depth", "b + j * size, panel, depth",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-packed-last-panel", MISSING, "kernels/matmul/tiles.py",
        "elif right > 2 * width:", "elif right > 3 * width:",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-packed-strips", INDEX, "kernels/matmul/blocks.py",
        "b + (start * depth + j - start) * size", "b + start * depth * size",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-packed-columns", ONE, "kernels/matmul/blocks.py",
        "evenly(columns, most - most % width)", "evenly(columns, most)",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-packed-depth", ONE, "kernels/matmul/limits.py",
        "return -(-depth // width) * width", "return depth",
        "tests/kernels/matmul/test_packed.py -k nothing_behind",
    ),
    Fault(
        "numba-product-packed-tile", INDEX, "kernels/matmul/tiles.py",
        "packed + k * TILE_ROWS * size))", "packed + k * size))",
        "tests/kernels/matmul/test_packed.py -k in_panels",
    ),
    Fault(
        "numba-product-other-columns", STALE, "kernels/matmul/cpu.py",
        "out[j, o] = 0", "out[j, o] += 0",
        "tests/kernels/matmul/test_cpu.py -k 'multiplied_in_place and float32'",
    ),
    Fault(
        "numba-product-transposed", INDEX, "kernels/_numba/simd.py",
        "self.width + lane - distance", "self.width + lane",
        "tests/kernels/matmul/test_cpu.py -k whole_numbers",
    ),
    Fault(
        "numba-steps-clipping", MISSING, "kernels/_engine/regularization.py",
        "length = math.sqrt(squares)", "length = squares",
        "tests/backends/numba_backend/test_workers.py -k 'every_network and adamw'",
    ),
    Fault(
        "numba-steps-piece", INDEX, "kernels/_engine/updates.py",
        "stage.kernel + first * stage.outputs * size_of", "stage.kernel + first * size_of",
        "tests/backends/numba_backend/test_nonzero_columns.py -k 'numpy_backend and units/1'",
    ),
    Fault(
        "numba-steps-group", INDEX, "kernels/_engine/updates.py",
        "size, segments[s, 2])", "size, 0)",
        "tests/dnnkit/test_parameter_groups.py -k 'moments_of_their_own and numba'",
    ),
    Fault(
        "numba-steps-average", MISSING, "kernels/_engine/updates.py",
        "slots + run.average_slot, constants", "slots, constants",
        "tests/dnnkit/test_parameter_groups.py -k 'running_mean and numba'",
    ),
    Fault(
        "numba-steps-norm-of-each", INDEX, "kernels/_engine/regularization.py",
        "norms[worker.number, segments[s, 3]] += squares", "norms[worker.number, segments[s, 3]] = squares / 2",
        "tests/dnnkit/test_parameter_groups.py -k 'any_partition and rows/2'",
    ),
    Fault(
        "numba-steps-counted", ONE, "kernels/_engine/updates.py",
        "update_number = (run.first_update + made) // run.accumulation + 1",
        "update_number = (run.first_update + made) // run.accumulation + 2",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/1'",
    ),
    Fault(
        "numba-steps-norm", INDEX, "kernels/_engine/regularization.py",
        "worker.own if worker.number > 0 else worker.share", "worker.share",
        "tests/backends/numba_backend/test_workers.py -k 'every_network and adamw'",
    ),
    Fault(
        "numba-steps-gradients", MISSING, "kernels/_engine/exchange.py",
        "gradient[e] += summand[e]", "gradient[e] = summand[e]",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and rows/2'",
    ),
    Fault(
        "numba-steps-parameters", MISSING, "kernels/_engine/exchange.py",
        "if number_of_other != worker.number", "if number_of_other > worker.number",
        "tests/dnnkit/test_parameter_groups.py -k 'any_partition and rows/2'",
    ),
    Fault(
        "numba-steps-loss", SCALE, "kernels/_engine/stages.py",
        "(1.0 / weight if weight > 0 else 0.0)", "(1.0 / worker.rows if worker.rows > 0 else 0.0)",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/1'",
    ),
    Fault(
        "numba-steps-row-weights", INDEX, "kernels/_engine/batches.py",
        "number(run.zero, given, rows[i])", "number(run.zero, given, i)",
        "tests/backends/numba_backend/test_worker_shards.py -k batch_sizes_and_partitions",
    ),
    Fault(
        "numba-steps-mask", MISSING, "kernels/_engine/stages.py",
        "* stage.width + stage.first_output", "* stage.width",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/2'",
    ),
    Fault(
        "numba-steps-partial-sums", STALE, "kernels/_engine/stages.py",
        "summand[e] if other == 0 else out[e] + summand[e]", "out[e] + summand[e]",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/2'",
    ),
    Fault(
        "numba-steps-few-rows", MISSING, "kernels/_engine/batches.py",
        "given[e] * scale + offset", "given[e] * scale",
        "tests/dnnkit/exports/test_numpy_source.py -k 'without_dnnkit and numba and float64'",
    ),
]  # fmt: skip

CUDA = [
    Fault(
        "cuda-row-number", INDEX, "kernels/_cuda/rows.cu",
        "start + threadIdx.x / group", "start + threadIdx.x % group",
        "tests/conformance -k 'CPU-activation-values-softmax'",
    ),
    Fault(
        "cuda-row-largest", SIGN, "kernels/_cuda/rows.cu",
        "b > a || b != b ? b : a", "b < a || b != b ? b : a",
        "tests/conformance -k 'CPU-activation-values-softmax'",
    ),
    Fault(
        "cuda-tile-pitch", SCALE, "kernels/_cuda/rows.cu",
        "columns + group - 1) / group | 1) * group", "columns + group - 1) / group | 1)",
        "tests/kernels/_cuda/test_rows.py -k 'every_length and float32'",
    ),
    Fault(
        "cuda-peak-rescaled", MISSING, "kernels/_cuda/rows.cu",
        "total *= exp(largest - now);", "",
        "tests/kernels/_cuda/test_rows.py -k 'every_length and float32'",
    ),
    Fault(
        "cuda-peaks-joined", MISSING, "kernels/_cuda/rows.cu",
        "row_sum(row, mine.total * exp(mine.largest - largest))", "row_sum(row, mine.total)",
        "tests/kernels/_cuda/test_rows.py -k 'every_length and float32'",
    ),
    Fault(
        "cuda-tile-inverse", ONE, "kernels/_cuda/rows.cu",
        "0xffffffffu / static_cast<unsigned int>(columns) + 1", "0xffffffffu / static_cast<unsigned int>(columns)",
        "tests/kernels/_cuda/test_rows.py -k 'every_length and float32'",
    ),
    Fault(
        "cuda-count-of-chunk", DTYPE, "kernels/_cuda/packs.cu",
        "count - start < CHUNK ? count - start : CHUNK", "count - start",
        "tests/kernels/_cuda/test_large_arrays.py",
    ),
    Fault(
        "cuda-rows-of-chunk", INDEX, "kernels/dense/gpu.cu",
        "return (start + row) * columns + column;", "return static_cast<long long>(row) * columns + column;",
        "tests/kernels/_cuda/test_large_arrays.py",
    ),
    Fault(
        "cuda-turns-ahead", ONE, "kernels/_cuda/packs.cu",
        "i + (UNROLL - 1) * stride < end", "i + (UNROLL - 2) * stride < end",
        "tests/kernels/_cuda/test_large_arrays.py",
    ),
    Fault(
        "cuda-dropout-words", INDEX, "kernels/dropout/draw.cu",
        "words.lane[k + lane]", "words.lane[lane]",
        "tests/kernels/dropout/test_gpu.py -k 'draws_the_same or drawing_within'",
    ),
    Fault(
        "cuda-dropout-backward", MISSING, "kernels/dense/gpu.cu",
        "if (dropped) dropout.apply(values, place(row));", "",
        "tests/kernels/dropout/test_gpu.py -k draws_the_same",
    ),
    Fault(
        "cuda-sums-of-warps", MISSING, "kernels/_cuda/sums.cu",
        "offset = 16;", "offset = 8;",
        "tests/conformance -k 'CPU-loss-many_small_rows-mean_squared'",
    ),
    Fault(
        "cuda-sums-barrier", ORDER, "kernels/_cuda/sums.cu",
        "__syncthreads();  // until every warp has written its sum", "",
        "tests/conformance -k 'CPU-loss-many_small_rows-mean_squared'",
    ),
    Fault(
        "cuda-sums-of-parts", DTYPE, "kernels/_cuda/sums.cu",
        "double sum = 0;", "float sum = 0;",
        "tests/conformance -k 'CPU-loss-many_small_rows-mean_squared'",
    ),
    Fault(
        "cuda-columns-half", INDEX, "kernels/_cuda/columns.cu",
        "mine[half * blockDim.x]", "mine[half]",
        "tests/kernels/dense/test_gpu.py -k 'bias_gradient and float32'",
    ),
    Fault(
        "cuda-columns-barrier", ORDER, "kernels/_cuda/columns.cu",
        "        __syncthreads();", "",
        "tests/kernels/dense/test_gpu.py -k 'bias_gradient and float32'",
    ),
    Fault(
        "cuda-elementwise-packs", ONE, "kernels/_cuda/packs.cu",
        "packs = here / LANES;", "packs = (here + LANES - 1) / LANES;",
        "tests/conformance -k 'CPU-activation-values-relu'",
    ),
    Fault(
        "cuda-dense-saved", STALE, "kernels/dense/gpu.cu",
        "if (SAVES_INPUT) store", "if (false) store",
        "tests/conformance -k 'CPU-dense-values-gelu'",
    ),
    Fault(
        "cuda-dense-last-chunk", ONE, "kernels/dense/gpu.cu",
        "rows - first < chunk ? rows - first : chunk", "chunk",
        "tests/kernels/dense/test_gpu.py -k 'bias_gradient and float32'",
    ),
    Fault(
        "cuda-dense-chunks", ONE, "kernels/dense/gpu.py",
        "-(-rows // chunks)", "rows // chunks",
        "tests/kernels/dense/test_gpu.py -k 'bias_gradient and float32'",
    ),
    Fault(
        "cuda-softmax-bias", MISSING, "kernels/activations/softmax/gpu.cu",
        "number = biased(k, number);", "biased(k, number);",
        "tests/kernels/activations/test_gpu.py -k a_bias_is_added",
    ),
    Fault(
        "cuda-variant-row", INDEX, "kernels/variants.py",
        "wanted, shares[k] * factor, &slope", "wanted, shares[0] * factor, &slope",
        "tests/conformance/test_variants.py -k 'CPU and mean_squared_error'",
    ),
    Fault(
        "cuda-softmax-cross-entropy-factor", SCALE, "kernels/losses/softmax_cross_entropy/gpu.cu",
        "step - factor * t", "step - t",
        "tests/conformance -k 'CPU-loss-values-softmax'",
    ),
    Fault(
        "cuda-softmax-cross-entropy-targets", MISSING, "kernels/losses/softmax_cross_entropy/gpu.cu",
        "factor * target_sum / peak.total", "factor / peak.total",
        "tests/conformance -k 'CPU-loss-values-softmax'",
    ),
    Fault(
        "cuda-row-target-sum", MISSING, "kernels/losses/softmax_cross_entropy/gpu.cu",
        "target_sum = row_sum(row, target_sum)", "target_sum = target_sum",
        "tests/conformance -k 'CPU-loss-values-softmax'",
    ),
    Fault(
        "cuda-sigmoid-cross-entropy-exponent", SIGN, "kernels/losses/sigmoid_cross_entropy/gpu.cu",
        "exp(-fabs(z))", "exp(fabs(z))",
        "tests/conformance -k 'CPU-loss-values-sigmoid'",
    ),
    Fault(
        "cuda-accuracy-tie", ORDER, "kernels/metrics/categorical_accuracy/gpu.cu",
        "b.place < a.place", "b.place > a.place",
        "tests/conformance -k 'CPU-metric-values-categorical'",
    ),
    Fault(
        "cuda-philox-key", INDEX, "kernels/philox/words.cu",
        "high0 ^ c3 ^ k1", "high0 ^ c3 ^ k0",
        "tests/kernels/dropout/test_gpu.py -k known_answers",
    ),
    Fault(
        "cuda-dropout-last-pack", ONE, "kernels/dropout/mask.cu",
        "place + 4 <= count", "place + 3 <= count",
        "tests/conformance -k 'CPU-data-masks'",
    ),
    Fault(
        "cuda-gather-row", INDEX, "kernels/gather/gpu.cu",
        "rows[i] : i) * features", "i : i) * features",
        "tests/conformance -k 'CPU-data-values-gather'",
    ),
    Fault(
        "cuda-gather-place", INDEX, "kernels/gather/gpu.cu",
        "order + step % period * batch", "order + step % period",
        "tests/cuda_on_cpu/test_recorded_step.py -k 'bits_are_the_same and sparse'",
    ),
    Fault(
        "cuda-step-of-dropout", STALE, "kernels/gather/gpu.cu",
        "clock[BASE] + step", "clock[BASE]",
        "tests/cuda_on_cpu/test_recorded_step.py -k 'bits_are_the_same and dropout'",
    ),
    Fault(
        "cuda-sums-of-two", ORDER, "kernels/_cuda/sums.cu",
        "__syncthreads();  // until thread 0 has read the previous sums", "",
        "tests/kernels/losses/test_gpu.py -k sums_of_loss_and_metric",
    ),
    Fault(
        "cuda-gather-precision", DTYPE, "kernels/gather/gpu.cu",
        "REAL(numbers.lane[lane])", "REAL(float(numbers.lane[lane]))",
        "tests/conformance -k 'CPU-data-rounded_once-gather'",
    ),
    Fault(
        "cuda-adamw-decay", ORDER, "kernels/optimizer_step/gpu.cu",
        "p * decay - step_size * first_moment / (sqrt(second_moment) * root_correction + epsilon)",
        "(p - step_size * first_moment / (sqrt(second_moment) * root_correction + epsilon)) * decay",
        "tests/conformance -k 'CPU-optimizer-steps-adamw'",
    ),
    Fault(
        "cuda-update-second-slot", STALE, "kernels/optimizer_step/gpu.cu",
        "if (SLOTS > 1) packs.write(second + i, held.two)", "if (SLOTS > 2) packs.write(second + i, held.two)",
        "tests/conformance -k 'CPU-optimizer-steps-adam'",
    ),
    Fault(
        "cuda-adam-correction", MISSING, "kernels/optimizer_step/gpu.py",
        "1 / sqrt(1 - beta_2**step)", "1 / (1 - beta_2**step)",
        "tests/conformance -k 'CPU-optimizer-steps-adam'",
    ),
    Fault(
        "cuda-norm-squares", DTYPE, "kernels/clip_norm/gpu.cu",
        "static_cast<double>(values.lane[lane]) * values.lane[lane]", "values.lane[lane] * values.lane[lane]",
        "tests/kernels/clip_norm/test_gpu.py -k do_not_overflow",
    ),
    Fault(
        "cuda-norm-of-one-block", STALE, "kernels/clip_norm/gpu.py",
        "if parts == 1 else", "if parts == 0 else",
        "tests/conformance -k 'CPU-data-clipped'",
    ),
    Fault(
        "cuda-embedding-positions", INDEX, "kernels/stages/embedding/gpu.cu",
        "__ffs(static_cast<int>(left)) - 1", "__ffs(static_cast<int>(left) & -2) - 1",
        "tests/kernels/stages/test_gpu.py -k 'cpu and embedding'",
    ),
    Fault(
        "cuda-layer-moments", INDEX, "kernels/stages/layer_normalization/sums.cu",
        "moments[2 * row + 1]", "moments[2 * row]",
        "tests/kernels/stages/test_gpu.py -k 'cpu and layer_normalization'",
    ),
    Fault(
        "cuda-losses-joined", MISSING, "kernels/_cuda/outputs.cu",
        "sum += loss_weights[k] * losses[k];", "sum += losses[k];",
        "tests/cuda_on_cpu/test_cupy_graphs.py -k every_kind",
    ),
    Fault(
        "cuda-gradient-passed-on", STALE, "kernels/stages/add/gpu.py",
        "any(needs_dx[:place])", "not needs_dx[place]",
        "tests/cuda_on_cpu/test_cupy_graphs.py -k every_kind",
    ),
    Fault(
        "cuda-statistics-of-a-step", MISSING, "backends/cupy_backend/timed_executable.py",
        "self._take_statistics(self._training.stages.statistics)", "pass",
        "tests/cuda_on_cpu/test_cupy_graphs.py -k every_kind",
    ),
]  # fmt: skip

BACKENDS = [
    Fault(
        "backends-stream-weight", MISSING, "backends/numba_backend/executable.py",
        "self.state.position - step, step, step, sums", "self.state.position - step, step, step, None",
        "tests/dnnkit/streams/test_streams.py -k 'numba and in_their_order'",
    ),
    Fault(
        "backends-stream-offset", INDEX, "dnnkit/training/stretches.py",
        "step = executable.state.position - part.first", "step = executable.state.position",
        "tests/dnnkit/streams/test_streams.py -k 'numba and loses_its_loss'",
    ),
    Fault(
        "backends-rows-before-a-part", MISSING, "backends/numba_backend/batch_part.py",
        "team.begin_with(before)", "team.begin_with(0)",
        "tests/dnnkit/distributed/test_ranks.py -k 'parts_of_a_batch and numba'",
    ),
    Fault(
        "backends-order-of-ranks", ORDER, "dnnkit/distributed/reduction.py",
        "middle, me = (start + stop) // 2,", "middle, me = start + 1,",
        "tests/dnnkit/distributed/test_reduction.py",
    ),
    Fault(
        "backends-halves-of-ranks", ORDER, "dnnkit/distributed/reduction.py",
        "in reversed(halves):", "in halves:",
        "tests/dnnkit/distributed/test_reduction.py",
    ),
    Fault(
        "backends-slot-given-away", ONE, "backends/stagewise/lifetimes.py",
        "if self._readers == 0:", "if self._readers <= 1:",
        "tests/backends/stagewise/test_lifetimes.py",
    ),
    Fault(
        "backends-chunk-of-its-own-weight", SCALE, "backends/stagewise/executable.py",
        "*feed.batch(step), whole, penalizes", "*feed.batch(step), float(weights[step]), penalizes",
        "tests/dnnkit/test_lbfgs.py -k 'in_chunks and strict'",
    ),
    Fault(
        "backends-interrupted-iteration", STALE, "kernels/lbfgs/iteration.py",
        "s.pairs, s.evaluations = s.pairs_before, s.evaluations_before", "s.pairs = s.pairs_before",
        "tests/dnnkit/test_lbfgs.py -k 'whole_iterations and numpy'",
    ),
    Fault(
        "backends-lbfgs-assigned-parameters", STALE, "backends/full_batch.py",
        "self._iterations.forget()  # a frozen parameter", "pass  # a frozen parameter",
        "tests/dnnkit/test_lbfgs.py -k 'assignment_by_a_callback and numpy and True'",
    ),
    Fault(
        "backends-many-shared-rows", INDEX, "dnnkit/training/run.py",
        "self.among[order]", "order",
        "tests/dnnkit/many/test_fitting.py -k 'folds_are_rows and numpy'",
    ),
    Fault(
        "backends-many-updates", STALE, "backends/numba_backend/many.py",
        "= state.step + done", "= state.step",
        "tests/backends/numba_backend/test_many.py -k trains_whom",
    ),
    Fault(
        "backends-unseen-validation", MISSING, "dnnkit/training/loop.py",
        "if run.is_validated(epoch + count)), most)", "if run.is_validated(epoch + count + 1)), most)",
        "tests/dnnkit/test_lbfgs.py -k 'with_a_listener and numpy'",
    ),
    Fault(
        "backends-jacobian-before-head", MISSING, "dnnkit/network/jacobian.py",
        'if program.head != "linear":', 'if program.head == "never":',
        "tests/dnnkit/network/test_jacobian.py -k 'in_inputs and numpy and softmax'",
    ),
    Fault(
        "backends-test-batches-so-far", ONE, "backends/numba_backend/readers.py",
        "Steps(step, step + 1)", "Steps(step, step)",
        "tests/dnnkit/callbacks/test_callback.py -k 'logs_of_an_evaluation and numba'",
    ),
    Fault(
        "backends-older-batch-name", MISSING, "dnnkit/callbacks/callback_list.py",
        "found.setdefault(newer, method)", "found.setdefault(older, method)",
        "tests/dnnkit/callbacks/test_callback.py -k 'called_in_order and numpy'",
    ),
    Fault(
        "backends-rate-set-twice", STALE, "dnnkit/callbacks/learning_rates.py",
        "if self._set_for == epoch:", "if self._set_for == -1:",
        "tests/dnnkit/training/test_checkpoints.py -k 'counters_and_learning_rates and epochs'",
    ),
    Fault(
        "backends-patience", ONE, "dnnkit/callbacks/learning_rates.py",
        "self._waited >= self.patience", "self._waited > self.patience",
        "tests/dnnkit/callbacks/test_learning_rates.py -k counts_as_keras",
    ),
    Fault(
        "backends-summed-weight", STALE, "backends/stagewise/accumulator.py",
        "self._weight += weight", "self._weight = weight",
        "tests/backends/test_executable.py -k 'evaluation_does_not_depend and numpy'",
    ),
    Fault(
        "backends-last-batch", MISSING, "backends/stagewise/flat.py",
        "sums[whole:] = rest", "sums[whole:] = batch_size",
        "tests/backends/test_executable.py -k 'evaluation_does_not_depend and numpy'",
    ),
    Fault(
        "backends-weights-in-order", INDEX, "backends/stagewise/flat.py",
        "data.host_weights[order]", "data.host_weights[: len(order)]",
        "tests/dnnkit/training/test_loop.py -k 'weights_count and numpy'",
    ),
    Fault(
        "backends-labels", DTYPE, "backends/stagewise/batches.py",
        "dtype=values.dtype", "dtype=self._dtype",
        "tests/backends/test_executable.py -k 'one_call and sparse and numpy'",
    ),
    Fault(
        "backends-numpy-rescaling-by-one", STALE, "backends/numpy_backend.py",
        "scale != 1.0 or x is not out", "scale != 1.0",
        "tests/conformance -k 'numpy-data-rescaled'",
    ),
    Fault(
        "backends-numpy-mask", INDEX, "backends/numpy_backend.py",
        "mask(start, count, rate", "mask(0, count, rate",
        "tests/conformance -k 'numpy-data-masks'",
    ),
    Fault(
        "backends-stages-gradients", ORDER, "backends/stagewise/stages.py",
        "[gradients[name] for name in self._layout.names if name in gradients]", "list(gradients.values())",
        "tests/backends/test_executable.py -k 'trajectory and strict and sparse and adam and float64'",
    ),
    Fault(
        "backends-stages-shared", STALE, "backends/stagewise/stages.py",
        "if parameter.name in gradients:", "if parameter.name in ():",
        "tests/backends/test_graphs.py -k 'gradients_of_two and numpy'",
    ),
    Fault(
        "backends-outputs-weight", SCALE, "backends/outputs.py",
        "scale * output.loss_weight", "scale",
        "tests/backends/test_graphs.py -k 'gradients_of_two and numpy'",
    ),
    Fault(
        "backends-wiring-shared", ORDER, "backends/numba_backend/wiring.py",
        "return self._owners[parameter.name][0] == stage", "return self._owners[parameter.name][-1] == stage",
        "tests/backends/numba_backend/test_graphs.py -k 'outputs and units/1'",
    ),
    Fault(
        "numba-connections-slope", MISSING, "kernels/_engine/connections.py",
        "total = vector(run.zero, one.sum, summand.size)", "total = summand",
        "tests/backends/numba_backend/test_graphs.py -k 'outputs and units/1'",
    ),
    Fault(
        "backends-learning-rate", INDEX, "backends/stagewise/executable.py",
        "self._run_step(step, float(rates[step - first])", "self._run_step(step, float(rates[0])",
        "tests/backends/test_executable.py -k 'one_call and nesterov and numpy'",
    ),
    Fault(
        "backends-share", ONE, "backends/numba_backend/partition.py",
        "-(-groups * number // workers)", "(groups * number // workers)",
        "tests/backends/numba_backend/test_cost_model.py -k no_worker_computes_more",
    ),
    Fault(
        "backends-schedule-first", ONE, "backends/numba_backend/bytecode.py",
        "if wanted[place + 1]]", "if wanted[place]]",
        "tests/backends/numba_backend/test_bytecode.py -k every_stage",
    ),
    Fault(
        "backends-cost-of-products", SCALE, "backends/numba_backend/cost_model.py",
        "2 * rows * inputs * outputs / flops", "rows * inputs * outputs / flops",
        "tests/backends/numba_backend/test_cost_model.py -k products_cost",
    ),
    Fault(
        "backends-team-totals", SCALE, "backends/numba_backend/team_memory.py",
        'workers if partition.by == "rows" else 1', "workers",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/2'",
    ),
    Fault(
        "backends-team-weights", STALE, "backends/numba_backend/workers.py",
        "self._row_weights.fill(1)", "self._row_weights.sum()",
        "tests/backends/numba_backend/test_workers.py -k 'few_and_many_rows and units/2'",
    ),
    Fault(
        "backends-epoch-assigned", STALE, "backends/numba_backend/weights.py",
        'self.newest, self.writing = "flat", None  # shards', "pass  # shards",
        "tests/backends/numba_backend/test_weights.py -k written_in_one_layout",
    ),
    Fault(
        "backends-single-step-numbers", STALE, "backends/numba_backend/single_step.py",
        "numbers is not self._numbers or", "",
        "tests/backends/numba_backend/test_single_step.py -k 'read and units/2'",
    ),
    Fault(
        "backends-single-step-rate", STALE, "backends/numba_backend/single_step.py",
        "self._structure.rates = address(hyperparameters.learning_rates)", "pass",
        "tests/backends/numba_backend/test_single_step.py -k 'schedule and nothing'",
    ),
    Fault(
        "backends-single-step-constants", STALE, "backends/numba_backend/single_step.py",
        "hyperparameters.constants is not before.constants", "False",
        "tests/backends/numba_backend/test_single_step.py -k decay_less",
    ),
    Fault(
        "backends-epoch-stopped", ONE, "backends/numba_backend/executable.py",
        "+= done - first", "+= last - first",
        "tests/backends/test_executable.py -k 'stop_request and numba'",
    ),
    Fault(
        "backends-epoch-input-gradient", SCALE, "backends/numba_backend/steps.py",
        "team.input_gradient(rows) * self._rescale.scale", "team.input_gradient(rows)",
        "tests/dnnkit/network/test_gradients.py -k 'raw_input and numba'",
    ),
    Fault(
        "backends-assigned-shards", STALE, "backends/numba_backend/weights.py",
        "self._waiting.add(name)", "pass",
        "tests/backends/numba_backend/test_weights.py -k values_written_in_one_layout",
    ),
    Fault(
        "backends-one-batch-labels", MISSING, "backends/numba_backend/one_batch.py",
        "self._range[0] <= low and", "",
        "tests/dnnkit/network/test_own_loops.py -k 'bad_batch_after_good and label and numba'",
    ),
    Fault(
        "backends-one-batch-bits", STALE, "backends/numba_backend/one_batch.py",
        "if marks or not is_bytes else None", "if not is_bytes else None",
        "tests/backends/numba_backend/test_nonzero_columns.py -k 'no_bit_of_training and uint8 and units/1'",
    ),
    Fault(
        "backends-frozen-first", INDEX, "backends/numba_backend/partition.py",
        "(not piece[1].trainable, not piece[0])", "(piece[1].trainable, not piece[0])",
        "tests/backends/numba_backend/test_frozen.py -k 'every_partition and units/2 and pair'",
    ),
    Fault(
        "backends-frozen-fused", MISSING, "backends/numba_backend/bytecode.py",
        "if isinstance(stage, Dense) and is_trained(stage):", "if isinstance(stage, Dense):",
        "tests/backends/numba_backend/test_bytecode.py -k updated_once",
    ),
    Fault(
        "backends-frozen-decays", INDEX, "backends/stagewise/flat.py",
        "self._trained = FlatLayout(trained,", "self._trained = FlatLayout((*trained, *frozen),",
        "tests/dnnkit/network/test_freezing.py -k 'passes_the_kit and numpy'",
    ),
    Fault(
        "cuda-dense-frozen", MISSING, "kernels/dense/gpu.py",
        "_weigh(activation.name, dy, saved, dz, None, None)", '_weigh("linear", dy, saved, dz, None, None)',
        "tests/conformance -k 'CUDA and input_alone'",
    ),
    Fault(
        "backends-applied-flat", INDEX, "backends/stagewise/layout.py",
        "(begin is not None and place != begin)", "False",
        "tests/dnnkit/network/test_own_loops.py -k 'applied_gradients and numba'",
    ),
    Fault(
        "backends-optimizer-kept", STALE, "dnnkit/base_optimizer.py",
        'vars(self).pop("_made", None)', 'vars(self).get("_made", None)',
        "tests/dnnkit/test_optimizers.py -k assigned_number_takes_effect",
    ),
    Fault(
        "numba-gradients-by-rows", INDEX, "kernels/_engine/exchange.py",
        "total = summand[e] if other == 0 else whole[e] + summand[e]", "total = summand[e]",
        "tests/backends/numba_backend/test_crew.py -k 'gradients_by_rows'",
    ),
    Fault(
        "backends-readers-buffers", STALE, "backends/stagewise/pool.py",
        "self._idle[key].pop()", "self._idle[key][-1]",
        "tests/dnnkit/network/test_threads.py -k 'many_readers and numpy'",
    ),
    Fault(
        "backends-readers-within-a-step", ORDER, "dnnkit/network/fair_lock.py",
        "while self._owner() != me:", "while False:",
        "tests/dnnkit/network/test_threads.py -k parameters_are_of_a_whole_step",
    ),
    Fault(
        "backends-readers-fast-path", STALE, "backends/numba_backend/readers.py",
        "self._idle_few.pop()", "self._idle_few[-1]",
        "tests/backends/numba_backend/test_backend.py -k few_rows_have_separate",
    ),
    Fault(
        "backends-blas-bound", ORDER, "backends/blas_threads.py",
        "not self._users or (self._kind == kind and kind is not ALONE)", "True",
        "tests/backends/test_blas_threads.py -k nobody_sees",
    ),
    Fault(
        "backends-blas-interrupted", MISSING, "backends/blas_threads.py",
        "except BaseException:  # Ctrl-C at this moment", "except ValueError:  # Ctrl-C at this moment",
        "tests/backends/test_blas_threads.py -k any_moment",
    ),
    Fault(
        "backends-giant-step-left", STALE, "backends/stagewise/giant_step.py",
        "while self._ended is not None and not self._ended.wait(LOOK):", "while False:",
        "tests/backends/stagewise/test_giant_step.py -k interrupted_wait",
    ),
    Fault(
        "backends-sums-loss", STALE, "backends/stagewise/accumulator.py",
        "self._loss, self._metrics = self._on_device(loss), []", "self._metrics = []",
        "tests/dnnkit/training/test_interrupted.py -k 'of_two_fits and numpy and saved'",
    ),
    Fault(
        "reference-outcomes-swapped", ORDER, "kernels/_reference/rows.py",
        "for mask in (predicted & actual, predicted, actual)", "for mask in (predicted & actual, actual, predicted)",
        "tests/dnnkit/measures/test_definitions.py -k 'shares_of_one_output or shares_of_classes'",
    ),
    Fault(
        "reference-determination-mean", MISSING, "dnnkit/measures/finishing.py",
        "around_mean = squares - targets**2 / weight", "around_mean = squares",
        "tests/dnnkit/measures/test_definitions.py -k determination",
    ),
    Fault(
        "reference-histogram-ties", MISSING, "dnnkit/measures/finishing.py",
        "np.cumsum(no, axis=-1) - no / 2", "np.cumsum(no, axis=-1)",
        "tests/dnnkit/measures/test_definitions.py -k area_under",
    ),
    Fault(
        "numba-metric-first-sum", INDEX, "backends/numba_backend/program_kernels.py",
        "first + metric.sums", "first + 1",
        "tests/dnnkit/test_metrics.py -k 'scikit_learns_numbers and numba'",
    ),
    Fault(
        "numba-metric-of-scores", STALE, "backends/numba_backend/bytecode.py",
        '[Instruction("predict_for_metrics")] if key.predictions else []', "[]",
        "tests/dnnkit/test_metrics.py -k 'scikit_learns_numbers and numba'",
    ),
    Fault(
        "numba-histogram-of-other-output", INDEX, "kernels/metrics/score_histogram/cpu.py",
        "sums[(outputs * yes + k) * BINS + place] += weight", "sums[outputs * yes * BINS + place] += weight",
        "tests/conformance -k 'points-metric-values-score_histogram'",
    ),
    Fault(
        "cuda-sums-last-part", ONE, "kernels/_cuda/metric_sums.cu",
        "for (long long block = 0; block < blocks; ++block)", "for (long long block = 0; block < blocks - 1; ++block)",
        "tests/conformance -k 'CPU-metric-values-outcomes'",
    ),
    Fault(
        "backends-sums-of-many", STALE, "backends/stagewise/accumulator.py",
        "own, metrics = metrics[:count], metrics[count:]", "own, metrics = metrics[:count], metrics[1:]",
        "tests/dnnkit/test_metrics.py -k 'sums_of_the_whole and numpy'",
    ),
    Fault(
        "numba-sums-first-step", INDEX, "backends/numba_backend/executable.py",
        "= sums.first, self.state.position, sums.nan_step", "(self.state.position, self.state.position), sums.nan_step",
        "tests/dnnkit/training/test_interrupted.py -k 'of_two_fits and numba and saved'",
    ),
    Fault(
        "backends-balanced-after-split", STALE, "dnnkit/network/fitting.py",
        "(*held_out[:2], balanced(held_out[2], program))", "held_out",
        "tests/dnnkit/network/test_output_weights.py -k 'held_out and numpy'",
    ),
    Fault(
        "backends-average-before-it-holds", ORDER, "backends/numba_backend/team_memory.py",
        "run.averages_apart = bool(program.bounds)", "run.averages_apart = False",
        "tests/dnnkit/layers/test_penalties.py -k 'running_means and units/1 and 1'",
    ),
    Fault(
        "backends-fused-mode", INDEX, "backends/numba_backend/fusing.py",
        'Part(settings["mode"], settings["sizes"]', 'Part("count", settings["sizes"]',
        "tests/backends/numba_backend/test_fusing.py -k 'one_hot and units/1'",
    ),
    Fault(
        "backends-own-parts-columns", INDEX, "backends/numba_backend/own_parts.py",
        "slope[:, slice(*own.part.columns)] = gradient", "slope[:, : gradient.shape[1]] = gradient",
        "tests/backends/numba_backend/test_own_parts.py -k 'of_one_of_several and no'",
    ),
    Fault(
        "backends-own-parts-sums", STALE, "backends/numba_backend/own_parts.py",
        "self._sums[...] = self._before", "pass",
        "tests/backends/numba_backend/test_own_parts.py -k 'raised_after_whole_steps and backward'",
    ),
    Fault(
        "backends-own-parts-by-rows", STALE, "backends/numba_backend/own_parts.py",
        "0 if by_rows else first", "first",
        "tests/backends/numba_backend/test_own_parts.py -k 'in_every_partition and first'",
    ),
    Fault(
        "numba-own-parts-rows", INDEX, "kernels/_engine/own_parts.py",
        "row = worker.first_in_batch if run.by_rows else 0", "row = 0",
        "tests/backends/numba_backend/test_own_parts.py -k 'in_every_partition and first'",
    ),
    Fault(
        "backends-any-targets", DTYPE, "backends/measures.py",
        'or (self.targets == "any" and is_floating)', 'or self.targets == "any"',
        "tests/dnnkit/network/test_targets.py -k 'whole_numbers_of_any_shape and numpy'",
    ),
    Fault(
        "backends-own-parts-targets", INDEX, "backends/numba_backend/own_parts.py",
        "first = self._workers[0].step * batches.batch_size", "first = 0",
        "tests/dnnkit/network/test_targets.py -k 'of_any_shape and numba'",
    ),
    Fault(
        "backends-own-parts-updated-early", ORDER, "backends/numba_backend/bytecode.py",
        'may_update = at_once and place < last_call', 'may_update = at_once',
        "tests/backends/numba_backend/test_bytecode.py -k updates_come_after",
    ),
    Fault(
        "backends-streamed-last-chunk", STALE, "backends/cupy_backend/streaming.py",
        "min(self._size, len(self._order) - chunk * self._size)", "self._size",
        "tests/cuda_on_cpu/test_cupy_data.py -k go_in_chunks",
    ),
    Fault(
        "backends-streamed-wait", ORDER, "backends/cupy_backend/streaming.py",
        "if slot.free is not None", "if False",
        "tests/cuda_on_cpu/test_cupy_data.py -k go_in_chunks",
    ),
    Fault(
        "backends-recorded-stream", STALE, "backends/cupy_backend/timed_executable.py",
        "source.period, stream.ptr, threading", "source.period, threading",
        "tests/cuda_on_cpu/test_recorded_step.py -k other_streams",
    ),
    Fault(
        "backends-recorded-numbers", INDEX, "backends/cupy_backend/timed_executable.py",
        "of_step(rule.name, begun + n, rate", "of_step(rule.name, begun, rate",
        "tests/cuda_on_cpu/test_recorded_step.py -k 'bits_are_the_same and sparse'",
    ),
    Fault(
        "backends-follow-shards", STALE, "backends/numba_backend/readers.py",
        "own = self._homes.flat_to_write().parameters[0]", "own = self._homes.parameters",
        "tests/backends/numba_backend/test_worker_shards.py -k 'following and units'",
    ),
    Fault(
        "backends-recorded-workspace", STALE, "kernels/_cuda/products.py",
        "self._turn_to(self._stream)", "pass",
        "tests/cuda_on_cpu/test_recorded_step.py -k leaves_products",
    ),
    Fault(
        "backends-cupy-last-predictions", INDEX, "backends/cupy_backend/executable.py",
        "place[: len(data) - sum(map(len, copied))]", "place",
        "tests/cuda_on_cpu/test_cupy_waiting.py -k predictions_are_waited_for",
    ),
    Fault(
        "backends-cupy-overtaken", ORDER, "backends/cupy_backend/executable.py",
        "self._stream = stream  # other threads may have run in between", "pass",
        "tests/cuda_on_cpu/test_cupy_waiting.py -k overtaken",
    ),
    Fault(
        "backends-cupy-own-streams", ORDER, "backends/cupy_backend/executable.py",
        "if stream.ptr == PER_THREAD:", "if False:",
        "tests/cuda_on_cpu/test_cupy_waiting.py -k compare_equal",
    ),
    Fault(
        "backends-cupy-packed-place", INDEX, "backends/cupy_backend/executable.py",
        "place = self._layout.view(out, name, self._xp)",
        "place = self._xp.reshape(out[self._layout.offset(name) // 2 :][: array.size], array.shape)",
        "tests/cuda_on_cpu/test_cupy_backend.py -k where_they_belong",
    ),
    Fault(
        "backends-graph-columns-of-targets", INDEX, "dnnkit/network/lowering.py",
        "start, first = start + each.features, first + columns", "start, first = start + each.features, first",
        "tests/dnnkit/network/test_model.py -k 'weighted_sum_of_all and numpy'",
    ),
    Fault(
        "backends-graph-softmax-that-is-read", MISSING, "dnnkit/network/lowering.py",
        "is_read = lowering.readers(value) > 0 or values.count(value) > 1", "is_read = False",
        "tests/dnnkit/network/test_model.py -k 'absorbed_by_a_loss and numpy'",
    ),
    Fault(
        "backends-shared-layers-stale", STALE, "dnnkit/network/shared_layers.py",
        "shared.newest, shared.version = self, shared.version + 1", "shared.newest = self",
        "tests/dnnkit/network/test_shared_layers.py -k train_in_turn",
    ),
    Fault(
        "backends-diagnosis-next-step", ONE, "dnnkit/diagnosis/recorder.py",
        "rule.function(update + 1, p", "rule.function(update, p",
        "tests/dnnkit/diagnosis/test_layers.py -k 'updates_are_those and adam'",
    ),
    Fault(
        "numba-accumulated-too-soon", ONE, "kernels/_engine/updates.py",
        "(run.first_update + worker.step - run.first_step + 1) % run.accumulation",
        "(worker.step - run.first_step + 1) % run.accumulation",
        "tests/dnnkit/network/test_accumulation.py -k 'resumes_in_the_middle and numba'",
    ),
    Fault(
        "backends-accumulated-stale", STALE, "backends/stagewise/updating.py",
        "is_first=place == 0", "is_first=self.state.step == 1",
        "tests/dnnkit/network/test_accumulation.py -k 'small_batches and numpy'",
    ),
    Fault(
        "backends-open-step-state", STALE, "backends/stagewise/flat.py",
        "self.state, self._giant_step = other.state, other._giant_step", "self._giant_step = other._giant_step",
        "tests/dnnkit/network/test_open_step.py -k applies_the_gradients",
    ),
    Fault(
        "backends-open-step-logits", MISSING, "dnnkit/network/open_step.py",
        "self.of_logits and last_activation != ", "False and last_activation != ",
        "tests/dnnkit/network/test_open_step.py -k of_the_fused_loss",
    ),
    Fault(
        "backends-open-step-dropout", MISSING, "dnnkit/network/open_step.py",
        "program.stages if training else _as_predicted(program)", "program.stages",
        "tests/dnnkit/network/test_open_step.py -k by_differences",
    ),
    Fault(
        "backends-cupy-piece", INDEX, "backends/cupy_backend/backend.py",
        "flat[start : start + piece.size]", "flat[: piece.size]",
        "tests/cuda_on_cpu/test_cupy_failures.py -k piece_by_piece",
    ),
    Fault(
        "backends-folded-stale", STALE, "dnnkit/network/folding.py",
        "not averages and known[0] is turns.settled", "not averages",
        "tests/dnnkit/layers/test_folding.py -k 'follow_every_change and numpy'",
    ),
    Fault(
        "backends-averages-without-a-rule", MISSING, "backends/program.py",
        "groups=(), averages=False, accumulation=1", "groups=(), accumulation=1",
        "tests/dnnkit/layers/test_folding.py -k 'running_means and numba'",
    ),
    Fault(
        "backends-penalty-twice", ONE, "kernels/_engine/regularization.py",
        "first = worker.own - worker.share if worker.number > 0 else 0", "first = 0",
        "tests/dnnkit/layers/test_penalties.py -k 'every_partition and units'",
    ),
    Fault(
        "backends-moments-of-a-worker", MISSING, "kernels/stages/batch_normalization/cpu.py",
        "return rows_of_batch(worker, run) * (", "return worker.rows * (",
        "tests/backends/test_kinds.py -k 'numba and batch_normalization and trajectory and float64'",
    ),
    Fault(
        "backends-c-buffer-too-soon", STALE, "dnnkit/exports/c_body.py",
        "its.last >= extent.first and", "its.last > extent.first and",
        "tests/dnnkit/exports/test_c.py -k 'predicts_the_same and float32'",
    ),
    Fault(
        "backends-export-rows-together", MISSING, "dnnkit/exports/namespace.py",
        "if x.has_rows and 0 in axes:", "if False:",
        "tests/dnnkit/exports/test_tracing.py -k unsupported_operations",
    ),
    Fault(
        "backends-layout-guessed", ORDER, "dnnkit/saves/layouts.py",
        "[int(number) for number in re.findall", "[number for number in re.findall",
        "tests/dnnkit/saves/test_layouts.py -k keras_numbers_its_layers_on",
    ),
]  # fmt: skip

FAULTS = [*REFERENCE, *NUMBA, *CUDA, *BACKENDS]
