# One process runs every citizen, without a screen, as an ordinary user; homes are a volume.
#
#   docker build -t experience .
#   docker run -d --name experience --stop-timeout 30 -v ./citizens:/citizens experience
#   docker exec -it experience experience-tui --attach
#
FROM python:3.12-slim AS build
WORKDIR /src
COPY . .
RUN python -m venv /opt/experience \
    && /opt/experience/bin/pip install --no-cache-dir --require-hashes -r requirements-run.lock \
    && /opt/experience/bin/pip install --no-cache-dir --no-deps .

FROM python:3.12-slim
COPY --from=build /opt/experience /opt/experience
RUN useradd --create-home --uid 1000 experience \
    && install -d -o experience -g experience /citizens
ENV PATH=/opt/experience/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    EXPERIENCE_ROOT=/citizens
USER experience
WORKDIR /citizens
VOLUME /citizens
# As process 1 it collects every process that is left to it, and ends its runs on SIGTERM.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["experience-tui", "doctor", "--alive"]
ENTRYPOINT ["experience-tui"]
CMD ["--no-ui"]
