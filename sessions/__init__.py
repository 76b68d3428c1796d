"""The pure core: networks as data, edits, MACs, score, events, state and the session folder.

It imports the standard library and msgspec only, so that every process can share it.
"""
