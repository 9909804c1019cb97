"""The verdict: does a method pay, does it not, or is it not decided?"""

from __future__ import annotations

import math
from typing import NamedTuple

from hgr_tf.comparing.differences import Difference

PAYS = "pays"
DOES_NOT_PAY = "does not pay"
NOT_DECIDED = "not decided"


class Verdict(NamedTuple):
    """A verdict and the rule that decided it, as one sentence."""

    word: str
    reason: str


def decide(
    gauc: Difference,
    log_loss: Difference,
    smallest_gain: float,
    largest_loss: float,
    control: Difference | None = None,
) -> Verdict:
    """Decides by intervals, never by means alone.

    - "pays": the interval of the GAUC difference lies above 0, its mean reaches
      `smallest_gain`, LogLoss does not rise by more than `largest_loss`, and, where
      there is a control, the interval of the difference to it lies above 0 too;
    - "does not pay": the interval lies below `smallest_gain`, or LogLoss rises by
      more than `largest_loss` for certain, or the gain over the control is below
      `smallest_gain` for certain;
    - "not decided" otherwise, with the number of further seeds that would do, or
      that more users are needed where seeds cannot help.

    Args:
        gauc: Difference of GAUC to the baseline.
        log_loss: Difference of LogLoss to the baseline.
        smallest_gain: GAUC worth having.
        largest_loss: LogLoss that a gain may cost.
        control: Difference of GAUC to the control of the method, if it has one.
    """
    if math.isnan(gauc.low):
        return Verdict(NOT_DECIDED, "one seed has no spread: run at least 3 seeds")
    if log_loss.low > largest_loss:
        return Verdict(
            DOES_NOT_PAY,
            f"LogLoss rises by {log_loss.mean:+.4f}, for certain by more than "
            f"{largest_loss}",
        )
    for difference, to in ((gauc, "the baseline"), (control, "its control")):
        if difference is not None and difference.high < smallest_gain:
            return Verdict(
                DOES_NOT_PAY,
                f"the gain over {to} is below {smallest_gain} GAUC: at most "
                f"{difference.high:+.4f}",
            )
    over_control = control is None or control.low > 0
    if gauc.low > 0 and gauc.mean >= smallest_gain and over_control:
        if log_loss.mean <= largest_loss:
            return Verdict(
                PAYS,
                f"GAUC rises by {gauc.mean:+.4f}, at least by {gauc.low:+.4f}, and "
                f"LogLoss changes by {log_loss.mean:+.4f}",
            )
        return Verdict(
            NOT_DECIDED, f"GAUC rises, but LogLoss may rise by {log_loss.high:+.4f}"
        )
    open_one = gauc if control is None or gauc.low <= 0 else control
    return Verdict(NOT_DECIDED, _what_is_missing(open_one, smallest_gain))


def _what_is_missing(difference: Difference, smallest_gain: float) -> str:
    """How many further seeds would make the interval narrow enough."""
    interval = f"the interval {difference.low:+.4f} to {difference.high:+.4f}"
    # Half of the interval should be under the gain that matters; 2 for the quantile.
    wanted = smallest_gain / 2
    if difference.users_error >= wanted:
        return (
            f"{interval} holds 0 and gains that matter, and seeds cannot narrow it: "
            "more users are needed in the evaluated split"
        )
    seeds = len(difference.by_seed)
    spread = difference.seeds_error * math.sqrt(seeds)
    needed = math.ceil(spread**2 / (wanted**2 - difference.users_error**2))
    more = max(needed - seeds, 1)
    return f"{interval} holds 0 and gains that matter: {more} more seeds"
