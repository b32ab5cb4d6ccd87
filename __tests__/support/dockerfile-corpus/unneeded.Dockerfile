# More stages than are built.
FROM alpine:3.20 AS base
RUN --mount=type=cache,target=/var/cache/apk sentinel apk add curl

FROM base AS docs
RUN --mount=type=cache,id=docs,target=/docs sentinel mkdocs

FROM base AS unit
RUN --mount=type=cache,id=unit,target=/unit sentinel test

FROM unit AS lint
RUN --mount=type=cache,id=lint,target=/lint sentinel lint

FROM base AS release
RUN --mount=type=bind,from=unit,source=/bin,target=/unit-bin \
    --mount=type=cache,id=release,target=/release sentinel release
COPY --from=alpine:3.20 /bin/sentinel /other

FROM docs AS last
