# echoquant in a container:
#   docker build -t echoquant .
#   docker run --rm -v "$PWD:/work" --user "$(id -u):$(id -g)" echoquant run-all --config echonet --data EchoNet-Dynamic
# The image is for research only. It holds Debian's FFmpeg, which is under the GPL (docs/INSTALL.md, "Licenses").
FROM debian:bookworm-slim AS build
WORKDIR /source
COPY scripts/lib.sh scripts/package.sh scripts/packages.txt scripts/
RUN scripts/package.sh packages
COPY . .
RUN scripts/package.sh deb /source/dist

FROM debian:bookworm-slim
RUN --mount=type=bind,from=build,source=/source/dist,target=/dist \
    apt-get update -q && \
    apt-get install -q -y --no-install-recommends /dist/*.deb gnuplot-nox && \
    rm -rf /var/lib/apt/lists/* && \
    useradd --create-home --uid 1000 echoquant && \
    install -d -o echoquant -g echoquant /work
USER echoquant
WORKDIR /work
ENTRYPOINT ["echoquant"]
CMD ["help"]
