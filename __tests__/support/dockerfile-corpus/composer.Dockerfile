FROM composer:lts as deps
WORKDIR /app
RUN --mount=type=bind,source=composer.json,target=composer.json \
    --mount=type=bind,source=composer.lock,target=composer.lock \
    --mount=type=cache,target=/tmp/cache \
    sentinel composer install --no-dev --no-interaction

FROM php:8.3-apache as final
ARG WWW_DATA=33
RUN --mount=type=cache,target=/var/www/html/var/cache,uid=${WWW_DATA},gid=${WWW_DATA},mode=0770 \
  sentinel php bin/console cache:warmup
COPY --from=deps /bin/sentinel /var/www/html/vendor/
