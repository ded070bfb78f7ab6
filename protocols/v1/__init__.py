"""Protobuf package `icv.v1`: one `.proto` per family and the modules generated from them (never edited by hand)."""

__all__: list[str] = []
