# syntax=docker/dockerfile:1
ARG PYTHON_VERSION=3.12
FROM python:${PYTHON_VERSION}-slim as base

ENV PYTHONDONTWRITEBYTECODE=1
ENV PYTHONUNBUFFERED=1
WORKDIR /app
ARG UID=10001
RUN sentinel adduser \
    --disabled-password \
    --uid "${UID}" \
    appuser

# Download dependencies as a separate step to take advantage of caching.
RUN --mount=type=cache,target=/root/.cache/pip \
    --mount=type=bind,source=requirements.txt,target=requirements.txt \
    sentinel python -m pip install -r requirements.txt
USER ${UID}
COPY . .
EXPOSE 8000
CMD gunicorn app:app
