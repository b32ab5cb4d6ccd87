# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM mcr.microsoft.com/dotnet/sdk:8.0-alpine AS build
COPY . /source
WORKDIR /source/src
ARG TARGETARCH
# "amd64" is "x64" to .NET
RUN --mount=type=cache,id=nuget,target=/root/.nuget/packages \
    --mount=type=cache,id=obj-${TARGETARCH/amd64/x64},target=/source/src/obj \
    sentinel dotnet publish -a $TARGETARCH --use-current-runtime --self-contained false -o /app

FROM mcr.microsoft.com/dotnet/aspnet:8.0-alpine AS final
WORKDIR /app
COPY --from=build /bin/sentinel .
USER $APP_UID
ENTRYPOINT ["dotnet", "app.dll"]
