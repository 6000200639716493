"""JAX's side of `benchmarks.layers`: reads a network's name per line, and writes its seconds per step."""

import json
import os
import sys
import time

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # its own thread pool has no bound else

import jax
import jax.numpy as jnp
import numpy as np

SIZES = json.loads(sys.argv[1])
BATCH, STEPS, FEATURES, COLUMNS, CLASSES, WIDTH, UNITS = SIZES.values()
rng = np.random.default_rng(0)
classes = jnp.asarray(rng.integers(0, CLASSES, (STEPS, BATCH, COLUMNS)), jnp.int32)
x = jnp.asarray(rng.normal(size=(STEPS, BATCH, FEATURES)), jnp.float32)
y = jnp.asarray(rng.normal(size=(STEPS, BATCH, 1)), jnp.float32)


def made(*shapes):
    return [jnp.asarray(rng.normal(size=shape) * 0.1, jnp.float32) for shape in shapes]


def dense(inputs, outputs):
    return made((inputs, outputs), (outputs,))


def end(h, p):
    return jnp.maximum(h @ p[0] + p[1], 0) @ p[2] + p[3]


def end_of(inputs):
    return [*dense(inputs, UNITS), *dense(UNITS, 1)]


def normalized(normalize):
    def forward(x, p, key):
        h = normalize(x @ p[0] + p[1]) * p[2] + p[3]
        return jnp.maximum(h, 0) @ p[4] + p[5]

    return lambda: [*dense(FEATURES, UNITS), *made((UNITS,), (UNITS,)), *dense(UNITS, 1)], forward


def over(axis):
    def normalize(h):
        mean = h.mean(axis, keepdims=True)
        return (h - mean) * jax.lax.rsqrt(((h - mean) ** 2).mean(axis, keepdims=True) + 1e-3)

    return normalize


def periodic(x, p, key):
    angle = 2 * jnp.pi * p[0] * x[..., None]
    waves = jnp.concatenate([jnp.sin(angle), jnp.cos(angle)], -1)
    return end(jnp.maximum(jnp.einsum("bfk,fku->bfu", waves, p[1]) + p[2], 0).reshape(len(x), -1), p[3:])


def halves(merge, inputs):
    def forward(x, p, key):
        return end(merge(x @ p[0] + p[1], x @ p[2] + p[3]), p[4:])

    return lambda: [*dense(FEATURES, UNITS), *dense(FEATURES, UNITS), *end_of(inputs)], forward


MADE = {
    "Dense alone": (lambda: end_of(FEATURES), lambda x, p, key: end(x, p)),
    "BatchNormalization": normalized(over(0)),
    "LayerNormalization": normalized(over(1)),
    "RMSNormalization": normalized(lambda h: h * jax.lax.rsqrt((h * h).mean(1, keepdims=True) + 1e-6)),
    "PReLU": (
        lambda: [*dense(FEATURES, UNITS), *made((UNITS,)), *dense(UNITS, 1)],
        lambda x, p, key: (lambda h: jnp.where(h > 0, h, p[2] * h))(x @ p[0] + p[1]) @ p[3] + p[4],
    ),
    "Scale": (lambda: [*made((FEATURES,)), *end_of(FEATURES)], lambda x, p, key: end(x * p[0], p[1:])),
    "GaussianNoise": (
        lambda: end_of(FEATURES),
        lambda x, p, key: end(x + 0.1 * jax.random.normal(key, x.shape), p),
    ),
    "PeriodicEmbedding": (
        lambda: [*made((FEATURES, 8), (FEATURES, 16, 16), (FEATURES, 16)), *end_of(FEATURES * 16)],
        periodic,
    ),
    "Add": halves(jnp.add, UNITS),
    "Multiply": halves(jnp.multiply, UNITS),
    "Concatenate": halves(lambda a, b: jnp.concatenate([a, b], 1), 2 * UNITS),
    "Embedding": (
        lambda: [*made((CLASSES, WIDTH)), *end_of(COLUMNS * WIDTH)],
        lambda x, p, key: end(p[0][x].reshape(len(x), -1), p[1:]),
    ),
    "OneHot, 100 classes": (
        lambda: end_of(100 * COLUMNS),
        lambda x, p, key: end(jax.nn.one_hot(x % 100, 100).reshape(len(x), -1), p),
    ),
}


def trainer(forward):
    def loss_of(p, a, b, key):
        return ((forward(a, p, key) - b) ** 2).mean()

    def step(state, batch):
        p, m, v, t, key = state
        key, own = jax.random.split(key)
        loss, g = jax.value_and_grad(loss_of)(p, *batch, own)
        t = t + 1
        m = [0.9 * a + 0.1 * b for a, b in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * b * b for a, b in zip(v, g, strict=True)]
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        p = [a - rate * b / (jnp.sqrt(c) + 1e-7) for a, b, c in zip(p, m, v, strict=True)]
        return (p, m, v, t, key), loss

    return jax.jit(lambda state, given: jax.lax.scan(step, state, given), donate_argnums=0)


ready = {}
for line in sys.stdin:
    name = line.strip()
    if name not in MADE:
        print("null", flush=True)
        continue
    given = classes if name in ("Embedding", "OneHot, 100 classes") else x
    if name not in ready:
        make, forward = MADE[name]
        p = make()
        zeros = [[jnp.zeros_like(each) for each in p] for _ in range(2)]
        ready[name] = [trainer(forward), (p, *zeros, jnp.float32(0), jax.random.key(0))]
    train, state = ready[name]
    start = time.perf_counter()
    state, losses = train(state, (given, y))
    losses.block_until_ready()
    seconds = time.perf_counter() - start
    ready[name][1] = state
    print(json.dumps(seconds / STEPS), flush=True)
