"""The screens: thin compositions of widgets, and the pure functions that cut state into views."""
