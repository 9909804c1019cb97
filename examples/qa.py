"""Questions about reports whose answers are no span of the text, one, or several.

    pip install '.[qa]'
    python examples/qa.py

A small encoder of your own learns a few kinds of questions in a minute. For answers
that are worth something start from pretrained weights: see docs/qa.md.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tokenizers import (
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    trainers,
)

from hgr_tf.qa import MultiSpanReader, OffsetTokenizer, decode, generate, score
from hgr_tf.qa.answers import read_with
from hgr_tf.qa.batches import WindowBatches
from hgr_tf.qa.reports import ReportOptions
from hgr_tf.qa.windows import WindowOptions, cut_windows, model_inputs

SIZES = WindowOptions(max_length=128, overlap=16, max_question=24)
SHORT = ReportOptions(min_events=2, max_events=4)


class Encoder(tf.keras.layers.Layer):
    """Any layer from token ids to [batch, tokens, width] can be the encoder."""

    def __init__(self, vocabulary_size: int, width: int = 64):
        super().__init__()
        self.table = tf.keras.layers.Embedding(vocabulary_size, width)
        self.rnn = tf.keras.layers.Bidirectional(
            tf.keras.layers.GRU(width // 2, return_sequences=True)
        )

    def call(self, inputs: dict[str, tf.Tensor], training: bool = False) -> tf.Tensor:
        """States [batch, tokens, width]."""
        return self.rnn(self.table(inputs["token_ids"]))


def learned_tokenizer(texts: list[str]) -> OffsetTokenizer:
    """A tokenizer of the texts' own words, written as BERT's."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts, trainer)
    return OffsetTokenizer(tokenizer)


def main(questions: int = 1000, epochs: int = 20) -> dict[str, float]:
    """Trains on generated reports, answers new ones, and returns their scores."""
    tf.keras.utils.set_random_seed(1)
    train = list(generate(questions, seed=1, options=SHORT))
    test = list(generate(60, seed=2, options=SHORT))
    tokenizer = learned_tokenizer([t for e in train for t in (e.question, e.context)])
    batches = WindowBatches(train, tokenizer, SIZES, "bio", batch_size=16)
    reader = MultiSpanReader(Encoder(tokenizer.vocabulary_size), dropout=0.0)
    reader.compile(optimizer=tf.keras.optimizers.Adam(0.01))
    reader.fit(
        batches.shuffled(range(epochs), first_step=0, seed=1),
        epochs=epochs,
        steps_per_epoch=batches.steps,
        verbose=2,
    )
    windows = cut_windows(test, tokenizer, SIZES)
    found = read_with(reader)(model_inputs(windows, tokenizer))
    answers = decode({k: np.asarray(v) for k, v in found.items()}, windows, test)
    for example, answer in zip(test[:3], answers, strict=False):
        print(f"\n{example.context}\n  {example.question} {list(answer.texts)}")
    scores = score(test, {answer.id: answer.texts for answer in answers})
    print(f"\nexact match over all spans: {scores['exact_match']:.2f}")
    return scores


if __name__ == "__main__":
    main()
