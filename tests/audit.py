"""Known vulnerabilities of dnnkit's requirements: `python -m tests.audit` runs pip-audit on the packages of this
environment.

Exit status 1 for a finding that is not in `EXPLAINED`. Where pip-audit is not installed, or its service is unreachable,
a line says so and the status is 0: nothing is known then, and no change of dnnkit would fix it.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement

EXPLAINED: dict[str, str] = {}
"""Identifier of a finding -> why it does not affect dnnkit."""


def needed(name: str, seen: set[str]) -> Iterator[str]:
    """Yield the distributions that a package requires, with versions, as `name==version`."""
    for text in distribution(name).requires or ():
        requirement = Requirement(text)
        key = re.sub(r"[-_.]+", "-", requirement.name).lower()
        if key in seen or (requirement.marker is not None and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(key)
        try:
            version = distribution(requirement.name).version
        except PackageNotFoundError:
            continue
        yield f"{key}=={version}"
        yield from needed(requirement.name, seen)


def ask(packages: list[str], seconds: float = 300) -> list[dict] | str:
    """Return the known findings per package, or the reason why there are none, as text."""
    if find_spec("pip_audit") is None:
        return "pip-audit is not installed"
    with TemporaryDirectory() as folder:
        listed = Path(folder) / "requirements.txt"
        listed.write_text("\n".join(packages))
        command = [sys.executable, "-m", "pip_audit", "-r", str(listed), "--no-deps", "--disable-pip", "-f", "json"]
        try:
            done = subprocess.run(
                [*command, "--progress-spinner", "off"], capture_output=True, text=True, timeout=seconds
            )
        except subprocess.TimeoutExpired:
            return f"no answer within {seconds:g} s"
    try:
        return json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return done.stderr.strip().rpartition("\n")[2][:300] or f"exit status {done.returncode}"


def findings(answer: list[dict]) -> Iterator[str]:
    """Yield the known findings that are not explained, as text."""
    for package in answer:
        for weakness in package.get("vulns", ()):
            if weakness["id"] not in EXPLAINED:
                fixed = ", ".join(weakness["fix_versions"]) or "no version"
                yield f"{package['name']} {package['version']}: {weakness['id']}, mended in {fixed}"


def main() -> int:
    """Run the audit and print the result."""
    packages = sorted(needed("dnnkit", {"dnnkit"}))
    answer = ask(packages)
    if isinstance(answer, str):
        print(f"not audited: {answer}")
        return 0
    found, known = list(findings(answer)), [package for package in answer if "skip_reason" not in package]
    explained = f"{len(EXPLAINED)} findings explained; the service knows {len(known)} of {len(packages)} packages"
    print("\n".join(found) or f"nothing known against what dnnkit needs, {explained}")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
