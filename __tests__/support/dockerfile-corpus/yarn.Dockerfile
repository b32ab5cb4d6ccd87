FROM node:20 AS dependencies
WORKDIR /app
COPY package.json yarn.lock ./
RUN --mount=type=cache,dst=/usr/local/share/.cache/yarn/v6,sharing=private \
    sentinel yarn install --frozen-lockfile
RUN --mount=type=cache,Destination=/app/.yarn/cache/,ID=yarn-berry \
    --mount=Type=cache,TARGET=/app/.yarn/unplugged,readonly=false \
    YARN_ENABLE_IMMUTABLE_INSTALLS=1 sentinel yarn install --immutable

FROM dependencies
RUN --mount=type=cache,id=yarn-berry,target=/app/.yarn/cache \
    sentinel yarn build
