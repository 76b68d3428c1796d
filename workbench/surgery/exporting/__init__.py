"""Models in forms that need no workbench: how each is written, read back and compared."""
