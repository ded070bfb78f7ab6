"""Commands of `icv`, a module each: `register(app)` adds them. Everything heavy is imported inside the command."""
