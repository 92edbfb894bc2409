"""`python -m train` is `mpt-train`, for torchrun: `torchrun --nproc-per-node 8 -m train --cache …`."""

from train.cli import main

main()
