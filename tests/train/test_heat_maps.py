"""Heat maps: they follow the model (Adebayo et al. 2018), and the motion where the model has learned to see it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from commands import MakeRun

from train.config import TrainConfig
from train.model.build import Shape, build_model
from train.model.mpt import MPT, Inputs
from train.model.tokenizer import patchify
from train.model.weights import build_backbone
from train.trace import heat_maps

TINY = TrainConfig(backbone="test_vit", random_weights=True, depth=2, token_channels=8, prompts=2)
SIZE, FRAMES, FOLDS, CLIPS = 64, 6, 2, 3


def model_of(config: TrainConfig, seed: int) -> MPT:
    torch.manual_seed(seed)
    return build_model(config, build_backbone(config, SIZE), Shape(5, FRAMES, SIZE), [seed + f for f in range(FOLDS)])


def some_inputs() -> Inputs:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (CLIPS, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)
    motion = torch.randint(0, 256, (FOLDS, CLIPS, FRAMES, SIZE, SIZE, 3), generator=generator, dtype=torch.uint8)
    return Inputs(images, torch.arange(CLIPS).expand(FOLDS, CLIPS), patchify(motion))


def test_maps_are_square_and_leave_the_model_as_it_was() -> None:
    model, inputs = model_of(TINY, 1), some_inputs()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with torch.no_grad():
        logits = model(inputs)
    maps = heat_maps(model, inputs, logits.argmax(-1))
    assert {name: tuple(values.shape) for name, values in maps.items()} == {
        "image": (FOLDS, CLIPS, 4, 4),
        "motion": (FOLDS, CLIPS, 4, 4),
    }
    assert all(values.min() >= 0 and values.isfinite().all() for values in maps.values())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        torch.testing.assert_close(model(inputs), logits)


def test_random_weights_change_the_map() -> None:
    """Adebayo's test: a map that does not depend on the weights shows the picture, not the model."""
    inputs, classes = some_inputs(), torch.zeros(FOLDS, CLIPS, dtype=torch.long)
    one, other = (heat_maps(model_of(TINY, seed), inputs, classes) for seed in (1, 50))
    for name in ("image", "motion"):
        a, b = (
            maps[name].flatten(2) / maps[name].flatten(2).amax(-1, keepdim=True).clamp(min=1e-12)
            for maps in (one, other)
        )
        assert (a - b).abs().mean() > 0.05, name


def test_the_chosen_class_decides() -> None:
    model, inputs = model_of(TINY, 1), some_inputs()
    first, second = (heat_maps(model, inputs, torch.full((FOLDS, CLIPS), number)) for number in (0, 1))
    assert any(not torch.allclose(first[name], second[name]) for name in first)


def test_the_image_map_is_grad_cam() -> None:
    """Selvaraju's formula, written out for one clip: channels weighted by their mean gradient, summed, cut at zero."""
    model, inputs, clip = model_of(TINY, 1), some_inputs(), 2
    held: list[torch.Tensor] = []

    def hold(tokens: torch.Tensor) -> torch.Tensor:
        held.append(tokens.detach().requires_grad_())
        return held[0]

    logits = model.head(model.features(inputs, hold))
    logits[1, clip, 3].backward()
    first = model.backbone.prefix
    values, gradient = (t[1, clip, first : first + 16].numpy() for t in (held[0].detach(), held[0].grad))
    expected = np.maximum(sum(values[:, c] * gradient[:, c].mean() for c in range(values.shape[1])), 0)
    maps = heat_maps(model, inputs, torch.full((FOLDS, CLIPS), 3))
    np.testing.assert_allclose(
        maps["image"][1, clip].flatten().numpy(), expected, atol=1e-6 * abs(expected).max() + 1e-9
    )


def test_without_motion_prompts_there_is_the_image_alone() -> None:
    config = TrainConfig(backbone="test_vit", random_weights=True, depth=2, prompt="none")
    maps = heat_maps(model_of(config, 1), some_inputs(), torch.zeros(FOLDS, CLIPS, dtype=torch.long))
    assert set(maps) == {"image"}


@pytest.mark.slow
def test_the_map_of_a_trained_model_lies_where_the_face_moved(make_run: MakeRun, tmp_path: Path) -> None:
    """Brow classes against mouth classes of the demo set, each clip seen by the model that left its subject out."""
    from scipy.stats import mannwhitneyu

    from train.data.task import open_clips
    from train.report.sections.gallery import grad_cam
    from train.results.run_folder import RunFolder

    make_run(tmp_path, "mpt-preprocess", "demo", "--size", 80, "-o", "demo.h5")
    make_run(tmp_path, "mpt-train", "--cache", "demo.h5", "--preset", "demo", "--token-grid", 2, "--name", "r")
    run = RunFolder(tmp_path / "runs" / "r").load()
    brow, mouth = {"surprise", "others"}, {"happiness", "repression"}
    clips = [p for p in run.predictions if run.classes[p.true] in brow | mouth]
    upper: dict[bool, list[float]] = {True: [], False: []}
    maps = grad_cam(run, open_clips([tmp_path / "demo.h5"]), clips)
    for clip in clips:
        heat = maps[clip.key]["motion"]
        half = len(heat) // 2  # the middle row of an odd number belongs to neither
        above, below = heat[:half].sum(), heat[-half:].sum()
        upper[run.classes[clip.true] in brow].append(float(above / (above + below + 1e-12)))
    right_half = np.r_[upper[True], 1 - np.array(upper[False])]
    assert right_half.mean() > 0.5
    assert mannwhitneyu(upper[True], upper[False], alternative="greater").pvalue < 0.01
