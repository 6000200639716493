"""The audit: a finding fails; an explained one and an unreachable service do not."""

import pytest

from tests import audit

FINDING = {"name": "tool", "version": "1.0", "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.1"]}]}


@pytest.mark.parametrize(
    ("answer", "explained", "status", "told"),
    [
        ([FINDING], {}, 1, "tool 1.0: PYSEC-1, mended in 1.1"),
        ([FINDING], {"PYSEC-1": "dnnkit does not use that part"}, 0, "1 findings explained"),
        ([{"name": "tool", "version": "1.0", "vulns": []}], {}, 0, "nothing known against"),
        ("no network", {}, 0, "not audited: no network"),
    ],
)
def test_failures_of_the_audit(monkeypatch, capsys, answer, explained, status, told) -> None:
    monkeypatch.setattr(audit, "ask", lambda packages: answer)
    monkeypatch.setattr(audit, "EXPLAINED", explained)
    assert audit.main() == status
    assert told in capsys.readouterr().out


def test_all_requirements_of_dnnkit_are_audited() -> None:
    names = {package.partition("==")[0] for package in audit.needed("dnnkit", {"dnnkit"})}
    assert {"numpy", "llvmlite", "filelock", "pygments"} <= names
    assert "pytest" not in names
