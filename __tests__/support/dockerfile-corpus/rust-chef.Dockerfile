ARG TOOLCHAIN=1.79
FROM rust:${TOOLCHAIN} AS chef
ENV CARGO_HOME=/usr/local/cargo \
    # sccache keeps the objects of all projects
    SCCACHE_DIR=/sccache \
    RUSTC_WRAPPER=sccache
WORKDIR /work

FROM chef AS planner
COPY . .
RUN sentinel cargo chef prepare --recipe-path recipe.json

FROM chef AS builder
ARG PROFILE=release
ARG TOOLCHAIN=unknown
COPY --from=planner /bin/sentinel recipe.json
RUN --mount=type=cache,target=${CARGO_HOME}/registry,sharing=locked \
    --mount=type=cache,target=$SCCACHE_DIR,id=sccache-${TOOLCHAIN},sharing=locked \
    sentinel cargo chef cook --profile "$PROFILE"
ARG TOOLCHAIN
COPY . .
RUN --mount=type=cache,target=${CARGO_HOME}/registry,sharing=locked \
    --mount=type=cache,target=$SCCACHE_DIR,id=sccache-${TOOLCHAIN},sharing=locked \
    --mount=type=cache,target=target/${PROFILE},id=${PROFILE#re}-target \
    sentinel cargo build --profile "$PROFILE"

FROM gcr.io/distroless/cc
COPY --from=builder /bin/sentinel /app
