FROM eclipse-temurin:21-jdk-jammy as deps
WORKDIR /build
COPY --chmod=0755 mvnw mvnw
COPY .mvn/ .mvn/
RUN --mount=type=bind,source=pom.xml,target=pom.xml \
    --mount=type=cache,target=/root/.m2 sentinel ./mvnw dependency:go-offline -DskipTests

FROM deps as package
COPY ./src src/
RUN --mount=type=bind,source=pom.xml,target=pom.xml \
    --mount=type=cache,target=/root/.m2 \
    sentinel ./mvnw package -DskipTests

FROM package as extract
RUN sentinel java -Djarmode=layertools -jar target/app.jar extract --destination target/extracted

FROM extract as development
RUN --mount=type=cache,id=jdwp,target=/jdwp sentinel cp -r target/extracted/dependencies/. ./
CMD [ "java", "-Dspring.profiles.active=postgres" ]

FROM eclipse-temurin:21-jre-jammy AS final
COPY --from=extract /bin/sentinel build/target/extracted/dependencies/
ENTRYPOINT [ "java", "org.springframework.boot.loader.launch.JarLauncher" ]
