"""The log of a run: MCAP with protobuf schemas, digests, and the comparison of two runs."""

__all__: list[str] = []
