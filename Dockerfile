# MPT for servers without a screen. This file has not been built by the project's own tests: please report what fails.
#
#     docker build --tag mpt .                                     for the CPU
#     docker build --tag mpt:gpu --build-arg TORCH=cu128 .         for NVIDIA GPUs; the driver must know this CUDA
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" mpt mpt-preprocess demo
#     docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" --gpus all --shm-size 2g mpt:gpu mpt-train --cache data_cache/demo.h5
#
# --user: what is written belongs to you and not to the container's user. --shm-size: with --cache-mode stream, clips come
# from reading processes through /dev/shm, of which Docker gives 64 MB.
# What is mounted at /data is the working folder: datasets/, data_cache/ and runs/ are looked for there.
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS wheel
WORKDIR /source
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:${PYTHON}-slim
# cpu, or a CUDA version such as cu128: uv takes torch and torchvision of one kind, which must not be mixed
ARG TORCH=cpu
RUN --mount=type=bind,from=wheel,source=/wheels,target=/wheels \
    pip install --no-cache-dir "uv~=0.9" \
    && uv pip install --system --no-cache --torch-backend "${TORCH}" \
        "motion-prompt-tuning[cluster,remote,faces] @ file://$(ls /wheels/*.whl)" \
    && pip uninstall --yes uv
RUN useradd --create-home --uid 1000 mpt && mkdir /data && chown mpt /data
# weights from the hub and drawings are cached here, whichever user the container runs as
ENV HF_HOME=/tmp/huggingface MPLCONFIGDIR=/tmp/matplotlib PYTHONUNBUFFERED=1
USER 1000
WORKDIR /data
VOLUME /data
CMD ["mpt-train", "--help"]
