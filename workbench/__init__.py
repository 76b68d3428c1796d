"""The workbench: command line, terminal application and the processes behind it."""

__version__ = "0.1.0"
