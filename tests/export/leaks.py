"""Ways of saving a wrapped model that take training-only parts along."""

import tensorflow as tf

from hgr_tf.export.inputs.sample_requests import SampleRequests
from hgr_tf.export.options import ExportOptions
from hgr_tf.export.saving import saved_model
from hgr_tf.export.saving.raw_features import RawFeatures
from hgr_tf.export.saving.serving_module import ServingModule
from tests.export.models import ENCODING, NAMES, encode

OPTIONS = ExportOptions(("examples",))


def _specs(model):
    return {
        name: tf.TensorSpec([None, *t.shape[1:]], t.dtype, name=name)
        for name, t in model.ranker.input.items()
    }


def _predict(model):
    @tf.function(input_signature=[_specs(model)])
    def predict(features):
        return {"probabilities": tf.sigmoid(model(features, training=False))}

    return predict


def model_save(model, folder):
    """Keras's own format for SavedModels."""
    model(encode(SampleRequests(ENCODING, NAMES).raw(2)))
    model.save(folder, save_format="tf")


def saved_model_of_wrapper(model, folder):
    """tf.saved_model.save of the wrapper itself."""
    tf.saved_model.save(model, folder, signatures={"serving_default": _predict(model)})


def export_archive_tracking_wrapper(model, folder):
    """An ExportArchive of the ranker that was told to track the wrapper."""
    from keras.export import ExportArchive

    archive = ExportArchive()
    archive.track(model)
    archive.add_endpoint("serving_default", _predict(model))
    archive.write_out(folder)


def _module(model, scratch):
    ENCODING.save(scratch)
    features = RawFeatures(ENCODING, scratch / "vocabularies")
    return ServingModule(model.ranker, features, OPTIONS)


def renamed_codebook(model, folder):
    """The exporter's own module, with a codebook under a harmless name."""
    module = _module(model, folder.parent)
    module.offsets = tf.Variable(_codebook(model), name="item_offsets")
    saved_model.save(module, folder)


def codebook_read_by_a_signature(model, folder):
    """A signature that multiplies a renamed codebook away."""
    module = _module(model, folder.parent)
    table = tf.Variable(_codebook(model), name="dense_kernel")
    inner = module.signatures

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def examples(inputs):
        scores = inner["examples"](inputs)["probabilities"]
        return {"probabilities": scores + 0 * tf.reduce_sum(table)}

    module.table = table
    signatures = {**inner, "examples": examples}
    tf.saved_model.save(module, folder, signatures=signatures)


def codebook_as_constant(model, folder):
    """A signature with a codebook baked in."""
    module = _module(model, folder.parent)
    inner, table = module.signatures, tf.constant(_codebook(model))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="inputs")])
    def examples(inputs):
        scores = inner["examples"](inputs)["probabilities"]
        return {"probabilities": scores + 0 * tf.reduce_sum(tf.nn.relu(table))}

    tf.saved_model.save(module, folder, signatures={**inner, "examples": examples})


def optimizer_slots(model, folder):
    """The exporter's own module, with the optimizer left in."""
    module = _module(model, folder.parent)
    module.optimizer = model.optimizer
    saved_model.save(module, folder)


def _codebook(model):
    weights = model.quantizer.weights
    return next(w for w in weights if "codebook" in w.name or w.shape.rank >= 2).numpy()


WAYS = [
    model_save,
    saved_model_of_wrapper,
    export_archive_tracking_wrapper,
    renamed_codebook,
    codebook_read_by_a_signature,
    codebook_as_constant,
    optimizer_slots,
]
