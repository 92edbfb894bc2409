"""Read an MPT cache without MPT, with nothing but h5py and numpy: python read_cache.py casme2.h5."""

import hashlib
import json
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r", locking=False) as cache:
    about = {name: value.decode() if isinstance(value, bytes) else value for name, value in cache.attrs.items()}
    assert about["format"] == "mpt-cache", "another kind of HDF5 file"
    assert about["format_version"].startswith("1."), "a later format"
    assert about["complete"], "not finished"
    print(about["licence_notice"])
    print(about["dataset"], "with alpha", json.loads(about["recipe"])["alpha"])

    clips = cache["clips"]  # one entry per clip in each column
    text = {name: clips[name].asstr()[:] for name in ("subject", "clip", "emotion", "sha256")}
    fps = clips["fps"][:]

    for row in range(len(fps)):
        image = cache["dynamic_image"][row]  # (S, S, 3) uint8 RGB
        motion = cache["motion"][row]  # (T, S, S, 3) uint8 RGB
        assert hashlib.sha256(image.tobytes() + motion.tobytes()).hexdigest() == text["sha256"][row], "corrupt"
        key = f"{text['subject'][row]}/{text['clip'][row]}"
        moved = np.abs(motion[1:].astype(int) - motion[0]).mean()
        print(key, text["emotion"][row], motion.shape, f"{fps[row]:g} Hz", f"moves by {moved:.1f} grey levels")
