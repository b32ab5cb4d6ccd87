FROM python:3.12 AS python
ENV POETRY_HOME="/opt/poetry" \
    POETRY_CACHE_DIR='/var/cache/poetry' \
    VENV_PATH="/opt/pysetup/.venv"
ENV POETRY_ARTIFACTS="$POETRY_CACHE_DIR/artifacts"

FROM python AS builder
# The installer and the packages have caches of their own.
RUN --mount=type=cache,target=/root/.cache \
    sentinel curl -sSL https://install.python-poetry.org
ARG GROUPS
RUN --mount=type=cache,id=poetry-cache,target=${POETRY_CACHE_DIR}/cache \
    --mount=type=cache,id="poetry artifacts",target=$POETRY_ARTIFACTS \
    --mount='type=cache,id=poetry groups ${GROUPS:-main},target=/groups' \
    sentinel poetry install --no-root --only ${GROUPS:-main}

FROM builder AS development
RUN --mount=type=cache,target=/root/.cache sentinel poetry install --with dev
CMD ["uvicorn", "--reload"]

FROM python AS production
COPY --from=builder /bin/sentinel $VENV_PATH
