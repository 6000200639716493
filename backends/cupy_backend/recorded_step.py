"""A training step that was recorded, launched again: by calls whose arguments lie ready, or many steps as a CUDA graph.

See docs/design/0032-a-recorded-step.md.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from dnnkit.kernels._cuda import products
from dnnkit.kernels._cuda.recording import Recording

STEPS = 32
"""Of a graph: that many are launched by one call, and one that is pressed Ctrl-C waits for two graphs at most."""

WORTH = 96
"""Steps that were launched one by one before a graph is made: that takes as long as some hundred steps."""

AHEAD = 2
"""Graphs that may wait for the GPU. The host would give it a whole epoch at once, which then nobody could stop."""


class RecordedStep:
    """One step's launches, for one stream of one thread."""

    def __init__(self, recording: Recording, cupy: Any, stream: Any, makes_graphs: bool) -> None:
        self._recording, self._cupy, self._stream = recording, cupy, stream
        self._calls = recording.calls(stream.ptr)
        self.launched = 0
        """Steps."""
        self._graph: Any = None
        self._events: list[Any] = []
        self.why_no_graph = "" if makes_graphs else "switched off"
        """Why no graph could be made; empty where one was or may be."""

    def run(self, count: int, is_unwanted: Callable[[], bool]) -> None:
        """Launch so many steps, or fewer where it becomes unwanted; `launched` counts them."""
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
        """Whether there is one now; it is made when so much was launched that it is worth it."""
        if self._graph is None and not self.why_no_graph and self.launched >= WORTH:
            try:
                self._graph = self._captured()
                event = self._cupy.cuda.Event
                self._events = [event(block=True, disable_timing=True) for _ in range(AHEAD)]
            except Exception as error:  # whatever a driver may have against it: steps are launched one by one
                self._graph = None
                self.why_no_graph = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        return self._graph is not None

    def _captured(self) -> Any:
        stream = self._cupy.cuda.Stream(non_blocking=True)  # that of a user may be one that cannot be captured
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
        """Once the GPU has begun with the last one but one."""
        event = self._events.pop(0)
        event.synchronize()  # at once where it was never recorded
        self._graph.launch(self._stream)
        self.launched += STEPS
        event.record(self._stream)
        self._events.append(event)

    def words(self) -> str:
        """What one step is, for people."""
        launches = f"recorded, {self._recording.kernels} launches and {len(self._recording.products)} products"
        if self._graph is not None:
            return f"{launches}; {STEPS} steps per CUDA graph"
        return f"{launches}; no CUDA graph: {self.why_no_graph}" if self.why_no_graph else launches


@contextmanager
def _capture(stream: Any) -> Iterator[list[Any]]:
    """Within, what is launched in the stream becomes a graph instead, which is then in the list."""
    captured: list[Any] = []
    stream.begin_capture()
    try:
        yield captured
    except BaseException:
        with suppress(Exception):
            stream.end_capture()  # or the stream would go on capturing
        raise
    captured.append(stream.end_capture())
