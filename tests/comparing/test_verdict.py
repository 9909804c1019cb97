import numpy as np
import pytest

from hgr_tf.comparing import decide, differences
from hgr_tf.comparing.figures import UserSums

USERS = 600
WEIGHTS = np.sort(np.random.default_rng(0).integers(1, 20, USERS)).astype(float)


def runs(gain, seeds=5, noise=0.02, seed_noise=0.0):
    """Each seed's figure by user: AUC around .65 plus a gain, equal noise each time."""
    rng = np.random.default_rng(1)
    made = []
    for _ in range(seeds):
        own = 0.65 + gain + rng.normal(0, noise, USERS)
        auc = own + rng.normal(0, seed_noise)
        made.append(UserSums(np.arange(USERS), auc * WEIGHTS, WEIGHTS))
    return made


def verdict(method, baseline, loss=0.0, control=None):
    found = differences({"a": method, "b": baseline}, "b")["a"]
    losses = [
        one._replace(totals=one.totals * 0 + 0.5 * one.weights) for one in baseline
    ]
    worse = [one._replace(totals=one.totals + loss * one.weights) for one in losses]
    log_loss = differences({"a": worse, "b": losses}, "b")["a"]
    over = control and differences({"a": method, "c": control}, "c")["a"]
    return decide(found, log_loss, 0.0005, 0.0005, over)


BASELINE = runs(0.0)


def test_a_clear_gain_pays():
    found = verdict(runs(0.005), BASELINE)
    assert found.word == "pays"
    assert "GAUC rises by +0.005" in found.reason


def test_the_baseline_against_itself_does_not_pay():
    found = verdict(BASELINE, BASELINE)
    assert found.word == "does not pay"
    assert "at most +0.0000" in found.reason


def test_a_gain_that_costs_calibration_does_not_pay():
    found = verdict(runs(0.005), BASELINE, loss=0.01)
    assert found.word == "does not pay"
    assert "LogLoss rises by +0.0100" in found.reason


def test_a_gain_that_its_control_has_too_does_not_pay():
    method = runs(0.005)
    assert verdict(method, BASELINE, control=method).word == "does not pay"


def test_noise_among_seeds_asks_for_seeds():
    base = runs(0.0, seeds=3)
    offsets = (-0.002, 0.001, 0.003)
    noisy = [
        one._replace(totals=one.totals + offset * one.weights)
        for one, offset in zip(base, offsets, strict=True)
    ]
    found = verdict(noisy, base)
    assert found.word == "not decided"
    assert "more seeds" in found.reason


def test_few_users_ask_for_users():
    few = [UserSums(*(column[:30] for column in one)) for one in runs(0.001, noise=0.2)]
    base = [UserSums(*(column[:30] for column in one)) for one in BASELINE]
    found = verdict(few, base)
    assert found.word == "not decided"
    assert "more users are needed" in found.reason


def test_one_seed_decides_nothing():
    found = verdict(runs(0.005, seeds=1), runs(0.0, seeds=1))
    assert found.word == "not decided"
    assert "at least 3 seeds" in found.reason


def test_p_values_grow_with_the_number_of_methods():
    methods = {f"m{i}": runs(0.0005, seeds=3, seed_noise=0.001) for i in range(4)}
    base = runs(0.0, seeds=3)
    alone = differences({"m0": methods["m0"], "b": base}, "b")["m0"]
    among = differences({**methods, "b": base}, "b")["m0"]
    assert among.p_value >= alone.p_value
    assert among.high - among.low > alone.high - alone.low


@pytest.mark.slow
@pytest.mark.parametrize("comparisons", [5, 100])
def test_false_alarms_are_rare(comparisons):
    """Comparisons of a baseline with itself, other noise each."""
    rng = np.random.default_rng(0)

    def one():
        auc = 0.65 + rng.normal(0, 0.03, USERS) + rng.normal(0, 0.001)
        return UserSums(np.arange(USERS), auc * WEIGHTS, WEIGHTS)

    words = [
        verdict([one() for _ in range(3)], [one() for _ in range(3)]).word
        for _ in range(comparisons)
    ]
    assert words.count("pays") <= comparisons / 20


def test_methods_must_share_seeds_and_users():
    with pytest.raises(ValueError, match="the same seeds, got 5 and 1"):
        differences({"a": BASELINE, "b": BASELINE[:1]}, "b")
    other = [one._replace(users=one.users + 1) for one in BASELINE]
    with pytest.raises(ValueError, match="on the same users"):
        differences({"a": other, "b": BASELINE}, "b")
