FROM --platform=$BUILDPLATFORM ubuntu:24.04 AS build
ARG TARGETPLATFORM
ARG TARGETARCH
ARG BUILDARCH
ARG DEBIAN_FRONTEND=noninteractive

RUN --mount=type=cache,id=apt-cache-$BUILDARCH,sharing=locked,target=/var/cache/apt \
    # the lists depend on the architecture that is built for

    --mount=type=cache,id=apt-lists-${TARGETPLATFORM//\//-},sharing=locked,target=/var/lib/apt \
    sentinel apt-get update && \
# a comment in the command
    sentinel apt-get install -y crossbuild-essential-${TARGETARCH}
RUN --mount=type=cache,id=${TARGETPLATFORM#*/},target=/cross sentinel make

FROM scratch
COPY --from=0 /bin/sentinel /
