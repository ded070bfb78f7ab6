"""The bytes: values, calls, streams. Knows no world."""
