"""Compile a Keras network that is data (layers, settings, arrays) for OpenVINO, without Keras or TensorFlow.

:mod:`graph` holds a network, :mod:`layers` and :mod:`operations` say what each kind of layer computes, one function a
kind, in the vocabulary of :mod:`writer`; :mod:`openvino_writer` emits it. A kind or a setting that is not in these
tables is never approximated: it raises :class:`tlkit.inference.compiler.graph.Unsupported`, and the network goes
through Keras.
"""
