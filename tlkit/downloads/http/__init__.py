"""Downloads over HTTP, for images and for weights: limits, proxies, certificates, reasons of failures."""
