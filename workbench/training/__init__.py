"""Data, augmentation, the training loop, batch-norm recovery and evaluation.

Imports torch; only the trainer and headless commands may reach it.
"""
