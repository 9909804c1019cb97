"""Each format on a small document, written as the published files are."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

from hgr_tf.qa import QAExample, read_examples
from hgr_tf.qa.readers import write_examples
from hgr_tf.qa.readers.places import occurrences, placed

CONTEXT = "Ann met Bo. Then Bo met Cy."
SQUAD_QUESTIONS = [
    {
        "id": "a",
        "question": "Who met Bo?",
        "answers": [
            {"text": "Ann", "answer_start": 0},
            {"text": "Ann met", "answer_start": 0},
        ],
    },
    {"id": "b", "question": "Where?", "is_impossible": True, "answers": []},
]


def squad(**more):
    paragraph = {"context": CONTEXT, "qas": SQUAD_QUESTIONS, **more}
    return {"data": [{"title": "t", "paragraphs": [paragraph]}]}


def written(tmp_path, document):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_several_answers_of_squad_are_alternatives(tmp_path):
    first, second = read_examples(written(tmp_path, squad()))
    assert (first.answers, first.alternatives) == (("Ann",), (((0, 7),),))
    assert second.type == "none"


def test_several_answers_of_quoref_are_spans(tmp_path):
    document = squad(context_id="x")
    answers = [{"text": "Cy", "answer_start": 24}, {"text": "Ann", "answer_start": 0}]
    document["data"][0]["paragraphs"][0]["qas"] = [
        {"id": "a", "question": "Who met Bo?", "answers": answers}
    ]
    (example,) = read_examples(written(tmp_path, document))
    assert example.answers == ("Ann", "Cy")


def test_an_answer_of_squad_that_is_off_is_put_to_the_nearest_place(tmp_path):
    document = squad()
    answers = [{"text": "Bo", "answer_start": 16}]
    document["data"][0]["paragraphs"][0]["qas"][0]["answers"] = answers
    assert read_examples(written(tmp_path, document))[0].spans == ((17, 19),)


def test_an_answer_that_is_not_in_its_context_is_refused(tmp_path):
    document = squad()
    answers = [{"text": "Zoe", "answer_start": 0}]
    document["data"][0]["paragraphs"][0]["qas"][0] = {
        **SQUAD_QUESTIONS[0],
        "answers": answers,
    }
    with pytest.raises(ValueError, match=r"questions\.json: question 'a': .*'Zoe'"):
        read_examples(written(tmp_path, document))


def test_drop_answers_are_placed_and_computed_ones_left_out(tmp_path):
    number = {"number": "3", "spans": []}
    pairs = [
        ("a", {"number": "", "spans": ["Ann", "Cy"]}, []),
        ("b", number, []),
        ("c", {"number": "", "spans": ["Bo"]}, [{"spans": ["Cy"]}]),
    ]
    document = {
        "p": {
            "passage": CONTEXT,
            "qa_pairs": [
                {
                    "query_id": name,
                    "question": "Who?",
                    "answer": answer,
                    "validated_answers": more,
                }
                for name, answer, more in pairs
            ],
        }
    }
    several, one = read_examples(written(tmp_path, document))
    assert several.answers == ("Ann", "Cy")
    assert one.spans == ((8, 10),)
    assert one.alternatives == (((17, 19),), ((24, 26),))


def test_multi_span_qa_labels_become_spans(tmp_path):
    entry = {
        "id": "a",
        "question": ["Who", "came", "?"],
        "context": ["Ann", "Lee", "Bo", "and", "Cy"],
        "label": ["B", "I", "B", "O", "I"],
    }
    (example,) = read_examples(written(tmp_path, {"data": [entry]}))
    assert example.question == "Who came ?"
    assert example.answers == ("Ann Lee", "Bo", "Cy")


def test_multi_span_qa_with_a_label_too_few_is_refused(tmp_path):
    entry = {"id": "a", "question": ["?"], "context": ["Ann", "Bo"], "label": ["B"]}
    with pytest.raises(ValueError, match="question 'a': `label` must be one of B"):
        read_examples(written(tmp_path, {"data": [entry]}))


@pytest.mark.parametrize("document", [[], {}, {"data": []}, {"x": {"y": 1}}, 3])
def test_a_document_of_no_known_format_is_refused(tmp_path, document):
    with pytest.raises(ValueError, match="must be in SQuAD's or Quoref's format"):
        read_examples(written(tmp_path, document))


def test_a_document_that_lacks_a_field_is_refused_with_its_name(tmp_path):
    document = squad()
    del document["data"][0]["paragraphs"][0]["context"]
    with pytest.raises(ValueError, match="not as its format says: KeyError"):
        read_examples(written(tmp_path, document))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 2: "),
        ('{"question": "Who?"}', "line 2: context: Field required"),
        ('{"question": "Who?", "context": "Ann", "spans": [[0, 9]]}', "line 2: "),
    ],
)
def test_a_bad_line_is_refused_with_its_number(tmp_path, line, message):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"question": "Who?", "context": "Ann"}\n' + line)
    with pytest.raises(ValueError, match=message):
        read_examples(path)


def test_two_questions_of_one_id_are_refused(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text('{"id": 7, "question": "Who?", "context": "Ann"}\n' * 2)
    with pytest.raises(ValueError, match="ids must be unique, got '7' twice"):
        read_examples(path)


def test_a_file_without_questions_is_refused(tmp_path):
    path = tmp_path / "questions.jsonl"
    path.write_text("\n")
    with pytest.raises(ValueError, match="at least one question"):
        read_examples(path)


@st.composite
def examples(draw):
    context = draw(st.text(min_size=1, max_size=40))
    cuts = draw(st.lists(st.integers(0, len(context)), max_size=6, unique=True))
    cuts = sorted(cuts)[: len(cuts) // 2 * 2]
    spans = tuple(zip(cuts[::2], cuts[1::2], strict=True))
    more = draw(st.lists(st.just(spans), max_size=2))
    return QAExample("q", draw(st.text()), context, spans, tuple(more))


@given(example=examples())
def test_written_questions_are_read_back(example, tmp_path_factory):
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    write_examples([example], path)
    assert read_examples(path) == [example]


def test_whole_words_are_found_before_parts_of_words():
    assert occurrences("art", "part of art") == [(8, 11)]
    assert occurrences("ar", "part") == [(1, 3)]
    assert occurrences("ANN", "Ann") == [(0, 3)]


def test_texts_that_overlap_cannot_be_placed():
    assert placed(["Ann", "Ann Lee"], "Ann Lee") == ((), ())
    assert placed(["Zoe"], "Ann Lee") == ((), ())
