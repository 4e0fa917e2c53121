"""Pictures of acceptors and rounds. Each is SVG with a text alternative, so it says the same without eyes.

`static` draws pictures that stand still; `show` puts text and HTML in front of whoever is there.
"""
