"""Run what `tlkit export` wrote, each file in the runtime of its format."""
