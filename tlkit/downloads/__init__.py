"""Published weights files: find them on this machine, or download and verify them."""
