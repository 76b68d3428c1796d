"""Networks with weights: read and write files, build modules, carry weights over edits.

Imports torch; only the engine, the trainer and headless commands may reach it.
"""
