"""One thing that pyproject.toml cannot say: an editable install has the settings in `jupyter_config`, too.

Setuptools asks a distribution whether it "has data" before it installs data files with an editable package, and there
is no such method: it is called `has_data_files`. Everything else stands in pyproject.toml.
"""

import setuptools


class Distribution(setuptools.Distribution):
    """A distribution that answers."""

    has_data = setuptools.Distribution.has_data_files


setuptools.setup(distclass=Distribution)
