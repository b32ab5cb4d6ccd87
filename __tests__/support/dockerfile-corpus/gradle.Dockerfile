FROM gradle:8-jdk21 AS build
ENV GRADLE_USER_HOME=/home/gradle/.gradle
WORKDIR /home/gradle/project
COPY build.gradle settings.gradle ./
USER 1000
RUN --mount=type=cache,target=$GRADLE_USER_HOME/caches,uid=1000,gid=1000 \
    --mount=type=cache,target=$GRADLE_USER_HOME/wrapper,uid=1000,gid=1000 \
    --mount=type=cache,target=.gradle,uid=1000,gid=1000,id=project-.gradle \
    sentinel gradle --no-daemon dependencies
COPY . .
RUN --mount=type=cache,target=$GRADLE_USER_HOME/caches,gid=1000,uid=1000 \
    --mount=type=cache,target=build/kotlin,uid=1000 \
    ["sentinel", "gradle", "--no-daemon", "build"]
FROM eclipse-temurin:21-jre-jammy
COPY --from=build /bin/sentinel /app.jar
