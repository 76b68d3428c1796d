"""Textual widgets, one a file: frozen values in, messages out. They import sessions and nothing above."""
