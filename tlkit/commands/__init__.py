"""The jobs, one file each: a frozen config in, a result out. This is also the Python API."""
