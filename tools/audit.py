#!/usr/bin/env python3
"""Reports known vulnerabilities of the packages in an environment, by pip-audit.

    tools/audit.py FOLDER

Where pip-audit's data cannot be reached, as behind many mirrors, it skips every package
and says that nothing is known. So it is asked first about a release that is known to be
vulnerable. This is a report: it exits with 0 whatever is found, and gives up within two
minutes where there is no network.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

VULNERABLE = "jinja2==2.4.1"
INSTALL_SECONDS = 100
PROBE_SECONDS = 20
AUDIT_SECONDS = 300
TOOL = Path(".venv-audit")


def main(folder: str) -> None:
    """Prints the report of the environment in a folder."""
    fault = install() or out_of_reach()
    if fault:
        print(f"audit: not done here: {fault}")
        return
    told, fault = run(["--path", str(packages_of(folder)), "--desc", "off"])
    print(told, end="")
    print(f"audit: {fault or 'a report; it fails nothing'}")


def install() -> str | None:
    """Makes an environment with pip-audit, once; says why that failed."""
    if (TOOL / "bin" / "pip-audit").exists():
        return None
    venv.create(TOOL, with_pip=True, clear=True)
    command = [str(TOOL / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    command += ["--timeout", "10", "--retries", "1", "pip-audit"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=INSTALL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"pip-audit was not installed within {INSTALL_SECONDS} s"
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no reason told"])[-1]
        return f"pip-audit cannot be installed ({reason})"
    return None


def out_of_reach() -> str | None:
    """Why the vulnerability data cannot be used; None if it can."""
    with tempfile.TemporaryDirectory() as scratch:
        asked = Path(scratch, "requirements.txt")
        asked.write_text(f"{VULNERABLE}\n", encoding="utf-8")
        options = ["--requirement", str(asked), "--no-deps", "--disable-pip"]
        told, fault = run(
            [*options, "--format", "json", "--timeout", "5"], PROBE_SECONDS
        )
    try:
        packages = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        packages = []
    if any(package.get("vulns") for package in packages):
        return None
    reason = fault or f"pip-audit knows nothing of {VULNERABLE}"
    return f"the vulnerability data cannot be reached ({reason})"


def packages_of(folder: str) -> Path:
    """Where an environment keeps its packages."""
    (found,) = Path(folder).glob("lib/python*/site-packages")
    return found


def run(options: list[str], seconds: float = AUDIT_SECONDS) -> tuple[str, str | None]:
    """What pip-audit prints, and why it gave no answer; None if it did."""
    command = [str(TOOL / "bin" / "pip-audit"), "--progress-spinner", "off", *options]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        return "", f"no answer within {seconds} s"
    # It exits with 1 for findings, too.
    failed = done.returncode and not done.stdout
    last = (done.stderr.strip().splitlines() or ["no reason told"])[-1]
    return done.stdout, last if failed else None


if __name__ == "__main__":
    main(sys.argv[1])
