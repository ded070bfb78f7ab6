"""The agreed language of all rooms: messages, topics, time, frames, ids, the road network, the bus. Imports no room."""

__all__: list[str] = []
