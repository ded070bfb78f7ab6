"""Importing this warms up (see `warm`). The fork server of the standard library knows no other hook than an import, so this
module breaks the rule that an import does no work; nothing else may import it.
"""

import signal
import sys

# Ctrl-C, or a SIGTERM for the whole group, reaches this process too while it warms up; the suite tells of it, nobody needs a traceback
# besides, and the folder of the warm-up goes. Afterwards the fork server ignores Ctrl-C.
for _number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(_number, lambda number, frame: sys.exit(130))

from sim.suite.warm import warm  # noqa: E402 - imports take most of the time

warm()
signal.signal(signal.SIGTERM, signal.SIG_DFL)
