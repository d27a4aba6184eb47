"""The web server of `tlkit serve`: a page to drop images on, and JSON for programs."""
