"""Encoder folders that tests write: small, with tokenizers learned of reports."""

import json

import numpy as np
import pytest

from hgr_tf.qa.reports import generate

tokenizers = pytest.importorskip("tokenizers", reason="the extra qa is not installed")

SIZES = {
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "hidden_size": 16,
    "intermediate_size": 32,
    "max_position_embeddings": 258,
    "hidden_dropout_prob": 0.0,
}


def texts():
    return [t for e in generate(300, seed=9) for t in (e.question, e.context)]


def bert_tokenizer(vocab_size=600):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    trainer = tokenizers.trainers.WordPieceTrainer(
        vocab_size=vocab_size, special_tokens=special, show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def roberta_tokenizer():
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(
        add_prefix_space=False
    )
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


TOKENIZERS = {"bert": bert_tokenizer, "roberta": roberta_tokenizer}


def encoder_folder(folder, style="bert", weights=False, **sizes):
    """Writes config.json and tokenizer.json, and random weights if asked."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = TOKENIZERS[style]()
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {**SIZES, **sizes, "model_type": style}
    config["vocab_size"] = tokenizer.get_vocab_size()
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        from safetensors.numpy import save_file

        save_file(random_weights(config), str(folder / "model.safetensors"))
    return folder


def random_weights(config):
    """Weights under the names of the Hugging Face layout, all different."""
    random = np.random.default_rng(0)
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "embeddings.position_embeddings.weight": (
            config["max_position_embeddings"],
            width,
        ),
        **norm("embeddings", width),
    }
    if config["model_type"] == "bert":
        shapes["embeddings.token_type_embeddings.weight"] = (2, width)
        shapes |= dense("pooler.dense", width, width)
    for index in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{index}"
        for name in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= dense(f"{layer}.attention.{name}", width, width)
        shapes |= dense(f"{layer}.intermediate.dense", inner, width)
        shapes |= dense(f"{layer}.output.dense", width, inner)
        shapes |= norm(f"{layer}.attention.output", width)
        shapes |= norm(f"{layer}.output", width)
    prefix = f"{config['model_type']}."
    return {
        prefix + name: random.normal(0, 0.3, shape).astype(np.float32)
        for name, shape in shapes.items()
    }


def dense(name, outputs, inputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def norm(name, width):
    return {f"{name}.LayerNorm.weight": (width,), f"{name}.LayerNorm.bias": (width,)}
