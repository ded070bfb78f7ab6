"""How kernels are compiled: the two decorators every `_kernels.py` uses, and a compiler that does nothing twice.

`kernel` is called from Python; it is kept in numba's cache on disk. `helper` is called by kernels of its own file; it stays a
plain function for Python and is compiled into its callers without entry points of its own (a third of the cost). Both divide
as IEEE 754 does (`error_model="numpy"`): a division by zero gives inf or nan, and costs no branch.

`lean_kernel`, `lean_helper` and `lean_part` are for code that makes no arrays: with them numba counts no references to arrays. It
would count one up and down with atomic instructions for every array at every call of a helper that is not compiled in line, which was
two thirds of the time of some kernels. `lean_part` is compiled in line whatever its size: for a long helper with one caller.

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

kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True)
lean_kernel = njit(cache=True, error_model="numpy", no_cfunc_wrapper=True, _nrt=False)


def helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compiled into the kernels that call it; plain Python when called from Python."""
    plain: Callable[..., Any] = register_jitable(error_model="numpy", no_cfunc_wrapper=True)(
        function
    )
    return plain


def lean_helper(function: Callable[..., Any]) -> Callable[..., Any]:
    """`helper` of a `lean_kernel`."""
    lean = register_jitable(error_model="numpy", no_cfunc_wrapper=True, _nrt=False)
    plain: Callable[..., Any] = lean(function)
    return plain


def lean_part(function: Callable[..., Any]) -> Callable[..., Any]:
    """`lean_helper` that always becomes part of its caller."""
    lean = register_jitable(
        error_model="numpy", no_cfunc_wrapper=True, _nrt=False, forceinline=True
    )
    plain: Callable[..., Any] = lean(function)
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
