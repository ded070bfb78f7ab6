"""Importing this warms up (see `warm`). The fork server of the standard library knows no other hook than an import, so this
module breaks the rule that an import does no work; nothing else may import it.
"""

import signal
import sys

# Ctrl-C reaches this process too while it warms up; the suite tells of it, and nobody needs a traceback besides. Afterwards the fork
# server ignores it.
signal.signal(signal.SIGINT, lambda number, frame: sys.exit(130))

from sim.suite.warm import warm  # noqa: E402 - imports take most of the time

warm()
