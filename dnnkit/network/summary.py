"""A network at a glance: layers, shapes, numbers of parameters."""

from math import prod

from dnnkit.network.lowering import layer_names, shapes
from dnnkit.network.protocol import Network


def print_summary(net: Network) -> None:
    """A table on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    after = shapes(net.layers, net.input_shape) if net.input_shape is not None else None
    table = Table(box=box.SIMPLE_HEAD, title="Sequential", title_justify="left")
    table.add_column("Layer")
    table.add_column("Output shape")
    table.add_column("Parameters", justify="right")
    total = frozen = 0
    for index, (layer, name) in enumerate(zip(net.layers, layer_names(net.layers), strict=True)):
        shape, count = "not built", "?"
        if after is not None:
            parameters = sum(prod(size) for size, _ in layer.parameters(after[index]).values())
            total += parameters
            frozen += 0 if layer.trainable else parameters
            shape, count = f"(None, {', '.join(map(str, after[index + 1]))})", f"{parameters:,}"
        activation = getattr(layer, "activation", None)
        about = [str(activation)] * bool(activation) + ["frozen"] * (not layer.trainable and count != "0")
        table.add_row(f"{name} ({', '.join(about)})" if about else name, shape, count)
    console = Console()
    console.print(table)
    if after is not None:
        size = total * (4 if net.dtype == "float32" else 8)
        parts = f" ({total - frozen:,} trainable, {frozen:,} frozen)" if frozen else ""
        console.print(f" {total:,} parameters{parts}, {net.dtype}, {size / 1024:,.1f} KiB", highlight=False)
