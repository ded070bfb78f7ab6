"""A copy of the packages in which every unit calls `tests.prove.whispers.plant`: links to the originals but for three files."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("protocols", "vehicle", "roadside", "scenarios", "sim")
UNITS = {"vehicle/fleet.py": "FleetUnit", "vehicle/onboard.py": "OnboardUnit", "roadside/unit.py": "RoadsideUnit"}  # fmt: skip
_TAIL = """

def _planted(cls):
    from protocols import whispers

    plain = cls.on_tick

    def on_tick(self, now, inbox):
        return whispers.plant(self.name, now, inbox, plain(self, now, inbox))

    cls.on_tick = on_tick


_planted({unit})
"""


def make(folder: Path) -> Path:
    """The copy, to be first in PYTHONPATH."""
    for package in PACKAGES:
        changed = {Path(name).name for name in UNITS if name.startswith(f"{package}/")}
        new = {"whispers.py"} if package == "protocols" else set()
        if not changed and not new:
            (folder / package).symlink_to(ROOT / package)
            continue
        (folder / package).mkdir()
        for item in (ROOT / package).iterdir():
            if item.name not in changed:
                (folder / package / item.name).symlink_to(item)
    (folder / "protocols" / "whispers.py").symlink_to(Path(__file__).with_name("whispers.py"))
    for name, unit in UNITS.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        (folder / name).write_text(text + _TAIL.format(unit=unit), encoding="utf-8")
    return folder
