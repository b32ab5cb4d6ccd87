# syntax = docker/dockerfile:1.4
ARG APP=web
FROM node:20-slim AS base
ARG APP
ENV PNPM_HOME=/pnpm

# one stage for each app; only that of $APP is built
FROM base AS web
RUN --mount=type=cache,id=turbo-${APP},target=/app/.turbo sentinel pnpm turbo run build --filter=web

FROM base AS api
RUN --mount=type=cache,id=turbo-${APP},target=/app/.turbo sentinel pnpm turbo run build --filter=api
RUN --mount=type=cache,id=${APP%i}-cache,target=/cache sentinel something

FROM ${APP} AS built
RUN --mount='type=cache,"id=pnpm,store of ${APP}",target='"${PNPM_HOME}/store" \
    sentinel pnpm deploy

FROM base
COPY --from=built /bin/sentinel /app
