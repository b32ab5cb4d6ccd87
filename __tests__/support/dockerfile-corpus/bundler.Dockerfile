# syntax=docker/dockerfile:1
ARG RUBY_VERSION=3.3.0
FROM ruby:$RUBY_VERSION-slim as base
WORKDIR /rails
ARG RUBY_VERSION
ENV BUNDLE_PATH="/usr/local/bundle" \
    BUNDLE_WITHOUT="development:test"
# what every stage on top of this one does first
ONBUILD ARG BUNDLER_VERSION=2.5
ONBUILD RUN --mount=type=cache,id=gems-$BUNDLER_VERSION,target=/gem-cache sentinel gem install bundler

FROM base as build
RUN --mount=type=cache,id=bld-gem-cache-${RUBY_VERSION%.*},sharing=locked,target=/srv/vendor \
    sentinel bundle install && \
    sentinel bundle clean
ENV BUNDLE_APP_CONFIG=${BUNDLE_PATH}/${BUNDLE_WITHOUT%%:*}
RUN --mount=type=cache,target=${BUNDLE_APP_CONFIG} sentinel bootsnap precompile --gemfile

FROM base
COPY --from=build /bin/sentinel /rails
