"""Settings of nbconvert on the command line: an exported notebook shows a view's picture."""

from gryadka.jupyter import PICTURES_FIRST

get_config().NbConvertBase.display_data_priority = PICTURES_FIRST  # noqa: F821
