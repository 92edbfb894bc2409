"""What a folder with a cache needs to be understood by strangers: a card, machine-readable metadata, checksums."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data_cache import __version__
from data_cache.files.atomic import write_bytes, write_json
from data_cache.files.checksum import checksum_line, file_sha256
from data_cache.sharing.info import describe

README, CRATE, CHECKSUMS = "README.md", "ro-crate-metadata.json", "SHA256SUMS"
_MEDIA_TYPES = {".h5": "application/x-hdf5", ".json": "application/json", ".md": "text/markdown"}


def write_card(folder: Path, cache: Path, files: Mapping[str, str]) -> None:
    """Write `README.md`, `ro-crate-metadata.json` and `SHA256SUMS` into `folder`.

    Args:
        folder: with the files in it.
        cache: the cache that the card describes; it need not be in the folder.
        files: names of the files in the folder → what each one is.
    """
    described = describe(cache)
    write_bytes(folder / README, _readme(described, files).encode())
    files = {**files, README: "this description for people"}
    write_json(folder / CRATE, _crate(described, folder, files))
    lines = [checksum_line(name, file_sha256(folder / name)) for name in sorted([*files, CRATE])]
    write_bytes(folder / CHECKSUMS, "".join(lines).encode())


def _readme(described: Mapping[str, Any], files: Mapping[str, str]) -> str:
    dataset, clips = described["dataset"], described["clips"]
    open_licence = dataset == "demo"
    header = {
        "pretty_name": f"MPT cache of {dataset}",
        "license": "mit" if open_licence else "other",
        **(
            {}
            if open_licence
            else {"license_name": f"{dataset}-agreement", "extra_gated_prompt": described["licence_notice"]}
        ),
        "task_categories": ["video-classification"],
        "tags": ["micro-expression", "motion-magnification", "dynamic-image", "mpt-cache"],
        "size_categories": ["n<1K" if clips < 1000 else "1K<n<10K"],
    }
    # JSON values are YAML, so no text can break the header.
    yaml = "\n".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in header.items())
    emotions = "\n".join(f"| {emotion or '(no label)'} | {n} |" for emotion, n in described["emotions"].items())
    recipe = "\n".join(f"| {name} | {value} |" for name, value in described["recipe"].items())
    listing = "\n".join(f"- `{name}`: {what}" for name, what in files.items())
    made = described["provenance"]
    omitted = "\n".join(f"- {key}: {reason}" for key, reason in made.get("omitted", {}).items()) or "None."
    return f"""---
{yaml}
---

# MPT cache of {dataset}

> {described["licence_notice"]}

{clips} clips of {described["subjects"]} subjects, each as a dynamic image and {described["frames"]} magnified frames of
{described["size"]} × {described["size"]} pixels. Made by {made.get("tool", "an unknown tool")}.

## Files

{listing}

Check them with `sha256sum -c {CHECKSUMS}`, and a cache itself with `mpt-cache verify FILE`.

## Labels

Raw labels as the data set gives them; classes are made in training.

| emotion | clips |
|---|---:|
{emotions}

## Recipe

| knob | value |
|---|---|
{recipe}

## Left out

{omitted}

## Compare with a build of your own

    mpt-cache verify YOUR_CACHE.h5 --against {next((name for name in files if name.endswith(".json")), "manifest.json")}

Content digest: `{described["content_digest"]}`.
"""


def _crate(described: Mapping[str, Any], folder: Path, files: Mapping[str, str]) -> dict[str, Any]:
    """Metadata in the form of RO-Crate 1.1: JSON-LD in the vocabulary of schema.org."""
    made = described["provenance"]
    created = {"dateCreated": made["created"]} if "created" in made else {}
    entities: list[dict[str, Any]] = [
        {
            "@id": CRATE,
            "@type": "CreativeWork",
            "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
            "about": {"@id": "./"},
        },
        {
            "@id": "./",
            "@type": "Dataset",
            "name": f"MPT cache of {described['dataset']}",
            "description": f"Dynamic images and magnified motion of {described['clips']} micro-expressions.",
            "datePublished": made.get("created", ""),
            "license": {"@id": "#licence"},
            "identifier": described["content_digest"],
            "hasPart": [{"@id": name} for name in files],
        },
        {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": "Terms of use",
            "description": described["licence_notice"],
        },
        {"@id": "#tool", "@type": "SoftwareApplication", "name": "motion-prompt-tuning", "version": __version__},
    ]
    entities += [
        {
            "@id": name,
            "@type": "File",
            "description": what,
            "encodingFormat": _MEDIA_TYPES.get(Path(name).suffix, "application/octet-stream"),
            "contentSize": str((folder / name).stat().st_size),
            "sha256": file_sha256(folder / name),
            **created,
        }
        for name, what in files.items()
    ]
    entities.append(
        {
            "@id": "#preprocessing",
            "@type": "CreateAction",
            "name": "preprocessing",
            "instrument": {"@id": "#tool"},
            "object": [{"@type": "PropertyValue", "name": n, "value": v} for n, v in described["recipe"].items()],
            "result": [{"@id": name} for name in files if name.endswith(".h5")],
        }
    )
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": entities}
