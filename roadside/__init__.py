"""roadside."""
