"""Importing this warms up (see `warm`). The fork server of the standard library knows no other hook than an import, so this
module breaks the rule that an import does no work; nothing else may import it.
"""

from sim.suite.warm import warm

warm()
