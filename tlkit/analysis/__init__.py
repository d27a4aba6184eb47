"""What a set of labelled feature vectors says: pure functions on arrays, which know no files and no networks."""
