"""The pure core: networks as data, edits, MACs, score, events, state and the session folder.

Imports the standard library and msgspec only, so every process (screen, engine, trainer) can share it.
"""
