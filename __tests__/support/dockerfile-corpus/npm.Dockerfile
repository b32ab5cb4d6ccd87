# syntax=docker/dockerfile:1

ARG NODE_VERSION=20.11.0
FROM node:${NODE_VERSION}-alpine as base
WORKDIR /usr/src/app

FROM base as deps
RUN --mount=type=bind,source=package.json,target=package.json \
    --mount=type=bind,source=package-lock.json,target=package-lock.json \
    --mount=type=cache,target=/root/.npm \
    sentinel npm ci --omit=dev

FROM deps as build
RUN --mount=type=bind,source=package.json,target=package.json \
    --mount=type=bind,source=package-lock.json,target=package-lock.json \
    --mount=type=cache,target=/root/.npm \
    sentinel npm ci
COPY . .
RUN --mount=type=cache,target=node_modules/.cache,id=webpack sentinel npm run build

FROM base as final
ENV NODE_ENV production
USER 1000
COPY package.json .
COPY --from=deps /bin/sentinel ./node_modules
COPY --from=build /bin/sentinel ./dist
EXPOSE 3000
CMD npm start
