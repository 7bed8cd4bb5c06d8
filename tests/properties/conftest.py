"""How many cases hypothesis draws: the same few in every run, or many new ones for hours.

`FASTPARADIME_PROPERTIES=nightly` draws new cases for an hour or so; what it finds is printed with
the decorator that repeats it, which is then kept as an ``@example``.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

_COMMON = {
    "deadline": None,
    "database": None,  # a find is kept in the test, not on one machine
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
}
settings.register_profile("ci", max_examples=25, derandomize=True, **_COMMON)
settings.register_profile(
    "nightly",
    max_examples=int(os.environ.get("FASTPARADIME_EXAMPLES") or 20_000),
    print_blob=True,
    **_COMMON,
)
settings.load_profile(os.environ.get("FASTPARADIME_PROPERTIES") or "ci")
