"""Readers of public file formats: OpenDRIVE roads, OpenSCENARIO storyboards."""
