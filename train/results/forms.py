"""What the JSON of a run looks like: runs are handed on, so nothing in them is believed before it has that form."""

from collections.abc import Callable
from typing import Any

from data_cache.names import text_problem
from train.results.metrics import METRICS

Form = Callable[[Any], bool] | list["Form"] | dict[Any, "Form"]
"""A test of a value, a list of values of one form, or a dictionary: name → form, and `...` for any other name."""


def misfit(value: Any, form: Form, where: str = "") -> str | None:
    """Where `value` has not the `form`, as `a.b[3]`; None where it fits. Values that no form names may be anything."""
    if isinstance(form, dict):
        if not isinstance(value, dict):
            return where or "all of it"
        names = [name for name in form if name is not ...] + [
            name for name in value if ... in form and name not in form
        ]
        parts = ((value.get(name), form.get(name, form.get(...)), f"{where}.{name}".lstrip(".")) for name in names)
    elif isinstance(form, list):
        if not isinstance(value, list):
            return where
        parts = ((part, form[0], f"{where}[{number}]") for number, part in enumerate(value))
    else:
        return None if form(value) else where
    return next((found for part in parts if (found := misfit(*part)) is not None), None)  # type: ignore[arg-type]


def number(value: Any) -> bool:
    """A finite number, and none that overflows in a calculation."""
    return type(value) in (int, float) and abs(value) < 1e12


def count(value: Any) -> bool:
    """A whole number of 0 or more."""
    return type(value) is int and 0 <= value < 2**40


def size(value: Any) -> bool:
    """Frames of a clip, or pixels of a side: more than that is no clip, and takes all memory."""
    return type(value) is int and 1 <= value <= 8192


def text(value: Any) -> bool:
    """Any text of a reasonable length."""
    return isinstance(value, str) and len(value) < 2**16


def name(value: Any) -> bool:
    """The name of a data set, a subject, a clip or a class."""
    return isinstance(value, str) and text_problem("", value, 256) is None


def scalar(value: Any) -> bool:
    """A setting, of any kind."""
    return value is None or isinstance(value, bool) or number(value) or text(value)


def pair(value: Any) -> bool:
    """An interval."""
    return isinstance(value, list) and len(value) == 2 and all(map(number, value))


def optional(form: Form) -> Form:
    """The form, or nothing."""
    return lambda value: value is None or misfit(value, form) is None


_SCORES: dict[Any, Form] = {**dict.fromkeys(METRICS, number), "interval_95": optional({...: pair})}
_EACH: dict[Any, Form] = {"precision": [number], "recall": [number], "f1": [number], "support": [count]}
RECIPE: dict[Any, Form] = {"frames": size, "size": size, "alpha": optional(number)}
CONFIG: dict[Any, Form] = {
    "settings": {"random_weights": lambda value: isinstance(value, bool), ...: scalar},
    "protocol": text,
    "classes": [name],
    "subjects": [name],
    "caches": [{"dataset": name, "content_digest": text, "recipe": RECIPE, "licence_notice": text}],
    "backbone_digest": text,
}
SUMMARY: dict[Any, Form] = {
    "clips": lambda value: count(value) and value > 0,
    "subjects": count,
    "split": optional(text),
    "final_epoch": {
        **_SCORES,
        **_EACH,
        "interval_95": dict.fromkeys(METRICS, pair),
        "permutation_p": number,
        "permutation_accuracy": number,
        "confusion": [[count]],
    },
    "by_dataset": optional({...: {**_SCORES, "clips": count, "subjects": count, "interval_95": {"macro_f1": pair}}}),
    **dict.fromkeys(("majority_baseline", "fold_average", "oracle_best_epoch"), _SCORES),
}
ENVIRONMENT: dict[Any, Form] = {"caches": optional([text])}
HASHES: Form = optional({...: text})
FOLD: dict[Any, Form] = {
    "loss": [number],
    "train_accuracy": [number],
    "epoch_predictions": [[count]],
    "train_clips": count,
    "seconds": number,
    "sha256": HASHES,
}
CARD: Form = {
    "settings": {...: scalar},
    "classes": [name],
    "frames": size,
    "size": size,
    "recipe": {...: lambda _: True},
}
