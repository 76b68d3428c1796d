"""Textual widgets, one a file: frozen values in, messages out; they import sessions only."""
