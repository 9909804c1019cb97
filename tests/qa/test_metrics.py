"""Metrics on hand cases, and against an obvious reference."""

import itertools
import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hgr_tf.qa import QAExample, score
from hgr_tf.qa.question_metrics import (
    drop_scores,
    exact_match,
    span_overlaps,
    squad_f1,
)

WORDS = st.lists(st.sampled_from(["ann", "bo", "7", "8.5", "the", "red"]), max_size=4)
ANSWERS = st.lists(WORDS.map(" ".join), max_size=3)


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        (["Bo", "Ann"], ["ann", "the Bo."], 1),
        (["Ann"], ["Ann", "Bo"], 0),
        (["Ann", "Ann"], ["Ann"], 1),
        ([], [], 1),
        (["Ann"], [], 0),
    ],
)
def test_exact_match_compares_sets_of_normalized_texts(predicted, gold, expected):
    assert exact_match(predicted, gold) == expected


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        (["the red car"], ["a car"], 2 / 3),
        (["red", "car"], ["red car"], 1),
        ([], [], 1),
        ([], ["car"], 0),
        (["car car"], ["car"], 2 / 3),
    ],
)
def test_squad_f1_of_hand_cases(predicted, gold, expected):
    assert squad_f1(predicted, gold) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("predicted", "gold", "exact", "f1"),
    [
        (["1"], ["1.0"], 1, 1),
        (["well-known"], ["well known"], 1, 1),
        (["Ann"], ["Ann", "Bo"], 0, 0.5),
        (["Ann", "Ann"], ["Ann"], 0, 0.5),
        (["8 dogs"], ["7 dogs"], 0, 0),  # numbers that differ are no match at all
        (["dogs 7"], ["7"], 0, 0.67),
    ],
)
def test_drop_scores_of_hand_cases(predicted, gold, exact, f1):
    assert drop_scores(predicted, gold) == (exact, f1)


@given(predicted=ANSWERS, gold=ANSWERS)
def test_drop_f1_is_that_of_the_best_of_all_pairings(predicted, gold):
    from hgr_tf.qa.normalization import drop_normalized, is_number

    def pair(mine, right):
        mine, right = (set(drop_normalized(t).split()) for t in (mine, right))
        numbers = set(filter(is_number, right))
        if numbers and not numbers & mine:
            return 0.0
        common = len(mine & right)
        p, r = (common / len(s) if s else 1.0 for s in (mine, right))
        return 2 * p * r / (p + r) if p + r else 0.0

    mine, right = predicted or [""], gold or [""]
    size = max(len(mine), len(right))
    padded = [*mine, *[None] * (size - len(mine))]
    best = max(
        sum(pair(m, r) for m, r in zip(order, right, strict=False) if m is not None)
        for order in itertools.permutations(padded)
    )
    assert drop_scores(predicted, gold)[1] == pytest.approx(best / size, abs=0.0051)


def test_partial_match_takes_the_longest_common_substring():
    precision, recall = span_overlaps(["red car"], ["car", "dog"])
    assert precision == pytest.approx(3 / 7)
    assert recall == pytest.approx(1 + 1 / 3)  # of "dog" the letter d is found


def questions():
    context = "Ann and Bo met Cy"
    spans = {"a": ((0, 3), (8, 10)), "b": ((15, 17),), "c": ()}
    return [QAExample(name, "Who?", context, found) for name, found in spans.items()]


def test_scores_over_questions_of_each_type():
    scores = score(questions(), {"a": ["Ann"], "b": ["Cy"], "c": []})
    assert scores["exact_match"] == pytest.approx(2 / 3)
    assert scores["multi_exact_match"] == 0
    assert scores["single_exact_match"] == scores["none_exact_match"] == 1
    assert scores["span_precision"] == 1  # Ann, Cy and "no answer"
    assert scores["span_recall"] == pytest.approx(3 / 4)
    assert scores["span_f1"] == pytest.approx(6 / 7)


def test_the_best_of_several_gold_answers_counts():
    example = QAExample("a", "Who?", "Ann Lee", ((0, 3),), (((0, 7),),))
    scores = score([example], {"a": ["Ann Lee"]})
    assert scores["exact_match"] == scores["squad_f1"] == scores["span_f1"] == 1


def test_scores_of_a_type_that_no_question_has_are_undefined():
    scores = score(questions()[:1], {"a": []})
    assert math.isnan(scores["single_exact_match"])
    assert math.isnan(score([], {})["exact_match"])
    assert scores["span_f1"] == 0


def test_a_question_without_prediction_is_refused():
    with pytest.raises(ValueError, match="`predictions` must hold every question"):
        score(questions(), {"a": []})
