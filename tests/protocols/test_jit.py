"""The quickened compiler gives what the plain one gives, and leaves the process as it found it."""

import gc
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numba import float64, int64, njit, types, uint64
from numba.core import errors
from numba.core.types import Function

from protocols import jit
from protocols.roads import _routing_kernels
from sim.radio import _kernels as radio
from vehicle.fusion import _kernels as fusion

column = types.Array(float64, 1, "C")
table = types.Array(float64, 2, "C")


def mixed(a: Any, i: Any, u: Any, x: Any, n: Any) -> Any:
    """Every kind of operand pair a kernel of ours holds, literals and comparisons among them."""
    total = 0.0
    count = 0
    for k in range(n):
        total += a[k] * 2 + x / (k + 1) - 3.0 * i[k] ** 2
        u = (u ^ (u >> np.uint64(7))) * np.uint64(0x9E3779B97F4A7C15)
        if k % 3 == 0 and not (total > 1e3 or i[k] < 0):
            count += int(x) & 5
        total = max(min(total, 1e6), -1e6) + abs(float(k) - x) + (-x if count > 2 else x)
    return total, count, u


CASES: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
    (mixed, (column, types.Array(int64, 1, "C"), uint64, float64, int64)),
    (fusion.localise.py_func, (column, table, column, column, types.boolean, table, table)),
]


def typed(function: Callable[..., Any], signature: tuple[Any, ...]) -> list[str]:
    dispatcher = njit(error_model="numpy")(function)
    dispatcher.compile(signature)
    (result,) = dispatcher.overloads.values()
    return sorted(f"{k} -> {v}" for k, v in result.type_annotation.calltypes.items() if v)


@pytest.mark.parametrize("case", [0, 1])
def test_remembered_answers_are_the_ones_the_compiler_would_give(
    case: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    function, signature = CASES[case]
    first, second = typed(function, signature), typed(function, signature)
    monkeypatch.setattr(Function, "get_call_type", Function.get_call_type.__wrapped__)
    plain = typed(function, signature)
    assert len(plain) > 20
    assert first == plain
    assert second == plain


def test_the_compiled_form_counts_as_python_does() -> None:
    rng = np.random.default_rng(3)
    a, i = rng.normal(size=40), rng.integers(-3, 9, 40)
    with np.errstate(over="ignore"):
        expected = mixed(a, i, np.uint64(11), 2.5, 40)
    found = njit(error_model="numpy")(mixed)(a, i, np.uint64(11), 2.5, 40)
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert found[1:] == expected[1:]


def test_the_collector_is_back_on_after_compiling_and_after_failing_to() -> None:
    assert gc.isenabled()
    njit(lambda x: x + 1)(1.0)
    assert gc.isenabled()
    with pytest.raises(errors.TypingError):
        njit(lambda x: x.no_such_thing)(1.0)
    assert gc.isenabled()
    gc.disable()
    try:
        njit(lambda x: x + 2)(1.0)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_quickening_twice_changes_nothing() -> None:
    before = Function.get_call_type
    jit.quicken()
    assert Function.get_call_type is before


def test_helpers_are_plain_python_and_kernels_are_compiled() -> None:
    assert not hasattr(radio._mix, "py_func")
    assert hasattr(radio.range_loss, "py_func")
    assert hasattr(_routing_kernels.cost_to_go, "py_func")


ALONE = """
import sys
import numpy as np
import protocols.jit
from numba import njit

@njit
def twice(a):
    return a * 2.0

twice(np.ones(3))
assert "scipy.linalg" not in sys.modules, "numba looked for a BLAS before anybody needed one"

@njit
def product(a, b):
    return np.dot(a, b) + np.linalg.det(a)

@njit
def smoothed(a, b):
    return np.convolve(a, b)

a = np.array([[1.0, 2.0], [3.0, 4.0]])
assert (product(a, a) == a @ a + np.linalg.det(a)).all()
assert (smoothed(np.arange(5.0), np.array([1.0, 0.5])) == np.convolve(np.arange(5.0), [1.0, 0.5])).all()
"""


def test_scipy_is_not_imported_for_a_kernel_that_needs_none_and_still_there_for_others() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_code_that_makes_no_arrays_counts_no_references_to_them() -> None:
    def scale(a: Any, n: Any) -> Any:
        for k in range(n):
            a[k, 0] = a[k, 1] * np.cos(a[k, 2]) if a[k, 3] > 0.0 else a[k - 1, 0] ** a[k, 1]
        return a[n - 1, 0]

    def compiled(helper: Any, **options: bool) -> str:
        scaled = helper(scale)

        def both(a: Any, n: Any) -> Any:
            return scaled(a, n) + scaled(a, n - 1)

        dispatcher = njit(error_model="numpy", **options)(both)
        dispatcher.compile((table, int64))
        (code,) = dispatcher.inspect_llvm().values()
        return str(code)

    assert "NRT_incref" in compiled(jit.array_helper)
    for helper in (jit.helper, jit.inlined):
        assert "NRT_incref" not in compiled(helper, _nrt=False)
    assert jit.kernel(scale).targetoptions["_nrt"] is False
