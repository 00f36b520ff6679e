"""Serving a library to agents: what they may do with it, and the protocols over which they do it."""
