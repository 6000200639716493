"""The long run: each reader in a separate process, counts and findings at the end."""

import argparse
import json
import sys
from pathlib import Path

from tests.fuzz.long_run import run
from tests.fuzz.outcomes import is_allowed
from tests.fuzz.readers import READERS


def main() -> None:
    """Run the requested readers; exit status 1 if there is a finding."""
    options = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    options.add_argument("--minutes", type=float, default=1.0, help="for each reader")
    options.add_argument("--reader", action="append", choices=sorted(READERS), help="default: all")
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--findings", type=Path, help="write a case of each finding to this JSON file")
    asked = options.parse_args()
    all_findings: dict[str, dict[str, str]] = {}
    total = 0
    print("| reader | cases | taken | refused | other | slowest, s | peak, MiB |\n" + "| --- " * 7 + "|")
    for name in asked.reader or READERS:
        counts, findings, slowest, peak = run(name, asked.seed, asked.minutes)
        tried, other = counts.total(), sum(count for what, count in counts.items() if not is_allowed(what))
        total += other
        numbers = (f"{count:,}" for count in (tried, counts["taken"], counts["refused"], other))
        print(f"| {name} | {' | '.join(numbers)} | {slowest:.1f} | {peak >> 10:,} |")
        for what in sorted(findings, key=lambda what: -counts[what]):
            print(f"  {counts[what]:6} {what}\n         {findings[what][:300]}", file=sys.stderr)
        sys.stdout.flush()
        all_findings[name] = findings
    if asked.findings:
        asked.findings.write_text(json.dumps(all_findings, indent=1))
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
