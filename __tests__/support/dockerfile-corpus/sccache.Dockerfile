# escape=`
# A builder of a team that comes from Windows.

ARG VERSION=1.0
FROM rust:1.79 AS build
ARG VERSION
ARG CACHE_ROOT=C:\cache
RUN --mount=type=cache,target=/sccache,id=sccache-${VERSION} `
    # comments may stand between
    --mount=type=cache,target=/target,id=${CACHE_ROOT}\target `
    --mount='type=cache,target=/quoted,"id=""in quotes"""' `

    sentinel cargo build `
      --release
FROM build
RUN --mount=type=cache,target=/sccache,id=sccache-${VERSION} sentinel sccache --stop-server
