"""From a failing run to the smallest scene that still fails for the same reason."""
