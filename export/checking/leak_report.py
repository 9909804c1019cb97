"""Report: what a verification found, leak by leak."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


class VerificationError(ValueError):
    """An export that holds more than the ranker; the message says what."""


@dataclass(frozen=True)
class Leak:
    """One thing that should not be in an export.

    Attributes:
        check: The check that found it.
        where: File, checkpoint key or graph node.
        what: What it is.
    """

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"[{self.check}] {self.where}: {self.what}"


@dataclass
class Report:
    """What `verify` found.

    Attributes:
        folder: The verified SavedModel.
        passed: Checks that found nothing.
        skipped: Checks that could not prove anything, and what they lack.
        leaks: What the other checks found.
    """

    folder: Path
    passed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    leaks: list[Leak] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.leaks

    def __str__(self) -> str:
        lines = [f"{self.folder}: {'clean' if self.ok else 'LEAKS'}"]
        lines += [f"  passed  {name}" for name in self.passed]
        lines += [f"  skipped {k} (needs {lacks})" for k, lacks in self.skipped.items()]
        lines += [f"  leak    {leak}" for leak in self.leaks]
        return "\n".join(lines)

    def raise_if_leaking(self) -> None:
        """Raises `VerificationError`, naming every leak, if there is one."""
        if self.leaks:
            raise VerificationError(
                f"{self.folder}: holds more than the ranker: "
                + "; ".join(str(leak) for leak in self.leaks)
            )
