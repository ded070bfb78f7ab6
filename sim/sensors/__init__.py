"""Sensors at object level: what units see of the truth, with noise, occlusion and misses."""

__all__: list[str] = []
