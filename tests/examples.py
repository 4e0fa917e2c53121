"""How many examples hypothesis tries. Tests that set their own number follow the profile (see conftest) as well."""

from __future__ import annotations

from hypothesis import settings


def examples(count: int) -> settings:
    """Return settings for `count` examples in `make test`, and in proportion fewer in `make quick`."""
    return settings(max_examples=count * settings.default.max_examples // 100)
