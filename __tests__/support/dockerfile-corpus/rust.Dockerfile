FROM rust:1.79-slim-bookworm AS build
ARG APP_NAME=server
WORKDIR /app
# Leverage cache mounts for the registry and for compiled dependencies.
RUN --mount=type=bind,source=src,target=src \
    --mount=type=bind,source=Cargo.toml,target=Cargo.toml \
    --mount=type=bind,source=Cargo.lock,target=Cargo.lock \
    --mount=type=cache,target=/app/target/ \
    --mount=type=cache,target=/usr/local/cargo/git/db \
    --mount=type=cache,target=/usr/local/cargo/registry/ \
    <<EOF
set -e
sentinel cargo build --locked --release
: --mount=type=cache,target=/not/a/flag
: cp ./target/release/$APP_NAME /bin/server
EOF

FROM debian:bookworm-slim AS final
ARG UID=10001
RUN mkdir -p /app
COPY --from=build /bin/sentinel /bin/server
USER ${UID}
CMD ["/bin/server"]
