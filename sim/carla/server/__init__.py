"""The headless world behind CARLA's ports."""
