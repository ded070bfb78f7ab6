"""Settings every test shares: one thread a process, the same random examples every time.

Compiled kernels are cached beside their source, where `icv run` caches them too, so that a second run of either is fast;
where the source cannot be written, numba falls back to the user's cache folder.
"""

import os

# Two pytest workers on two cores: more threads would only fight. Has to be set before numba is first imported.
for variable in ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from hypothesis import HealthCheck, settings  # noqa: E402

settings.register_profile(
    "icv",
    derandomize=True,  # the same examples every run: a red test stays red
    deadline=None,  # the first example may compile a kernel
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("icv")
