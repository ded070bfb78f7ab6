"""Writing a command's answer to standard output, which may lack signs, be closed, be full, or have nobody who reads (`| head -1`).

None of that changes what a command found out, nor its exit code: a run that fails is no pass because nobody read so.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import Any


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


class _Unheard(io.FileIO):
    """Standard output or error: what it does not take is left out, and said once on standard error."""

    has_told = False

    def write(self, data: Any, /) -> int:
        """Number of bytes written, or left out."""
        try:
            return super().write(data)
        except OSError as error:
            if not (self.has_told or self.fileno() == 2 or isinstance(error, BrokenPipeError)):
                self.has_told = True
                with contextlib.suppress(OSError):
                    os.write(2, f"icv: standard output: {error.strerror}.\n".encode())
            return memoryview(data).nbytes


def speak_on() -> None:
    """From here on, standard output and error take everything, as their streams of text in this process."""
    open_standard_files()
    for number, name in ((1, "stdout"), (2, "stderr")):
        old = getattr(sys, name)  # None where it was closed
        raw = io.BufferedWriter(_Unheard(number, "wb", closefd=False))
        encoding = "utf-8" if old is None else old.encoding
        is_lively = old is None or old.line_buffering
        setattr(sys, name, io.TextIOWrapper(raw, encoding, "backslashreplace", line_buffering=is_lively))  # fmt: skip
