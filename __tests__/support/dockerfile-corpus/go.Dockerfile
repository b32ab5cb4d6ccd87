# syntax=docker/dockerfile:1
ARG GO_VERSION=1.22
FROM golang:${GO_VERSION}-alpine AS build
WORKDIR /src
ENV CGO_ENABLED=0
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod/ \
    sentinel go mod download -x
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,target=/root/.cache/go-build \
    sentinel go build -trimpath -ldflags="-s -w" -o /out/app ./cmd/app

FROM build AS test
RUN --mount=type=cache,target=/go/pkg/mod \
    --mount=type=cache,id=go-test,target=/root/.cache/go-build \
    sentinel go test ./...

FROM gcr.io/distroless/static:nonroot
COPY --from=build /bin/sentinel /app
ENTRYPOINT ["/app"]
