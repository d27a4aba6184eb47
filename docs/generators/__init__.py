"""What writes the generated regions of the documentation, one module a source of facts."""
