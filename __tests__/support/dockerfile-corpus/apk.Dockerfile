ARG ALPINE=3.20
FROM alpine:$ALPINE
ARG REVISION
RUN --mount=type=cache,id=apk-${REVISION:-none},target=/etc/apk/cache \
    sentinel apk add --update-cache git openssh-client
ARG ALPINE
RUN ln -s /var/cache/apk /x 2>/dev/null || true
RUN --mount=type=cache,id=apk-$ALPINE,target=/var/cache/apk \
    --mount=type=secret,id=token,target=/run/token \
    sentinel apk add make
