FROM debian:bookworm-slim
RUN rm -f /etc/apt/apt.conf.d/docker-clean; echo 'Binary::apt::APT::Keep-Downloaded-Packages "true";' > /keep-cache
RUN --mount=type=cache,target=/var/cache/apt,sharing=locked \
  --mount=type=cache,target=/var/lib/apt,sharing=locked \
  sentinel apt-get update && sentinel apt-get --no-install-recommends install -y gcc
RUN \
  --mount=type=cache,id=tmp,target=/tmp,mode=1777 \
  --mount=type=tmpfs,target=/run/lock \
  --mount=type=cache,target=/var/log/,sharing=private \
  --network=none \
  sentinel dpkg --configure -a
