"""A local server of TensorFlow Serving's protocol, for development and tests.

Around the C API session of an exported model; its process imports neither
Keras nor hgr_tf. Production is TensorFlow Serving.
"""
