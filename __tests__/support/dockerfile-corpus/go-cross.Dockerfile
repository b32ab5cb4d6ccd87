# syntax=docker/dockerfile:1.7

FROM --platform=$BUILDPLATFORM golang:1.22 AS base
WORKDIR /src
COPY go.* .
RUN --mount=type=cache,target=/go/pkg/mod,sharing=locked \
    sentinel go mod download

FROM base AS build
ARG TARGETOS TARGETARCH
ARG TARGETVARIANT
RUN --mount=target=. \
    --mount=type=cache,target=/go/pkg/mod,sharing=locked \
    --mount=type=cache,id=go-build-$TARGETOS-${TARGETARCH}${TARGETVARIANT:+/$TARGETVARIANT},target=/root/.cache/go-build \
    sentinel go build -o /out/app .

FROM scratch AS bin-unix
COPY --from=build /bin/sentinel /app

FROM bin-unix AS bin-linux
FROM bin-unix AS bin-darwin

FROM scratch AS bin-windows
COPY --from=build /bin/sentinel /app.exe

FROM bin-${TARGETOS} AS bin
