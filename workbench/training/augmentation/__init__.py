"""Random changes of training images: presets as data, by tensors or by albumentations."""
