"""How kernels are compiled: the two decorators every `_kernels.py` uses, and a compiler that does nothing twice.

`kernel` is called from Python; it is kept in numba's cache on disk. `helper` is called by kernels of its own file; it stays a
plain function for Python and is compiled into its callers without entry points of its own (a third of the cost). Both divide
as IEEE 754 does (`error_model="numpy"`): a division by zero gives inf or nan, and costs no branch.

Neither may make arrays (slices, copies of rows and np.empty are arrays too); what must, is an `array_kernel` with `array_helper`s. Where arrays
can be made, numba counts references to every array at every call of a helper that is not compiled in line, up and down with atomic
instructions: two thirds of the time of some kernels, and a tenth of the time to compile them.

numba types every `a + b` anew, asking some thirty candidates each time, and the interpreter's garbage collector walks the
growing compiler state over and over. `quicken` remembers the answers and lets the collector rest while a kernel compiles:
together they halve the processor time of a cold start. Types, code and results stay what they were (tests/protocols/test_jit.py).

The first kernel, compiled or read from the cache, makes numba import scipy.linalg (0.1 s) just to note whether there is a BLAS. Only
np.convolve and np.correlate inside kernels ask for that note, and then do without; np.dot and np.linalg look for themselves.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core import event
from numba.core.types import Function
from numba.core.typing.templates import _OverloadFunctionTemplate
from numba.extending import register_jitable
from numba.np import linalg

kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True, _nrt=False)
array_kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True)


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled into the kernels that call it; plain Python when called from Python. Makes no arrays."""
    return _helper(function, _nrt=False)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """`helper` that becomes part of its caller whatever its size: for a long one with one caller."""
    return _helper(function, _nrt=False, forceinline=True)


def array_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """`helper` that may make arrays; only for an `array_kernel`."""
    return _helper(function)


def _helper(function: Callable[..., Any], **options: bool) -> Callable[..., Any]:
    wrap = register_jitable(error_model="numpy", no_cfunc_wrapper=True, **options)
    plain: Callable[..., Any] = wrap(function)
    return plain


class _Rest(event.Listener):  # type: ignore[misc]
    """Keeps the garbage collector off while anything compiles; compiling nests."""

    def __init__(self) -> None:
        self._depth = 0
        self._was_on = False

    def on_start(self, event: Any) -> None:
        if self._depth == 0:
            self._was_on = gc.isenabled()
            gc.disable()
        self._depth += 1

    def on_end(self, event: Any) -> None:
        self._depth -= 1
        if self._depth == 0 and self._was_on:
            gc.enable()


def _remembering(resolve: Callable[..., Any]) -> Callable[..., Any]:
    """`Function.get_call_type` with a memory of plain answers.

    An answer is plain when it came from a table of types: not from an overload, whose implementation numba compiles as a side
    effect of asking, and not for a bound method.
    """
    known: dict[tuple[Any, tuple[Any, ...]], tuple[Any, Any]] = {}

    @functools.wraps(resolve)
    def get_call_type(self: Any, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            return resolve(self, context, args, kws)
        question = (self, tuple(args))
        if question in known:
            signature, key = known[question]
            self._impl_keys[signature.args] = key
            return signature
        signature = resolve(self, context, args, kws)
        if signature is not None and signature.recvr is None:
            is_plain = not any(
                issubclass(template, _OverloadFunctionTemplate)
                and signature.args in template._compiled_overloads
                for template in self.templates
            )
            if is_plain:
                known[question] = signature, self._impl_keys[signature.args]
        return signature

    return get_call_type


def _unseen(ensure_blas: Callable[[], None]) -> Callable[[], None]:
    """No BLAS for the module that only wants to note whether there is one; everybody else gets it."""

    @functools.wraps(ensure_blas)
    def ensure() -> None:
        if sys._getframe(1).f_globals.get("__name__") == "numba.np.arraymath":
            raise ImportError("not looked for")
        ensure_blas()

    return ensure


def quicken() -> None:
    """Once a process, before the first kernel compiles: importing this module does it."""
    if hasattr(Function.get_call_type, "__wrapped__"):
        return
    setattr(Function, "get_call_type", _remembering(Function.get_call_type))  # noqa: B010 (mypy: a method)
    linalg.ensure_blas = _unseen(linalg.ensure_blas)
    event.register("numba:compile", _Rest())


quicken()
