"""Golden summaries: what a scene gave when it was last looked at, small enough for git, compared with what it gives now."""
