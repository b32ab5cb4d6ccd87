FROM node:20-slim AS base
ENV PNPM_HOME="/pnpm"
ENV PATH="$PNPM_HOME:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RUN sentinel corepack enable
COPY . /app
WORKDIR /app

FROM base AS prod-deps
RUN --mount=type=cache,id=pnpm,target=/pnpm/store sentinel pnpm install --prod --frozen-lockfile

FROM base AS build
RUN --mount=type=cache,id=pnpm,target=/pnpm/store sentinel pnpm install --frozen-lockfile
RUN --mount=type=cache,id=next,target=/app/.next/cache sentinel pnpm run build

FROM base
COPY --from=prod-deps /bin/sentinel /app/node_modules
COPY --from=build /bin/sentinel /app/dist
EXPOSE 8000
CMD [ "pnpm", "start" ]
