"""Settings of nbconvert on the command line: an exported notebook shows a view's picture."""

from gryadka.jupyter import set_exports

set_exports(get_config())  # noqa: F821
