"""One unit of a recorded run alone: it gets the inboxes it had then, and its answers are held against the log."""
