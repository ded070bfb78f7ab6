"""Importing this warms up (see `warm`). The fork server of the standard library knows no other hook than an import, so this
module breaks the rule that an import does no work; nothing else may import it.
"""

import signal
import sys
from types import FrameType

from sim.stopping import SIGNALS

_stopped: list[int] = []


def _stop(number: int, frame: FrameType | None) -> None:
    """Once: the suite ends this process when it is stopped itself, and what clears away must not be interrupted by that."""
    for known in SIGNALS:
        signal.signal(known, signal.SIG_IGN)
    _stopped.append(number)
    sys.exit(130)


# Ctrl-C, or a SIGTERM for the whole group, reaches this process too while it warms up; the suite tells of it, nobody needs a traceback
# besides, and the folder of the warm-up goes. Afterwards the fork server ignores Ctrl-C.
for _number in SIGNALS:
    signal.signal(_number, _stop)

from sim.suite.warm import warm  # noqa: E402 - imports take most of the time

warm()
if _stopped:  # in a place where Python does not let an exception through
    sys.exit(130)
signal.signal(signal.SIGTERM, signal.SIG_DFL)
