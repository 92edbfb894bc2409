"""A timm ViT, frozen, taken apart into the steps between which prompts and adapters go."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from data_cache.errors import UsageError


class Backbone(nn.Module):
    """Any timm Vision Transformer of the plain kind, as embed → blocks → pool.

    It stays in evaluation mode for good, and its weights are frozen unless `trainable`, for full fine-tuning. The
    model of timm is to have `num_classes=0`; a UsageError where it is not built of plain blocks.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, vit: Any, trainable: bool = False) -> None:
        super().__init__()
        _check_plain(vit)
        self.vit = vit
        self.trainable = trainable
        self.dim: int = vit.embed_dim
        self.depth = len(vit.blocks)
        self.prefix: int = vit.num_prefix_tokens
        self.has_class_token: bool = vit.cls_token is not None
        self.pools_class_token: bool = self.has_class_token and vit.global_pool == "token" and vit.attn_pool is None
        config = vit.pretrained_cfg
        self.pixel_mean = tuple(float(value) for value in config.get("mean", (0.5, 0.5, 0.5)))
        self.pixel_std = tuple(float(value) for value in config.get("std", (0.5, 0.5, 0.5)))
        # in float64, to be rounded once, to whatever the weights are
        self.register_buffer("mean", torch.tensor(self.pixel_mean, dtype=torch.float64), persistent=False)
        self.register_buffer("std", torch.tensor(self.pixel_std, dtype=torch.float64), persistent=False)
        self.requires_grad_(trainable)
        super().train(False)

    def train(self, mode: bool = True) -> "Backbone":  # noqa: ARG002
        """Stay in evaluation mode: a frozen backbone has no dropout and no drop path."""
        return self

    def embed(self, images: Tensor) -> Tensor:
        """uint8 images (B, H, W, 3) → tokens (B, prefix + n, D), positions added."""
        with torch.set_grad_enabled(self.trainable and torch.is_grad_enabled()):
            dtype = self.vit.patch_embed.proj.weight.dtype
            x = (images.to(dtype) / 255 - self.mean.to(dtype)) / self.std.to(dtype)
            return self.vit.norm_pre(self.vit._pos_embed(self.vit.patch_embed(x.permute(0, 3, 1, 2))))

    def attend(self, layer: int, x: Tensor) -> Tensor:
        """First half of a block: x + attention. (B, N, D) → (B, N, D)."""
        block = self.vit.blocks[layer]
        return x + block.drop_path1(block.ls1(block.attn(block.norm1(x))))

    def feed_forward(self, layer: int, x: Tensor) -> Tensor:
        """What the second half of a block adds to x."""
        block = self.vit.blocks[layer]
        return block.drop_path2(block.ls2(block.mlp(block.norm2(x))))

    def attend_class_token(self, layer: int, x: Tensor) -> Tensor:
        """The class token's row of `attend`, without computing the others: (B, N, D) → (B, 1, D).

        Exact in the last block, where only the class token is read afterwards.
        """
        block = self.vit.blocks[layer]
        attention, y = block.attn, block.norm1(x)
        weight, bias, width = (attention.qkv.weight, attention.qkv.bias, attention.num_heads * attention.head_dim)
        query = F.linear(y[:, :1], weight[:width], None if bias is None else bias[:width])
        rest = F.linear(y, weight[width:], None if bias is None else bias[width:])
        heads = (attention.num_heads, attention.head_dim)
        q = query.unflatten(-1, heads).transpose(1, 2)  # (B, heads, 1, head_dim)
        k, v = rest.unflatten(-1, (2, *heads)).permute(2, 0, 3, 1, 4)  # each (B, heads, N, head_dim)
        attended = F.scaled_dot_product_attention(attention.q_norm(q), attention.k_norm(k), v)
        merged = attention.norm(attended.transpose(1, 2).flatten(2))  # (B, 1, width)
        return x[:, :1] + block.drop_path1(block.ls1(attention.proj_drop(attention.proj(merged))))

    @property
    def has_class_token_shortcut(self) -> bool:
        """Whether `attend_class_token` is the same as the model's own attention."""
        attention = self.vit.blocks[-1].attn
        plain = type(attention).__name__ == "Attention" and getattr(attention, "gate", None) is None
        return self.pools_class_token and plain

    def pool(self, x: Tensor) -> Tensor:
        """Normed feature of each image: tokens (B, prefix + n, D), or the class token alone → (B, D).

        The class token where the model was pretrained to be read there; otherwise the model's own
        pooling (mean or attention) of its image tokens. Prompts are never pooled.
        """
        if self.pools_class_token:
            return self.vit.fc_norm(self.vit.norm(x[:, 0]))
        return self.vit.fc_norm(self.vit.pool(self.vit.norm(x)))


def _check_plain(vit: Any) -> None:
    from timm.models.vision_transformer import Block, VisionTransformer

    name = type(vit).__name__
    if not isinstance(vit, VisionTransformer):
        raise UsageError(f"the backbone is a {name}; only plain Vision Transformers of timm take prompts (vit_…)")
    if vit.num_prefix_tokens > 1 and not getattr(vit, "num_reg_tokens", 0):
        raise UsageError("the backbone reads a distillation token as well; choose one without (deit3_… or vit_…)")
    if strange := {type(block).__name__ for block in vit.blocks if type(block) is not Block}:
        raise UsageError(f"the backbone has blocks of type {', '.join(sorted(strange))}; only plain ones take adapters")
