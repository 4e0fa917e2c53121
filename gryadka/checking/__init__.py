"""Verdicts on a protocol: exhaustive exploration, models, history checks, broken protocols."""
