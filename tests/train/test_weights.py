"""Backbone weights from files, and checkpoints of what was trained."""

import pickle
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from data_cache.errors import InvalidFile, UsageError
from data_cache.schema import StoredRecipe
from train.config import TrainConfig
from train.model.backbone import Backbone
from train.model.build import Shape, build_model
from train.model.mpt import MPT, trained_parameters
from train.model.weights import build_backbone, weights_digest
from train.results.checkpoint import CheckpointCard, load_fold, read_card, save_fold

NAME = "test_vit"  # the tiny ViT that timm keeps for tests: 160 pixels, patches of 16, width 64
SHAPE = Shape(3, 4, 64)


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may reach for the hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def pretrained(seed: int = 3, classes: int = 10) -> torch.nn.Module:
    torch.manual_seed(seed)
    return timm.create_model(NAME, num_classes=classes)


def config(**settings: object) -> TrainConfig:
    return TrainConfig(**{"backbone": NAME, "prompts": 2, "token_channels": 4, **settings})  # type: ignore[arg-type]


def test_safetensors_and_pth_give_the_same_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = pretrained().state_dict()
    monkeypatch.delattr(timm.models.VisionTransformer, "init_weights")  # seconds, for values that are replaced
    save_file(state, tmp_path / "w.safetensors")
    torch.save(state, tmp_path / "w.pth")
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "wrapped.pth")
    for name in ("w.safetensors", "w.pth", "wrapped.pth"):
        loaded = build_backbone(config(weights=str(tmp_path / name)), 160).vit.state_dict()
        assert len(loaded) == len(state) - 2 and all(torch.equal(loaded[key], state[key]) for key in loaded)


def test_positions_are_interpolated_to_the_images_of_the_cache(tmp_path: Path) -> None:
    save_file(pretrained().state_dict(), tmp_path / "w.safetensors")
    backbone = build_backbone(config(weights=str(tmp_path / "w.safetensors")), 64)
    assert backbone.vit.pos_embed.shape == (1, 1 + 16, 64)
    assert backbone.embed(torch.zeros(1, 64, 64, 3, dtype=torch.uint8)).shape == (1, 17, 64)


def test_googles_npz_is_read(tmp_path: Path) -> None:
    vit = pretrained()
    write_google_npz(tmp_path / "w.npz", vit)
    loaded = build_backbone(config(weights=str(tmp_path / "w.npz")), 160)
    for name, tensor in loaded.vit.state_dict().items():
        torch.testing.assert_close(tensor, vit.state_dict()[name], msg=name)


def write_google_npz(path: Path, vit: torch.nn.Module) -> None:
    """A ViT in the layout of Google's JAX checkpoints: kernels as (in, out), attention split into heads."""
    s = {name: tensor.numpy() for name, tensor in vit.state_dict().items()}
    heads = vit.blocks[0].attn.num_heads  # type: ignore[union-attr, index]
    width = s["cls_token"].shape[-1]
    out = {
        "cls": s["cls_token"],
        "Transformer/posembed_input/pos_embedding": s["pos_embed"],
        "embedding/kernel": s["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": s["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": s["norm.weight"],
        "Transformer/encoder_norm/bias": s["norm.bias"],
    }
    for layer in range(len(vit.blocks)):  # type: ignore[arg-type]
        ours, theirs = f"blocks.{layer}.", f"Transformer/encoderblock_{layer}/"
        attention = theirs + "MultiHeadDotProductAttention_1/"
        for part, name in enumerate(("query", "key", "value")):
            rows = slice(part * width, (part + 1) * width)
            weight = s[ours + "attn.qkv.weight"][rows].T.reshape(width, heads, -1)
            out[f"{attention}{name}/kernel"] = weight
            out[f"{attention}{name}/bias"] = s[ours + "attn.qkv.bias"][rows].reshape(heads, -1)
        out[attention + "out/kernel"] = s[ours + "attn.proj.weight"].T.reshape(heads, -1, width)
        out[attention + "out/bias"] = s[ours + "attn.proj.bias"]
        for number, name in ((0, "norm1"), (2, "norm2")):
            out[f"{theirs}LayerNorm_{number}/scale"] = s[f"{ours}{name}.weight"]
            out[f"{theirs}LayerNorm_{number}/bias"] = s[f"{ours}{name}.bias"]
        for number in (0, 1):
            out[f"{theirs}MlpBlock_3/Dense_{number}/kernel"] = s[f"{ours}mlp.fc{number + 1}.weight"].T
            out[f"{theirs}MlpBlock_3/Dense_{number}/bias"] = s[f"{ours}mlp.fc{number + 1}.bias"]
    np.savez(path, **out)


def test_other_weights_are_refused_with_the_reason(tmp_path: Path) -> None:
    state = pretrained().state_dict()
    wrong = {
        "lacks blocks.3.attn.proj.bias": {k: v for k, v in state.items() if not k.startswith("blocks.3.")},
        "also holds extra.weight": {**state, "extra.weight": torch.zeros(2)},
        r"norm.weight of shape \(7,\), expected \(64,\)": {**state, "norm.weight": torch.zeros(7)},
    }
    for words, tensors in wrong.items():
        save_file(tensors, tmp_path / "w.safetensors")
        with pytest.raises(InvalidFile, match=words):
            build_backbone(config(weights=str(tmp_path / "w.safetensors")), 160)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth", "w.npz"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"not weights at all")
    with pytest.raises(InvalidFile, match=name):
        build_backbone(config(weights=str(tmp_path / name)), 160)


class Villain:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.mark,))


def test_a_pickle_is_never_executed(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
        save({"norm.weight": Villain(mark)}, tmp_path / "w.pth")
        with pytest.raises(InvalidFile):
            build_backbone(config(weights=str(tmp_path / "w.pth")), 160)
    assert not mark.exists()


def test_unknown_models_and_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean"):
        build_backbone(config(backbone="vit_base_patch16"), 160)
    with pytest.raises(UsageError, match=r"none\.pth"):
        build_backbone(config(weights=str(tmp_path / "none.pth")), 160)
    with pytest.raises(UsageError, match="--depth is 99"):
        build_backbone(config(random_weights=True, depth=99), 160)


def test_random_weights_are_said_aloud_and_follow_the_seed(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    one, same, other = (weights_digest(build_backbone(config(random_weights=True, seed=s), 64)) for s in (1, 1, 2))
    assert one == same != other
    assert "RANDOM" in caplog.text


def card(digest: str) -> CheckpointCard:
    return CheckpointCard(asdict(config(random_weights=True)), ("a", "b", "c"), 4, 64, StoredRecipe({}), digest)


@pytest.fixture
def model() -> MPT:
    settings = config(random_weights=True)
    made = build_model(settings, build_backbone(settings, 64), SHAPE, [1, 2])
    for parameter in trained_parameters(made).values():
        parameter.data.normal_()
    return made


def test_a_checkpoint_holds_one_fold_and_nothing_frozen(tmp_path: Path, model: MPT) -> None:
    digest = weights_digest(model.backbone)
    save_fold(tmp_path / "a.safetensors", model, 1, card(digest))
    size = sum(p[0].numel() * 4 for p in trained_parameters(model).values())
    assert size < (tmp_path / "a.safetensors").stat().st_size < size + 20_000
    fresh = build_model(config(random_weights=True), model.backbone, SHAPE, [7])
    load_fold(tmp_path / "a.safetensors", fresh, 0, digest)
    for name, value in trained_parameters(model).items():
        assert torch.equal(trained_parameters(fresh)[name][0], value[1]), name
    assert read_card(tmp_path / "a.safetensors") == card(digest)


def test_a_checkpoint_of_another_backbone_or_model_is_refused(tmp_path: Path, model: MPT) -> None:
    digest = weights_digest(model.backbone)
    save_fold(tmp_path / "a.safetensors", model, 0, card("0" * 64))
    with pytest.raises(UsageError, match=r"a\.safetensors"):
        load_fold(tmp_path / "a.safetensors", model, 0, digest)
    save_fold(tmp_path / "b.safetensors", model, 0, card(digest))
    other = build_model(config(random_weights=True, adapter="none"), model.backbone, SHAPE, [7])
    with pytest.raises(InvalidFile, match="does not fit"):
        load_fold(tmp_path / "b.safetensors", other, 0, digest)


@pytest.mark.parametrize("content", [b"", b"{}", b"\x08\0\0\0\0\0\0\0garbage!"])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, model: MPT, content: bytes) -> None:
    (tmp_path / "a.safetensors").write_bytes(content)
    with pytest.raises(InvalidFile, match="damaged"):
        read_card(tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="no checkpoint"):
        read_card(tmp_path / "b.safetensors")


def test_a_backbone_that_is_no_plain_vit_is_refused(tiny_vit: Callable[..., torch.nn.Module]) -> None:
    with pytest.raises(UsageError, match="ResNet"):
        Backbone(timm.create_model("resnet10t", num_classes=0))
    with pytest.raises(UsageError, match="ResPostBlock"):
        Backbone(tiny_vit(block_fn=timm.models.vision_transformer.ResPostBlock))
