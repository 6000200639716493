"""Serve a saved network over HTTP: `DNNKIT_RUN=runs/digits uvicorn --app-dir examples serve:app`, or any ASGI server.

    POST /predict  {"x": [row, ...]}  ->  {"predictions": [row, ...]}; for input that does not fit 400 {"error": ...}
    GET  /health                      ->  {"status": "ok"}

Requests that arrive while a prediction runs are predicted together in the next call of `predict`, which costs little
more for many rows than for one. On an idle server a request is predicted at once.
"""

import asyncio
import json
import os
from typing import Any

import numpy as np

import dnnkit as dk


class Server:
    """ASGI application that serves the predictions of a network.

    Arguments:
        net: a built network with one input and one output.
        most: the largest number of requests per call of `predict`.
    """

    def __init__(self, net: dk.Sequential | dk.Model, most: int = 256) -> None:
        self.net, self.most = net, most
        self.waiting: list[tuple[Any, asyncio.Future[Any]]] = []
        self.worker: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Handle one HTTP request, or the start and end of the server."""
        if scope["type"] == "lifespan":
            await receive()  # startup: the network is loaded already
            await send({"type": "lifespan.startup.complete"})
            await receive()  # shutdown: finish pending requests first
            if self.worker is not None:
                await self.worker
            await send({"type": "lifespan.shutdown.complete"})
        elif scope["type"] == "http":
            status, answer = await self.respond(scope, receive)
            body, kind = json.dumps(answer).encode(), (b"content-type", b"application/json")
            await send({"type": "http.response.start", "status": status, "headers": [kind]})
            await send({"type": "http.response.body", "body": body})

    async def respond(self, scope: Any, receive: Any) -> tuple[int, dict[str, Any]]:
        """Return the status and the body of the response."""
        if (scope["method"], scope["path"]) == ("GET", "/health"):
            return 200, {"status": "ok"}
        if (scope["method"], scope["path"]) != ("POST", "/predict"):
            return 404, {"error": f"{scope['method']} {scope['path']}: expected POST /predict or GET /health"}
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            x = np.asarray(json.loads(body)["x"], self.net.dtype)  # an array, because predict also accepts file names
            return 200, {"predictions": (await self.predict(x)).tolist()}
        except dk.DnnkitError as error:
            return 400, {"error": str(error)}
        except (ValueError, TypeError, KeyError) as error:
            return 400, {"error": f'expected {{"x": [row, ...]}} with rows of numbers: {type(error).__name__}: {error}'}

    async def predict(self, x: Any) -> Any:
        """Return the predictions for an array of rows, computed together with other requests."""
        if x.shape[1:] != self.net.input_shape or len(x) == 0:
            expected = ", ".join(map(str, ("rows", *self.net.input_shape)))
            raise dk.errors.ShapeError(f"x has shape {x.shape}: expected ({expected}), with one row at least")
        answer = asyncio.get_running_loop().create_future()
        self.waiting.append((x, answer))
        if self.worker is None or self.worker.done():
            self.worker = asyncio.create_task(self.work())
        return await answer

    async def work(self) -> None:
        """Predict batches of waiting requests until none is left."""
        while self.waiting:
            batch, self.waiting = self.waiting[: self.most], self.waiting[self.most :]
            batch = [(x, answer) for x, answer in batch if not answer.done()]  # skip cancelled requests
            results = await asyncio.to_thread(self.predict_all, [x for x, _ in batch])
            for (_, answer), result in zip(batch, results, strict=True):
                if not answer.done():
                    (answer.set_exception if isinstance(result, Exception) else answer.set_result)(result)

    def predict_all(self, arrays: list[Any]) -> list[Any]:
        """Return predictions, or an exception, per array of rows: from one call, or one call each if that fails."""
        try:
            ends = np.cumsum([len(x) for x in arrays])[:-1]
            return np.split(self.net.predict(np.concatenate(arrays)), ends) if arrays else []
        except Exception as error:
            return [error] if len(arrays) == 1 else [self.predict_all([x])[0] for x in arrays]


def __getattr__(name: str) -> Any:
    """Return `app`, the application for the run folder in DNNKIT_RUN, loaded on first access."""
    if name != "app":
        raise AttributeError(name)
    return Server(dk.load(os.environ.get("DNNKIT_RUN", "runs/digits")))
