"""`python -m scenarios.roads`: write our maps again."""

from scenarios.roads.catalogue import write_all

for path in write_all():
    print(f"wrote {path.name}, {path.stat().st_size} bytes")
