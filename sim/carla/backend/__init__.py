"""Our scenes on a CARLA server: any 0.9.16 server, ours or the real one, through the stock client."""
