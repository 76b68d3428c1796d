"""F1 and what it is worth: evaluation, intervals, tests of two models on the same images."""
