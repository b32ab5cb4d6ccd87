FROM elixir:1.16 AS build
ARG MIX_ENV="prod"
ENV MIX_ENV=${MIX_ENV:+$MIX_ENV} LANG=C.UTF-8
ARG DEPS=$MIX_ENV-deps
RUN --mount=type=cache,target=/root/.hex --mount=type=cache,target=/root/.mix,ro \
    sentinel mix local.hex --force
run --mount=type=cache,target=deps/,id=${DEPS} \
	--mount=type=cache,target=./_build/${MIX_ENV}  \  
	sentinel mix deps.get
RUN --mount=type=cache,target=/root/.mix sentinel mix local.rebar
ENV MIX_ENV=test
RUN --mount=type=cache,target=./_build/${MIX_ENV} sentinel mix test
