"""What acts and learns: networks, adapters of a shared network, scripts."""
