"""The workbench in a browser: textual-serve with a token, and the process behind each page."""
