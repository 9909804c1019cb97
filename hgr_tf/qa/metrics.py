"""score: how well predicted answers meet the gold ones, over many questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from hgr_tf.qa.example import TYPES, QAExample
from hgr_tf.qa.question_metrics import (
    Answer,
    drop_scores,
    exact_match,
    normalized_sets,
    span_overlaps,
    squad_f1,
)


def score(
    examples: Sequence[QAExample], predictions: Mapping[str, Answer]
) -> dict[str, float]:
    """Scores predicted texts by question id.

    Args:
        examples: The questions with their answers.
        predictions: For each question's id the predicted texts, none where the text
            gives no answer.

    Returns:
        Means over the questions, the best over a question's gold answers:
        "exact_match" (over all spans of a question), "none_exact_match",
        "single_exact_match" and "multi_exact_match" (over questions of that type),
        "squad_f1", "drop_exact_match" and "drop_f1". Over all spans of all questions,
        after MultiSpanQA: "span_precision", "span_recall", "span_f1" of texts that
        are equal, "partial_precision", "partial_recall", "partial_f1" of those that
        overlap. "questions" is their number. What is undefined is NaN.

    Raises:
        ValueError: `predictions` lacks a question.

    Example:
        >>> example = QAExample("1", "Who?", "Ann and Bo", ((0, 3), (8, 10)))
        >>> score([example], {"1": ["Bo", "Ann"]})["exact_match"]
        1.0
    """
    missing = [example.id for example in examples if example.id not in predictions]
    if missing:
        raise ValueError(
            f"`predictions` must hold every question, got none for {missing[0]!r} and "
            f"{len(missing) - 1} more"
        )
    pairs = [(predictions[example.id], example) for example in examples]
    exact = [_best(exact_match, mine, example) for mine, example in pairs]
    kinds = np.array([example.type for example in examples])
    return {
        "questions": float(len(examples)),
        "exact_match": _mean(exact),
        **{
            f"{kind}_exact_match": _mean(np.asarray(exact)[kinds == kind])
            for kind in TYPES
        },
        "squad_f1": _mean([_best(squad_f1, mine, ex) for mine, ex in pairs]),
        "drop_exact_match": _mean([_best_drop(m, ex)[0] for m, ex in pairs]),
        "drop_f1": _mean([_best_drop(m, ex)[1] for m, ex in pairs]),
        **_over_spans(pairs),
    }


def _best(
    metric: Callable[[Answer, Answer], float], mine: Answer, example: QAExample
) -> float:
    return max(metric(mine, gold) for gold in example.gold_answers)


def _best_drop(mine: Answer, example: QAExample) -> tuple[float, float]:
    """As DROP does: the best pair, by exact match first."""
    return max(drop_scores(mine, gold) for gold in example.gold_answers)


def _over_spans(pairs: list[tuple[Answer, QAExample]]) -> dict[str, float]:
    """Precision, recall and F1 over spans; no answer counts as one span."""
    counts = np.zeros(6)
    for mine, example in pairs:
        gold = max(
            example.gold_answers, key=lambda gold: sum(span_overlaps(mine, gold))
        )
        predicted, right = normalized_sets(mine, gold)
        equal = len(set(predicted) & set(right)) or float(not predicted and not right)
        overlaps = span_overlaps(mine, gold)
        counts += [max(len(predicted), 1), max(len(right), 1), equal, equal, *overlaps]
    num_predicted, num_right = counts[:2]
    figures: dict[str, float] = {}
    for name, mine_hit, right_hit in (("span", *counts[2:4]), ("partial", *counts[4:])):
        precision = mine_hit / num_predicted if num_predicted else float("nan")
        recall = right_hit / num_right if num_right else float("nan")
        total = precision + recall
        figures[f"{name}_precision"] = float(precision)
        figures[f"{name}_recall"] = float(recall)
        figures[f"{name}_f1"] = float(
            2 * precision * recall / total if total else total
        )
    return figures


def _mean(values: Sequence[float] | np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
