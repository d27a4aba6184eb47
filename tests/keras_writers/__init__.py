"""Writers of old Keras files, and references to compare what is read from them with.

``dialects`` writes a network of ``networks`` as each Keras since 2015 wrote its weights or models, with h5py alone;
``configs`` holds their model configurations. ``reference`` computes a network's output with SciPy, without Keras;
``building`` makes the Keras model that a file is loaded into; ``tagger`` writes the recurrent layers of Keras 1.
A new dialect is a new writer here and a line in ``DIALECTS`` of ``tests/keras_files/loading/test_dialects.py``.
"""
