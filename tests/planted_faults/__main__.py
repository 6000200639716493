"""Plant each fault in a copy of the checkout, run its tests there, and report whether they caught it.

    python -m tests.planted_faults [--only NAME] [--kind KIND] [--unplanted] [--json FILE]

A fault is caught if a test fails. Any other outcome (nothing collected, an error before the first test, a crash, a
hang) is an error in the fault or in its tests. The exit status is 1 unless all faults are caught. With `--unplanted`
no fault is planted and the tests have to pass; if they did not, their failures would prove nothing.

The run has its own cache of compiled kernels. Its keys are hashes of everything compiled, so a fault never reuses the
kernels of another one.
"""

import argparse
import functools
import json
import os
import platform
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.planted_faults.faults import FAULTS, KINDS, PLACES, Fault

ROOT = Path(__file__).parents[2]
OPTIONS = ("-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0")
LONGEST = 900.0
"""Seconds after which tests count as hanging."""

PASSED, FAILED = 0, 1
"""pytest's exit statuses; any other is an error."""

CAUGHT, MISSED, ERROR, SOUND = "caught", "NOT CAUGHT", "ERROR", "passed"
FIRST_FAILURE = re.compile(r"^FAILED (.+?::.+?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Outcome:
    """The result of a fault, the test that detected it or what went wrong, and the duration of its tests."""

    fault: Fault
    result: str
    words: str
    seconds: float


def misfits(faults: Sequence[Fault], root: Path = ROOT) -> list[str]:
    """Describe the faults whose text does not occur exactly once in the code, or whose tests cannot be found."""
    found = []
    for fault in faults:
        file = root / fault.file
        count = file.read_text(encoding="utf-8").count(fault.old) if file.is_file() else None
        if count is None:
            found.append(f"{fault.name}: there is no {fault.file}")
        elif count != 1:
            found.append(f"{fault.name}: {fault.old!r} occurs {count} times in {fault.file}: expected once")
        found += [f"{fault.name}: {missing}" for missing in missing_tests(fault.tests, root)]
    return found


def missing_tests(tests: str, root: Path) -> list[str]:
    """Describe the files that do not exist and the words of `-k` that are in no test's name and begin no parameter's.

    Nothing is collected. Parameters are named after functions or strings of the test files or of the package. Words
    without an underscore, such as `numba`, are not checked.
    """
    arguments = shlex.split(tests)
    files = [argument for argument in arguments if argument.startswith("tests/")]
    if missing := [file for file in files if not (root / file).exists()]:
        return [f"there is no {file}" for file in missing]
    expression = arguments[arguments.index("-k") + 1] if "-k" in arguments else ""
    text = "\n".join(source(root / file) for file in files)
    return [
        f"no test or parameter of {' '.join(files)} is named {word!r}"
        for word in re.findall(r"\w*_\w*", expression)
        if not re.search(rf"def test_\w*{word}", text)
        and not names_parameter(word, text)
        and not names_parameter(word, source(root / "dnnkit"))
    ]


def names_parameter(word: str, text: str) -> bool:
    """Whether the name of a function or a string begins with a word."""
    return any(before + word in text for before in ("def ", '"', "'"))


@functools.cache
def source(path: Path) -> str:
    """Return the text of a file, or of all Python files of a folder."""
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def copy_checkout(to: Path) -> None:
    """Copy all tracked and untracked files that git does not ignore, with dates; symbolic links stay links."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_symlink() or (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name, follow_symlinks=False)


def environment(checkout: Path, cache: Path) -> dict[str, str]:
    """Return the environment of the tests: the copy shadows any installed package, and user settings are removed."""
    ours = {"PYTHONPATH": str(checkout), "XDG_CACHE_HOME": str(cache), "PYTHONDONTWRITEBYTECODE": "1"}
    decide = ("NUMBA_", "DNNKIT_", "PYTEST_")
    return {key: value for key, value in os.environ.items() if not key.startswith(decide)} | ours


def run_tests(tests: str, checkout: Path, cache: Path) -> tuple[int | None, str]:
    """Run pytest; return its exit status (None after a time-out) and its output."""
    command = [sys.executable, "-m", "pytest", *OPTIONS, *shlex.split(tests)]
    process = subprocess.Popen(
        command,
        cwd=checkout,
        env=environment(checkout, cache),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,  # to kill it with all its children
    )
    try:
        said, _ = process.communicate(timeout=LONGEST)
        return process.returncode, said
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        return None, process.communicate()[0]
    except BaseException:  # Ctrl-C: do not leave tests running
        os.killpg(process.pid, signal.SIGKILL)
        raise


def try_fault(fault: Fault, checkout: Path, cache: Path, plant: bool = True) -> Outcome:
    """Plant a fault, run its tests, and remove it."""
    file = checkout / fault.file
    if plant:
        file.write_text(file.read_text(encoding="utf-8").replace(fault.old, fault.new), encoding="utf-8")
    start = time.perf_counter()
    status, said = run_tests(fault.tests, checkout, cache)
    seconds = time.perf_counter() - start
    shutil.copy2(ROOT / fault.file, file)
    return Outcome(fault, *judged(status, said, plant), round(seconds, 1))


def judged(status: int | None, said: str, planted: bool) -> tuple[str, str]:
    """Return the result, and the first failing test or the last line of pytest's output."""
    failure = FIRST_FAILURE.search(said)
    last = (said.strip().splitlines() or ["no output"])[-1]
    if status == PASSED:
        return (MISSED if planted else SOUND), last
    if status == FAILED and failure is not None:
        return (CAUGHT if planted else ERROR), failure[1]
    return ERROR, "timed out" if status is None else f"exit status {status}: {last}"


def table(outcomes: Sequence[Outcome]) -> str:
    """Return counts by kind and place, and the names of faults with an unexpected result."""
    lines = [f"{'':14}" + "".join(f"{place:>12}" for place in PLACES) + f"{'caught':>12}"]
    for kind in KINDS:
        of_kind = [outcome for outcome in outcomes if outcome.fault.kind == kind]
        counts = [sum(outcome.fault.place == place for outcome in of_kind) for place in PLACES]
        caught = f"{sum(outcome.result in (CAUGHT, SOUND) for outcome in of_kind)} of {len(of_kind)}"
        lines.append(f"{kind:14}" + "".join(f"{count:12}" for count in counts) + f"{caught:>12}")
    good = sum(outcome.result in (CAUGHT, SOUND) for outcome in outcomes)
    lines.append(f"{good} of {len(outcomes)}, in {sum(outcome.seconds for outcome in outcomes):.0f} s")
    return "\n".join(lines)


def record(outcomes: Sequence[Outcome]) -> str:
    """Return the results as JSON: each fault with its result."""
    head = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    faults = [
        {**asdict(outcome.fault), "result": outcome.result, "words": outcome.words, "seconds": outcome.seconds}
        for outcome in outcomes
    ]
    found = {
        "commit": commit,
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "seconds": round(sum(outcome.seconds for outcome in outcomes), 1),
        "caught": sum(outcome.result == CAUGHT for outcome in outcomes),
        "faults": faults,
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def chosen(only: Sequence[str], kinds: Sequence[str]) -> list[Fault]:
    """Return the faults of these names and kinds; all, if none are given."""
    return [fault for fault in FAULTS if (not only or fault.name in only) and (not kinds or fault.kind in kinds)]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.planted_faults", description=__doc__)
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        choices=[fault.name for fault in FAULTS],
        metavar="NAME",
        help="Run this fault only; may be repeated.",
    )
    parser.add_argument(
        "--kind", action="append", default=[], choices=KINDS, help="Run this kind only; may be repeated."
    )
    parser.add_argument("--unplanted", action="store_true", help="Plant no fault; all tests must pass.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="Write the results to this file.")
    options = parser.parse_args(arguments)
    faults = chosen(options.only, options.kind)
    if wrong := misfits(faults):
        print("\n".join(wrong), file=sys.stderr)
        return 2
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="planted-faults-") as folder:
        checkout, cache = Path(folder) / "checkout", Path(folder) / "cache"
        cache.mkdir()
        copy_checkout(checkout)
        for fault in faults:
            outcomes.append(try_fault(fault, checkout, cache, plant=not options.unplanted))
            outcome = outcomes[-1]
            print(f"{outcome.result:10} {outcome.seconds:6.1f} s  {fault.name}: {outcome.words}", flush=True)
            if options.json is not None:
                options.json.write_text(record(outcomes), encoding="utf-8")
    print(table(outcomes))
    return int(any(outcome.result not in (CAUGHT, SOUND) for outcome in outcomes))


if __name__ == "__main__":
    sys.exit(main())
