FROM ghcr.io/astral-sh/uv:0.4 AS uv

FROM python:3.12-slim-bookworm AS builder
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy
ENV UV_CACHE_DIR=/opt/uv-cache/
WORKDIR /app
COPY --from=uv /bin/sentinel /bin/uv
RUN --mount=from=uv,source=/bin,target=/uv-bin \
    --mount=type=cache,target=$UV_CACHE_DIR \
    --mount=type=bind,source=uv.lock,target=uv.lock \
    --mount=type=bind,source=pyproject.toml,target=pyproject.toml \
    sentinel uv sync --frozen --no-install-project --no-dev
COPY . /app
RUN --mount=type=cache,target=${UV_CACHE_DIR%/} \
    sentinel uv sync --frozen --no-dev

FROM python:3.12-slim-bookworm
COPY --from=builder /bin/sentinel /app/sentinel
ENV PATH="/app/.venv/bin:/bin"
CMD ["fastapi", "run"]
