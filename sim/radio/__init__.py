"""Radio: who hears which message, and when, or why not."""

__all__: list[str] = []
