"""A recorded training step that is launched again: call by call with prepared arguments, or many steps as a CUDA graph.

See docs/design/0032-a-recorded-step.md.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from dnnkit.kernels._cuda import products
from dnnkit.kernels._cuda.recording import Recording

STEPS = 32
"""Steps per graph, launched by one call; Ctrl-C waits for at most two graphs."""

WORTH = 96
"""Steps launched one by one before a graph is built, which takes as long as about a hundred steps."""

AHEAD = 2
"""Graphs that may be queued. Otherwise the host would queue a whole epoch, which could not be stopped."""


class RecordedStep:
    """Launches of one step, for one stream of one thread."""

    def __init__(self, recording: Recording, cupy: Any, stream: Any, makes_graphs: bool) -> None:
        self._recording, self._cupy, self._stream = recording, cupy, stream
        self._calls = recording.calls(stream.ptr)
        self.launched = 0
        """Number of steps launched."""
        self._graph: Any = None
        self._events: list[Any] = []
        self.why_no_graph = "" if makes_graphs else "switched off"
        """Why no graph could be built; empty if one was or may be."""

    def run(self, count: int, is_unwanted: Callable[[], bool]) -> None:
        """Launch `count` steps, or fewer if they become unwanted; `launched` counts them."""
        last = self.launched + count
        while self.launched < last and not is_unwanted():
            many = min(STEPS, last - self.launched)
            if many == STEPS and self._has_graph():
                self._launch_graph()
            else:
                self._launch(many, is_unwanted)

    def _launch(self, count: int, is_unwanted: Callable[[], bool]) -> None:
        calls = self._calls
        for _ in range(count):
            if is_unwanted():
                return
            for call, arguments in calls:
                if status := call(*arguments):
                    products.check(status)
            self.launched += 1

    # -- graphs ------------------------------------------------------------------------------------------------------

    def _has_graph(self) -> bool:
        """Whether there is a graph; it is built once enough steps were launched to make it pay."""
        if self._graph is None and not self.why_no_graph and self.launched >= WORTH:
            try:
                self._graph = self._captured()
                event = self._cupy.cuda.Event
                self._events = [event(block=True, disable_timing=True) for _ in range(AHEAD)]
            except Exception as error:  # any driver error: steps are launched one by one
                self._graph = None
                self.why_no_graph = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return self._graph is not None

    def _captured(self) -> Any:
        stream = self._cupy.cuda.Stream(non_blocking=True)  # the user's stream may not support capture
        with ExitStack() as stack:
            for each in {id(each): each for each in self._recording.products}.values():
                stack.enter_context(each.in_stream(stream.ptr))
            calls = self._recording.calls(stream.ptr)
            with _capture(stream) as captured:
                for _ in range(STEPS):
                    for call, arguments in calls:
                        if status := call(*arguments):
                            products.check(status)
        return captured[0]

    def _launch_graph(self) -> None:
        """Launch the graph once the GPU has started the one before the last."""
        event = self._events.pop(0)
        event.synchronize()  # returns at once if never recorded
        self._graph.launch(self._stream)
        self.launched += STEPS
        event.record(self._stream)
        self._events.append(event)

    def words(self) -> str:
        """Describe a step for display."""
        launches = f"recorded, {self._recording.kernels} launches and {len(self._recording.products)} products"
        if self._graph is not None:
            return f"{launches}; {STEPS} steps per CUDA graph"
        return f"{launches}; no CUDA graph: {self.why_no_graph}" if self.why_no_graph else launches


@contextmanager
def _capture(stream: Any) -> Iterator[list[Any]]:
    """Capture launches in the stream into a graph within this context; the graph is put into the list."""
    captured: list[Any] = []
    stream.begin_capture()
    try:
        yield captured
    except BaseException:
        with suppress(Exception):
            stream.end_capture()  # otherwise the stream would keep capturing
        raise
    captured.append(stream.end_capture())
