"""The model: a frozen timm ViT, motion prompts, adapters and a head, each trained part with a fold axis."""
