"""FuxiCTR's side of `benchmarks.peer`: one epoch of an MLP in this process.

Run by that benchmark, in an environment that has FuxiCTR and torch and nothing of ours.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import FeatureEmbedding, MLP_Block
from fuxictr.pytorch.models import BaseModel

BATCH, WARM_UP = 4096, 20
UNITS, DIM, RATE = [128, 128, 128], 16, 1e-3


class Mlp(BaseModel):
    """Embeddings side by side, then dense ReLU layers and a sigmoid."""

    def __init__(self, feature_map, **options):
        super().__init__(feature_map, **options)
        self.embedding = FeatureEmbedding(feature_map, DIM)
        self.mlp = MLP_Block(
            input_dim=feature_map.sum_emb_out_dim(),
            hidden_units=UNITS,
            output_dim=1,
            output_activation=self.output_activation,
        )
        self.compile("adam", "binary_crossentropy", RATE)
        self.reset_parameters()
        self.model_to_device()

    def forward(self, inputs):
        """Probabilities [batch, 1]."""
        embedded = self.embedding(self.get_inputs(inputs), flatten_emb=True)
        return {"y_pred": self.mlp(embedded)}


def train(model, batches):
    """Mean loss of an epoch over batches."""
    model.train()
    model._max_gradient_norm = 10.0  # as FuxiCTR's fit() has it
    losses = [model.train_step(batch).item() for batch in batches]
    return sum(losses) / len(losses)


def feature_map(folder):
    """FuxiCTR's description of the columns."""
    features = FeatureMap("peer", str(folder))
    features.labels, features.default_emb_dim = ["label"], DIM
    told = json.loads((folder / "features.json").read_text(encoding="utf-8"))
    for name, column in told.items():
        given = {"source": "", "vocab_size": column["vocab_size"]}
        if column["length"]:
            given |= {
                "type": "sequence",
                "max_len": column["length"],
                "padding_idx": 0,
                "feature_encoder": "layers.MaskedAveragePooling()",
            }
        else:
            given["type"] = "categorical"
        features.features[name] = given
    features.num_fields = features.get_num_fields()
    features.set_column_index()
    return features


def main(folder):
    """Trains and prints a line of JSON."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    features = feature_map(folder)
    model = Mlp(features, verbose=0, model_root=str(folder), metrics=["AUC"], gpu=-1)
    loader, _ = RankDataLoader(
        features,
        stage="train",
        train_data=str(folder / "train.npz"),
        batch_size=BATCH,
        shuffle=True,
        num_workers=0,
    )
    train(model, itertools.islice(loader, WARM_UP))
    start = time.process_time()
    loss = train(model, loader)
    cpu_s = time.process_time() - start
    parameters = sum(weight.numel() for weight in model.parameters())
    told = {"rows": loader.num_samples, "cpu_s": cpu_s, "parameters": parameters}
    print(json.dumps({**told, "loss": loss}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
