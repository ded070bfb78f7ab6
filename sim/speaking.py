"""Writing a command's answer to standard output, which may lack signs, be closed, be full, or have nobody who reads.

None of that changes what a command found out, nor its exit code.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def open_standard_files() -> None:
    """Where standard input, output or error was closed (`>&-`), nothing is there instead of what happens to be opened next.

    Workers send what they print to the number of standard output, whatever else has it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(
                os.open(os.devnull, os.O_RDWR), True
            )  # the lowest number is given out


@contextmanager
def speaking() -> Iterator[None]:
    """Inside, standard output is written to. Signs that its encoding lacks are spelled out; where it takes no more, or somebody who is
    asked twice does not want to read, the rest is left out.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except (KeyboardInterrupt, SystemExit):  # the latter is what rich makes of a broken pipe
        pass
    except OSError as error:
        if not isinstance(error, BrokenPipeError):
            print(f"icv: standard output: {error.strerror}.", file=sys.stderr)
        with contextlib.suppress(OSError, ValueError):  # what is left in it would be tried again
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
