"""Serve a saved network over HTTP: `DNNKIT_RUN=runs/digits uvicorn --app-dir examples --factory serve:app`.

    POST /predict  {"x": [row, ...]}  ->  {"predictions": [row, ...]}; for input that does not fit 400 {"error": ...}
    GET  /health                      ->  {"status": "ok"}

Requests that arrive while a prediction runs are predicted together in the next call of `predict`, which costs little
more for many rows than for one. On an idle server a request is predicted at once.
"""

import asyncio
import json
import os

import numpy as np
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import dnnkit as dk

BAD_INPUT = (dk.DnnkitError, ValueError, TypeError, KeyError, OverflowError, RecursionError)


def application(net: dk.Sequential | dk.Model, most: int = 256) -> Starlette:
    """Return an ASGI application that serves the predictions of a network with one input and one output.

    Arguments:
        net: a built network.
        most: the largest number of requests per call of `predict`.
    """
    waiting: dict[asyncio.Future[JSONResponse], bytes] = {}  # the bodies of requests without a response
    turn = asyncio.Lock()

    def compute(bodies: list[bytes]) -> list[JSONResponse]:
        """Return the responses from one prediction for all requests; if that fails, from one for each."""
        try:
            # as arrays of numbers, because predict also accepts names of files
            arrays = [np.asarray(json.loads(body)["x"], net.dtype) for body in bodies]
            rows = np.split(net.predict(np.concatenate(arrays)), np.cumsum([len(x) for x in arrays])[:-1])
            return [JSONResponse({"predictions": each.tolist()}) for each in rows]
        except BAD_INPUT as error:
            if len(bodies) > 1:
                return [compute([body])[0] for body in bodies]
            return [JSONResponse({"error": f'{type(error).__name__}: {error}; send {{"x": [row, ...]}}'}, 400)]

    async def predict(request: Request) -> JSONResponse:
        response = asyncio.get_running_loop().create_future()
        waiting[response] = await request.body()
        try:
            async with turn:  # one prediction at a time; requests that arrive meanwhile queue here
                if not response.done():  # the first of the queue predicts for all
                    batch = dict(list(waiting.items())[:most])
                    results = await asyncio.to_thread(compute, list(batch.values()))
                    for each, result in zip(batch, results, strict=True):
                        each.set_result(result)
            return await response
        finally:
            del waiting[response]  # also if the request was cancelled

    async def health(request: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/predict", predict, methods=["POST"]), Route("/health", health)])


def app() -> Starlette:
    """Return the application for the run folder in DNNKIT_RUN."""
    return application(dk.load(os.environ.get("DNNKIT_RUN", "runs/digits")))
