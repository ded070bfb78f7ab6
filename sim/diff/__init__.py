"""Two logs side by side: what differs, where it began, and what led from there to the rest."""

__all__: list[str] = []
