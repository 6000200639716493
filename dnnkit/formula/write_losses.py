"""Regenerate the built-in losses that have a formula, after a change of a formula or of this package.

    python -m dnnkit.formula.write_losses

For each folder of `kernels/losses` whose contract has a `FORMULA` in y, the prediction, and t, the target, this writes
`reference.py`, `cpu.py` and `gpu.cu`, so that training with it does not need SymPy. A test fails while they do not
match their formula.
"""

from pathlib import Path

from dnnkit.formula.deriving import derived
from dnnkit.formula.loss_printing import LossText
from dnnkit.kernels import registry

FOLDER = Path(registry.__file__).parent / "losses"


def with_formula() -> list[str]:
    """Return the names of losses whose contract has a formula."""
    return [name for name in registry.names("loss") if hasattr(registry.contract(name), "FORMULA")]


def files(name: str) -> dict[str, str]:
    """Return the generated files of a loss's folder, by name."""
    contract = registry.contract(name)
    parameters = getattr(contract, "PARAMETERS", {})
    steps = derived(contract.FORMULA, dict.fromkeys(parameters), "loss")["element"]
    title = (contract.__doc__ or "").splitlines()[0].partition(":")[0].rstrip(".")
    made = "written by dnnkit.formula.write_losses"
    text = LossText(name, title, steps, parameters, getattr(contract, "OVER_OUTPUTS", "mean"), made)
    return {"reference.py": text.arrays(), "cpu.py": text.numba(), "gpu.cu": text.cuda()}


def main() -> None:
    """Write all of them."""
    for name in with_formula():
        for file, text in files(name).items():
            (FOLDER / name / file).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
