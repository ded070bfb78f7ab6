"""Tests mirror the rooms; `support` holds small shared fakes and slow, obvious twins."""
