"""What a reader gets from a run: result.json, the verdict table, the picture, and maps in words."""
