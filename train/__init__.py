"""Stage two: a cache in, leave-one-subject-out predictions of a prompt-tuned, frozen ViT out."""
