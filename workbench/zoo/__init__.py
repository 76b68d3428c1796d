"""Networks with public weights: what is known of them, and fetching them.

Nothing here imports torch: what trains and compares them is workbench/search/zoo.py.
"""
