"""tlkit: transfer learning for images from the command line, on Keras.

The command line is ``tlkit``; the same jobs are functions in :mod:`tlkit.commands`, each taking one frozen
config of :mod:`tlkit.config` and returning one result. Importing this package imports nothing heavy.
"""

__version__ = "0.1.0"
