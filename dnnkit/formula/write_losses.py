"""Write the built-in losses that have a formula anew, after a formula or this package was changed.

    python -m dnnkit.formula.write_losses

A folder of `kernels/losses` whose contract has a `FORMULA` in y, the prediction, and t, the target, gets its
`reference.py`, `cpu.py` and `gpu.cu`. So training with it needs no SymPy. A test fails while they are of another
formula.
"""

from pathlib import Path

from dnnkit.formula.deriving import derived
from dnnkit.formula.loss_printing import LossText
from dnnkit.kernels import registry

FOLDER = Path(registry.__file__).parent / "losses"


def with_formula() -> list[str]:
    """The names of the losses whose contract has one."""
    return [name for name in registry.names("loss") if hasattr(registry.contract(name), "FORMULA")]


def files(name: str) -> dict[str, str]:
    """What the loss's folder must hold beside the contract, by the files' names."""
    contract = registry.contract(name)
    parameters = getattr(contract, "PARAMETERS", {})
    steps = derived(contract.FORMULA, dict.fromkeys(parameters), "loss")["element"]
    title = (contract.__doc__ or "").splitlines()[0].partition(":")[0].rstrip(".")
    made = "written by dnnkit.formula.write_losses"
    text = LossText(name, title, steps, parameters, getattr(contract, "OVER_OUTPUTS", "mean"), made)
    return {"reference.py": text.arrays(), "cpu.py": text.numba(), "gpu.cu": text.cuda()}


def main() -> None:
    """Write them all."""
    for name in with_formula():
        for file, text in files(name).items():
            (FOLDER / name / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
