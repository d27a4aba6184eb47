"""Write a classifier in a format that other programs run, one file a format, and prove that it gives the same."""
