import functools
import re
import shutil

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hgr_tf import export
from hgr_tf.compat import KERAS_3
from hgr_tf.export.checking.leak_report import VerificationError
from hgr_tf.export.checking.saved_graph import SavedGraph
from hgr_tf.export.checking.signatures import check_signatures
from hgr_tf.export.saving.writer import write
from tests.export.leaks import (
    OPTIONS,
    WAYS,
    codebook_as_constant,
    codebook_read_by_a_signature,
    export_archive_tracking_wrapper,
    model_save,
    optimizer_slots,
    renamed_codebook,
    saved_model_of_wrapper,
)
from tests.export.models import ENCODING, trained_model

# The checks that must find each leak; others may as well.
FOUND_BY = {
    model_save: {"values", "reads", "names", "optimizer", "twin"},
    saved_model_of_wrapper: {"values", "reads", "names", "optimizer", "twin"},
    export_archive_tracking_wrapper: {"values", "reads", "names", "twin"},
    renamed_codebook: {"values", "reads", "twin"},
    codebook_read_by_a_signature: {"values", "twin"},
    codebook_as_constant: {"values", "twin"},
    optimizer_slots: {"values", "reads", "optimizer", "twin"},
}


def test_every_check_passes_on_an_export(model, exported):
    report = export.verify(exported, model, ENCODING)
    assert report.ok
    assert sorted(report.passed) == ["names", "optimizer", "reads", "twin", "values"]
    assert str(report).startswith(f"{exported}: clean")


@pytest.fixture(scope="module")
def report_on(model, tmp_path_factory):
    """The report on each leaky way of saving, made once."""

    @functools.cache
    def report_on(leak):
        folder = tmp_path_factory.mktemp(leak.__name__) / "1"
        leak(model, folder)
        OPTIONS.save(folder)
        return export.verify(folder, model, ENCODING)

    return report_on


@pytest.mark.parametrize("leak", WAYS, ids=lambda way: way.__name__)
def test_every_leaky_way_of_saving_is_found(leak, report_on):
    if KERAS_3 and leak is model_save:
        pytest.skip("Keras 3 saves no SavedModel by model.save")
    report = report_on(leak)
    assert {found.check for found in report.leaks} >= FOUND_BY[leak]
    with pytest.raises(VerificationError, match=re.escape(report.leaks[0].where)):
        report.raise_if_leaking()


def test_a_leak_is_named_with_its_place(report_on):
    report = report_on(renamed_codebook)
    (value,) = [leak for leak in report.leaks if leak.check == "values"]
    assert value.where.startswith("checkpoint key offsets/")
    assert value.what.startswith("equals the training-only weight ")
    assert value.what.removesuffix(":0").endswith("codewords")
    (unread,) = [leak for leak in report.leaks if leak.check == "reads"]
    assert unread.what == "no signature reads it"


def test_without_the_model_the_other_checks_run(report_on, exported):
    report = export.verify(exported)
    assert report.ok
    assert list(report.skipped) == ["values", "twin"]
    leaks = export.verify(report_on(saved_model_of_wrapper).folder).leaks
    assert {leak.check for leak in leaks} == {"reads", "names", "optimizer"}


def test_a_ranker_alone_proves_nothing_of_values(model, exported):
    report = export.verify(exported, model.ranker, ENCODING)
    assert report.ok
    assert report.skipped == {"values": "weights outside the ranker"}
    assert sorted(report.passed) == ["names", "optimizer", "reads", "twin"]
    assert "skipped values (needs weights outside the ranker)" in str(report)


def test_a_copy_of_the_rankers_own_weights_is_no_leak(tmp_path):
    model = trained_model()
    model.teacher = tf.keras.models.clone_model(model.ranker)
    model.teacher.set_weights(model.ranker.get_weights())
    write(model.ranker, tmp_path / "clean", ENCODING, OPTIONS)
    assert export.verify(tmp_path / "clean", model, ENCODING).ok
    model.teacher.set_weights([2 * w for w in model.ranker.get_weights()])
    write(model.teacher, tmp_path / "other", ENCODING, OPTIONS)
    leaks = export.verify(tmp_path / "other", model, ENCODING).leaks
    assert {leak.check for leak in leaks} == {"values"}


def test_signatures_that_servers_would_misread_are_found(exported, tmp_path):
    check_signatures(exported)
    folder = shutil.copytree(exported, tmp_path / "1")
    proto = saved_model_pb2.SavedModel.FromString(
        (folder / "saved_model.pb").read_bytes()
    )
    signatures = proto.meta_graphs[0].signature_def
    signatures["rank"].outputs["more"].name = "scores:0"
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"fingerprint\.pb must be that of the model"):
        check_signatures(folder)
    signatures["classify"].method_name = "tensorflow/serving/predict"
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(ValueError, match=r"'classify' must be '.*/classify', got"):
        check_signatures(folder)


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no saved_model\.pb there"):
        export.verify(tmp_path)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(ValueError, match=r"must hold one graph, got 0"):
        export.verify(tmp_path)


def test_the_export_has_the_rankers_variables_and_no_other(model, exported):
    graph = SavedGraph(exported)
    shapes = sorted(tuple(w.shape) for w in model.ranker.weights)
    assert sorted(s for _, s in graph.variable_shapes().elements()) == shapes
