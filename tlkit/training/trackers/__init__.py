"""Experiment trackers: where one watches a training, and compares it with others."""
