"""Recordings in CARLA's file format: writing them, telling what is in them, playing them back.

`recorder.Recorder` is what the server talks to; `replay.Replayer` moves a `replay.Stage`. Layouts were read from the headers and
writers in Unreal/CarlaUE4/Plugins/Carla/Source/Carla/Recorder of carla-simulator/carla, texts from CarlaRecorderQuery.cpp there.
"""
