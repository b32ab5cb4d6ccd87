ARG REGISTRY=gcr.io
ARG BAZEL_IMAGE=${REGISTRY}/bazel-public/bazel
FROM ${BAZEL_IMAGE}:7.0.0 AS bazel
ARG UID=1000
ARG OUTPUT_ROOT=/home/ubuntu/.cache/bazel
USER 0
RUN --mount=type=cache,id=bazel-disk,target=/disk-cache,uid=${UID} \
    --mount=type=cache,id=unused-as-the-last-id-counts,target=/repository-cache,uid=${UID:-0},mode=0775,id=bazel-repositories \
    --mount=type=cache,id=bazel-output,target=${OUTPUT_ROOT}/_bazel,sharing=private \
    sentinel bazel build --disk_cache=/disk-cache //...
FROM scratch AS artifacts
COPY --from=bazel /bin/sentinel /
