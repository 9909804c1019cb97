"""Scores of the answer to one question, as the evaluation scripts define them."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from hgr_tf.qa.normalization import drop_normalized, is_number, squad_normalized

Answer = Sequence[str]
"""The texts of all spans of an answer."""


def exact_match(predicted: Answer, gold: Answer) -> float:
    """1 where the same texts are given, in any order, else 0.

    Texts are compared as SQuAD does (case, punctuation and articles left out), and
    as sets, so that an answer that occurs twice is one. No spans match no spans.
    """
    mine = {squad_normalized(text) for text in predicted}
    return float(mine == {squad_normalized(text) for text in gold})


def squad_f1(predicted: Answer, gold: Answer) -> float:
    """SQuAD's F1: of the words of both answers, spans joined by a space.

    Source: evaluate-v2.0.py of SQuAD 2.0, where no answer is the empty text.
    """
    mine, right = (squad_normalized(" ".join(a)).split() for a in (predicted, gold))
    if not mine or not right:
        return float(mine == right)
    common = sum((Counter(mine) & Counter(right)).values())
    return _f1(common / len(mine), common / len(right))


def drop_scores(predicted: Answer, gold: Answer) -> tuple[float, float]:
    """DROP's exact match and F1: spans are matched one to one.

    Source: drop_eval.py of allennlp-reading-comprehension: the F1 of a pair is that
    of its sets of words, and 0 where numbers of the gold span are not met; the mean
    is over the longer of both answers, rounded to two decimals.
    """
    mine, right = ([drop_normalized(t) for t in a or [""]] for a in (predicted, gold))
    exact = float(set(mine) == set(right) and len(mine) == len(right))
    scores = [[_bag_f1(set(m.split()), set(r.split())) for m in mine] for r in right]
    rows, columns = linear_sum_assignment(scores, maximize=True)
    matched = np.zeros(max(len(mine), len(right)))
    matched[rows] = np.asarray(scores)[rows, columns]
    return exact, round(float(matched.mean()), 2)


def span_overlaps(predicted: Answer, gold: Answer) -> tuple[float, float]:
    """Summed shares of texts in common: of each predicted and of each gold text.

    For each pair it is the longest common substring; each text counts with its best
    partner. Source: MultiSpanQA's eval_script.py, `count_overlap`.
    """
    mine, right = normalized_sets(predicted, gold)
    if not mine or not right:
        both = float(not mine and not right)
        return both, both
    longest = np.array([[_common(r, m) for m in mine] for r in right], float)
    of_mine = longest / np.array([max(len(m), 1) for m in mine])
    of_right = longest / np.array([max(len(r), 1) for r in right])[:, None]
    return float(of_mine.max(axis=0).sum()), float(of_right.max(axis=1).sum())


def normalized_sets(predicted: Answer, gold: Answer) -> tuple[list[str], list[str]]:
    """The different normalized texts of both answers, sorted."""
    mine, right = (sorted({squad_normalized(t) for t in a}) for a in (predicted, gold))
    return ([] if mine == [""] else mine), right


def _common(gold: str, predicted: str) -> int:
    matcher = difflib.SequenceMatcher(None, gold, predicted)
    return matcher.find_longest_match(0, len(gold), 0, len(predicted)).size


def _bag_f1(mine: set[str], right: set[str]) -> float:
    numbers = {word for word in right if is_number(word)}
    if numbers and not numbers & mine:
        return 0.0
    common = len(mine & right)
    precision = common / len(mine) if mine else 1.0
    return _f1(precision, common / len(right) if right else 1.0)


def _f1(precision: float, recall: float) -> float:
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0
