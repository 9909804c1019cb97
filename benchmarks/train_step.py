"""What do the quantizer and the losses add to a training step?

    python -m benchmarks.train_step

Times Keras's train function of the wrapped ranker on one batch held in memory:
plain (LogLoss alone), with quantizer and group losses, with the default preset
(and quantization dropout), and with the paper's (second pass, uncertainty
weights), for DCN-v2 of 16 features. The reported ratios are the worse ones of
128 and 512 units; each is one of medians, and its spread the first and third quartile
of the ratios of single rounds. Then the quantizer's encode beside a plain numpy one,
and beside vector-quantize-pytorch's, on the same embeddings and codebooks (null where
that is not installed: pip install torch==2.13.0 vector-quantize-pytorch).
"""

import numpy as np
import tensorflow as tf

from benchmarks.timing import (
    interleaved_rounds,
    medians,
    print_json,
    spread_of_ratio,
    train_function_of,
)
from hgr_tf.features import USER, FeatureEncoding, FeatureSpec
from hgr_tf.layers import ResidualVectorQuantizer
from hgr_tf.rankers import dcn_v2_ranker
from hgr_tf.training.method import MethodConfig

METHODS = {
    "plain": MethodConfig(),
    "losses": MethodConfig(ranking_loss="list_ce"),
    "default": MethodConfig(preset="default"),
    "paper": MethodConfig(preset="paper"),
}
VOCABULARIES = {"user": 20_000, "item": 8_000}
BATCHES = {4096: (128, 512), 1024: (128, 512)}
TABLES = [(100_000, 16, 3, 8), (100_000, 16, 2, 32), (100_000, 64, 3, 256)]
"""Rows, dim, levels and codewords per level."""


def make_encoding():
    features = [f"feature_{i}" for i in range(14)]
    spec = FeatureSpec(
        name="train_step",
        user_id="user",
        item_id="item",
        label="label",
        user={"user": {"type": "categorical"}},
        item={"item": {"type": "categorical"}},
        context={name: {"type": "hashed", "num_buckets": 100} for name in features},
    )
    vocabularies = {
        name: tuple(map(str, range(size))) for name, size in VOCABULARIES.items()
    }
    return FeatureEncoding(spec, vocabularies)


def make_batch(encoding, size):
    random = np.random.default_rng(0)
    inputs = {
        feature.name: tf.constant(
            random.integers(1, encoding.num_ids(feature.name), size)
        )
        for feature in encoding.spec.features()
    }
    labels = tf.constant((random.random(size) < 0.3).astype(np.float32))
    return {**inputs, USER: inputs["user"]}, labels


def train_function(method, encoding, units, batch):
    tf.keras.utils.set_random_seed(0)
    ranker = dcn_v2_ranker(encoding, hidden_units=(units, units // 2))
    method = method.model_copy(update={"user_embedding": "user_embedding"})
    model = method.wrap(ranker, steps_per_epoch=2)
    model.compile(tf.keras.optimizers.Adam(1e-3))
    step = train_function_of(model)
    iterator = iter(tf.data.Dataset.from_tensors(batch).repeat())
    return lambda: step(iterator)["loss"].numpy()


def measure_steps(encoding, size, units):
    batch = make_batch(encoding, size)
    functions = {
        name: train_function(method, encoding, units, batch)
        for name, method in METHODS.items()
    }
    rounds = interleaved_rounds(functions, rounds=60, warmup=5)
    found = {"batch": size, "units": units, **_in_ms(rounds)}
    plain = rounds.pop("plain")
    for name, own in rounds.items():
        found[f"{name}_ratio"] = found[f"{name}_ms"] / found["plain_ms"]
        found[f"{name}_ratio_spread"] = spread_of_ratio(own, plain)
    return found


def _in_ms(rounds):
    return {f"{name}_ms": value for name, value in medians(rounds).items()}


def numpy_encoder(embeddings, books):
    return lambda: numpy_encode(embeddings, books)


def numpy_encode(embeddings, books):
    residual, codes = embeddings, []
    for book in books:
        distances = (
            np.square(residual).sum(1, keepdims=True)
            - 2 * residual @ book.T
            + np.square(book).sum(1)
        )
        codes.append(distances.argmin(1))
        residual = residual - book[codes[-1]]
    return np.stack(codes, axis=1)


def torch_encoder(embeddings, books):
    try:
        import torch
        from vector_quantize_pytorch import ResidualVQ
    except ImportError:
        return None
    size, dim = books[0].shape
    quantizer = ResidualVQ(
        dim=dim, num_quantizers=len(books), codebook_size=size
    ).eval()
    for layer, book in zip(quantizer.layers, books, strict=True):
        layer._codebook.embed.data.copy_(torch.from_numpy(book)[None])
    tensor = torch.from_numpy(embeddings)

    def encode():
        with torch.inference_mode():
            return quantizer(tensor)[1].numpy()

    return encode


def measure_encoding(other, make_encoder, rows, dim, levels, size):
    """Ours beside another encoder; None without it."""
    random = np.random.default_rng(0)
    embeddings = random.normal(size=(rows, dim)).astype(np.float32)
    books = [
        random.normal(scale=0.6**level, size=(size, dim)).astype(np.float32)
        for level in range(levels)
    ]
    quantizer = ResidualVectorQuantizer(levels, size, initializer=books)
    tensor = tf.constant(embeddings)
    functions = {
        "ours": lambda: quantizer.encode(tensor).numpy(),
        other: make_encoder(embeddings, books),
    }
    if functions[other] is None:
        return None
    # Distances that tie but for rounding give other codes.
    agreement = (functions["ours"]() == functions[other]()).all(axis=1).mean()
    if agreement < 0.999:
        raise AssertionError(f"{other} gives other codes: {agreement:.4f} agree")
    timed = interleaved_rounds(functions, rounds=15)
    found = {
        "rows": rows,
        "dim": dim,
        "levels": levels,
        "codebook_size": size,
        **_in_ms(timed),
    }
    found[f"vs_{other}"] = found[f"{other}_ms"] / found["ours_ms"]
    found[f"vs_{other}_spread"] = spread_of_ratio(timed[other], timed["ours"])
    return found


def main():
    encoding = make_encoding()
    steps = [
        measure_steps(encoding, size, units)
        for size, all_units in BATCHES.items()
        for units in all_units
    ]
    # torch comes last: its threads, once there, wait busily and slow all others.
    encoders = {"numpy": numpy_encoder, "torch": torch_encoder}
    encodings = [
        measure_encoding(other, make_encoder, *table)
        for other, make_encoder in encoders.items()
        for table in TABLES
    ]
    encodings = [case for case in encodings if case]

    def worst(name, size):
        case = max((c for c in steps if c["batch"] == size), key=lambda c: c[name])
        return case[name], case[f"{name}_spread"]

    def slowest(name):
        found = [(c[name], c[f"{name}_spread"]) for c in encodings if name in c]
        return min(found, default=(None, None))

    figures = {
        "default_ratio": worst("default_ratio", 4096),
        "losses_ratio": worst("losses_ratio", 4096),
        "paper_ratio": worst("paper_ratio", 4096),
        "default_ratio_b1024": worst("default_ratio", 1024),
        "encode_vs_numpy": slowest("vs_numpy"),
        "encode_vs_torch": slowest("vs_torch"),
    }
    result = {name: value for name, (value, _) in figures.items()}
    result |= {f"{name}_spread": spread for name, (_, spread) in figures.items()}
    print_json({**result, "cases": [*steps, *encodings]})


if __name__ == "__main__":
    main()
