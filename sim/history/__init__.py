"""What earlier suites said: every result kept in a database, and the questions asked of it afterwards."""

from sim.history.store import History

__all__ = ["History"]
