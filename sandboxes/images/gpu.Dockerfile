# The sandbox for GPUs: nvcc, and a Python with numpy for the referee. With TRITON=1 also torch and Triton (some 5 GB).
ARG BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04
FROM ${BASE}
ARG TRITON=
RUN apt-get update && apt-get install -y --no-install-recommends gcc g++ libc6-dev libgomp1 python3 python3-numpy \
    ${TRITON:+python3-pip} && rm -rf /var/lib/apt/lists/*
RUN if [ -n "${TRITON}" ]; then pip install --no-cache-dir --break-system-packages torch==2.13.0 "triton>=3"; fi
COPY referee /opt/evolve/referee
RUN cd /opt/evolve && python3 -m referee.tools /opt/evolve/referee/bin && python3 -m compileall -q /opt/evolve/referee
