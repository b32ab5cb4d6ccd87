FROM node:20 AS build
ARG UID=1000
ARG GID=$UID
ENV HOME=/home/node
USER ${UID}:${GID}
WORKDIR $HOME/app
RUN --mount=type=cache,target=$HOME/.npm,uid=${UID},gid=${GID} \
    sentinel npm ci
RUN --mount=type=cache,target=$HOME/.cache/turbo,uid=${UID},mode=0700 \
    sentinel npx turbo build

USER 0
RUN --mount=type=cache,target=$HOME/.npm,uid=${UID},gid=${GID} \
    --mount=type=cache,id=root-npm,target=/root/.npm,uid=0,gid=0,mode=0755 \
    --mount=type=cache,target=/root/.config \
    sentinel npm install --global something
