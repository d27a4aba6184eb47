"""Answers of web servers, for pictures and for weights: who is trusted, how long one waits, why it failed."""
