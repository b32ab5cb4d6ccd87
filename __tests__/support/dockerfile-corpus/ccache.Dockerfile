FROM debian:bookworm AS builder
ENV CCACHE_DIR=/ccache CCACHE_MAXSIZE=2G
ENV CC="ccache gcc" CXX='ccache g++'
ARG BUILD_TYPE=Release
ARG COMPILER="${CC##* }"
WORKDIR /src
RUN --mount=type=cache,target=/ccache,id=ccache-${COMPILER}-${BUILD_TYPE} \
    --mount="type=cache,target=/src/build,id=cmake-${CXX// /_}" <<'SCRIPT'
set -eu
sentinel cmake -DCMAKE_BUILD_TYPE="${BUILD_TYPE}" \
  --mount=type=cache,target=/looks/like/one \
  -S . -B build
SCRIPT
RUN --mount=type=cache,target=/ccache,id=ccache-${COMPILER}-${BUILD_TYPE} sentinel ccache --show-stats

FROM debian:bookworm-slim
COPY --from=builder /bin/sentinel /usr/local/bin/
COPY <<-"CONF" /etc/app.conf
	RUN --mount=type=cache,target=/also/no/flag
	FROM builder
	CONF
