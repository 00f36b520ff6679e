"""prowess makes AI agents better at the work they really do. See `docs/` for the map."""

__version__ = "0.1.0"
