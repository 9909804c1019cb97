"""What the benchmarks that run `hgr-tf compare` tell of its results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.timing import rounded
from hgr_tf.result_files import write_text


def tell_once(
    folder: Path, case: str, find: Callable[..., dict[str, Any]], *given: Any
) -> None:
    """Prints what `find(*given)` returns as a line of JSON, and keeps it in the folder.

    A case that was kept, and is asked for in the same way, is not run again.
    """
    told, asked = folder / "case.json", repr(given)
    if not told.exists() or json.loads(told.read_text())["asked"] != asked:
        found = {"case": case, "asked": asked, **find(*given)}
        write_text(told, json.dumps(rounded(found, 5)))
    print(told.read_text(encoding="utf-8"), flush=True)


def findings(results: dict[str, Any]) -> dict[str, Any]:
    """Figures of the baseline; of each other method its verdict and its differences.

    Args:
        results: What `hgr_tf.comparing.compare` returned.

    Returns:
        `baseline`: mean of each figure over the seeds. Each method: `verdict`, and
        [mean, low, high] of the differences to the baseline in GAUC and LogLoss and,
        where it has one, to its control in GAUC. All: LogLoss after Platt scaling, of
        the first seed.
    """
    found: dict[str, Any] = {}
    for name, method in results["methods"].items():
        own = {"platt_log_loss": method["platt"]["after"]["log_loss"]}
        if name == results["baseline"]:
            figures = method["figures"].items()
            found["baseline"] = {figure: told["mean"] for figure, told in figures} | own
            continue
        found[name] = {"verdict": method["verdict"]["word"], **own}
        differences = dict(method["difference"])
        if method.get("control"):
            differences["gauc_over_control"] = method["control"]
        for figure, told in differences.items():
            found[name][figure] = [told["mean"], told["low"], told["high"]]
    return found
