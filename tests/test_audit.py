"""The audit says when it cannot be made, rather than that nothing was found."""

import subprocess
import sys
from pathlib import Path

import pytest

AUDIT = Path(__file__).parents[1] / "tools" / "audit.py"
KNOWS = '{"dependencies": [{"name": "jinja2", "vulns": [{"id": "PYSEC-1"}]}]}'
SKIPS = '{"dependencies": [{"name": "jinja2", "skip_reason": "not found"}]}'


@pytest.fixture
def audit(tmp_path):
    """Runs the audit of an environment with a pip-audit that answers the probe so."""
    (tmp_path / "env" / "lib" / "python3.11" / "site-packages").mkdir(parents=True)
    tool = tmp_path / ".venv-audit" / "bin" / "pip-audit"
    tool.parent.mkdir(parents=True)

    def audit(probe):
        tool.write_text(f"""#!/bin/sh
case "$*" in
  *--requirement*) {probe} ;;
  *) echo "audited: $*"; echo "Found 2 known vulnerabilities" >&2; exit 1 ;;
esac
""")
        tool.chmod(0o755)
        command = [sys.executable, str(AUDIT), "env"]
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return audit


def test_findings_are_shown_and_fail_nothing(audit):
    told = audit(f"echo '{KNOWS}'; exit 1")
    assert "--path env/lib/python3.11/site-packages" in told
    assert "audit: a report; it fails nothing" in told


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (f"echo '{SKIPS}'", "knows nothing of jinja2==2.4.1"),
        ("echo ConnectionError >&2; exit 1", "ConnectionError"),
        ("echo '[]'", "knows nothing of jinja2==2.4.1"),
    ],
)
def test_data_that_cannot_be_reached_is_told(audit, probe, reason):
    told = audit(probe)
    assert told.startswith("audit: not done here: the vulnerability data cannot be")
    assert reason in told and "audited" not in told
