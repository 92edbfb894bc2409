"""From caches to the inputs of a step: clips, folds, augmentation, streams."""
