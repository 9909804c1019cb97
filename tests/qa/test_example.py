import pytest

from hgr_tf.qa import QAExample


@pytest.mark.parametrize(
    ("spans", "kind"),
    [((), "none"), (((0, 3),), "single"), (((0, 3), (8, 10)), "multi")],
)
def test_type_is_the_number_of_spans(spans, kind):
    assert QAExample("1", "Who?", "Ann and Bo came.", spans).type == kind


@pytest.mark.parametrize(
    "spans", [((0, 99),), ((3, 3),), ((-1, 2),), ((0, 3), (2, 5)), ((5, 6), (0, 1))]
)
def test_spans_that_no_text_can_have_are_refused_by_the_question(spans):
    with pytest.raises(ValueError, match="question 'q7': `spans` must be"):
        QAExample("q7", "Who?", "Ann and Bo came.", spans)


def test_alternatives_are_checked_too():
    with pytest.raises(ValueError, match="`spans` must be"):
        QAExample("1", "Who?", "Ann", ((0, 3),), (((0, 4),),))
