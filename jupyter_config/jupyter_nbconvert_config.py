"""Settings of nbconvert: an exported notebook shows a view's picture, since no page of its own can run the widget."""

# jupyter_server_config.py reads this file too, for "Save and Export Notebook As" in JupyterLab.
c = get_config()  # noqa: F821

c.NbConvertBase.display_data_priority = [
    "image/svg+xml",
    "text/html",
    "text/markdown",
    "text/latex",
    "image/png",
    "image/jpeg",
    "application/vnd.jupyter.widget-view+json",
    "application/javascript",
    "text/plain",
]
