# Two images from one file:
#
#   docker build --target orchestrator -t swarmkeeper .      the server and the commands
#   docker build --target bot -t swarmkeeper-bot .           what bots need: swarmkeeper-sdk alone; put your bot on top
#
# Both run as user 10001, need no shell and write to no place but /data and /tmp, so their root may be read-only.
# Packages have the versions and hashes of requirements/. BASE may be any image with glibc, Python 3.11 or newer with
# `venv`, and useradd. docs/guides/run-as-a-service.md says how to run them.
ARG BASE=python:3.13-slim

# ---- what installs and builds; nothing of it is in the images ------------------------------------------------------

FROM ${BASE} AS tools
# The system's certificates, so that an organisation's proxy is trusted; never a downloaded Python.
ENV UV_SYSTEM_CERTS=true UV_PYTHON_DOWNLOADS=never UV_NO_CACHE=1 UV_LINK_MODE=copy UV_COMPILE_BYTECODE=1
WORKDIR /build
COPY requirements/image.txt requirements/
RUN python3 -m venv /tools \
    && /tools/bin/python -m pip install --quiet --no-cache-dir --require-hashes --only-binary :all: -r requirements/image.txt \
    && python3 -m venv --without-pip /opt/swarmkeeper

FROM tools AS wheels
COPY . .
RUN /tools/bin/python scripts/dist.py /tools/bin/uv

# Requirements come before our own wheels: they change less often, and are then not installed again.
FROM tools AS orchestrator-environment
COPY requirements/runtime.txt requirements/
RUN /tools/bin/uv pip sync --quiet --python /opt/swarmkeeper/bin/python --require-hashes --no-build requirements/runtime.txt
COPY --from=wheels /build/dist dist
RUN /tools/bin/uv pip install --quiet --python /opt/swarmkeeper/bin/python --no-deps --offline dist/*.whl \
    && rm -f /opt/swarmkeeper/.lock

FROM tools AS bot-environment
COPY requirements/bots.txt requirements/
RUN /tools/bin/uv pip sync --quiet --python /opt/swarmkeeper/bin/python --require-hashes --no-build requirements/bots.txt
COPY --from=wheels /build/dist dist
RUN /tools/bin/uv pip install --quiet --python /opt/swarmkeeper/bin/python --no-deps --offline dist/swarmkeeper_sdk-*.whl \
    && rm -f /opt/swarmkeeper/.lock

# ---- the images ----------------------------------------------------------------------------------------------------

FROM ${BASE} AS user
RUN groupadd --gid 10001 swarmkeeper \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin swarmkeeper \
    && install -d -o 10001 -g 10001 -m 0700 /data \
    && install -d /app
ENV PATH=/opt/swarmkeeper/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# By number: Kubernetes cannot tell from a name that it is not root.
USER 10001:10001
STOPSIGNAL SIGTERM

FROM user AS bot
LABEL org.opencontainers.image.title="swarmkeeper-bot" \
    org.opencontainers.image.description="Base of a swarmkeeper bot: swarmkeeper-sdk" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="0.4.0"
COPY --from=bot-environment /opt/swarmkeeper /opt/swarmkeeper
COPY deploy/container/check_bot.py /opt/swarmkeeper/checks/
# Where `run` says how the bot is, and where the check below reads it. A supervisor's probes ask SWARMKEEPER_HEALTH_PORT.
ENV SWARMKEEPER_HEALTH_FILE=/tmp/swarmkeeper-health
WORKDIR /app
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-I", "/opt/swarmkeeper/checks/check_bot.py"]
ENTRYPOINT ["python"]
CMD ["bot.py"]

FROM user AS orchestrator
LABEL org.opencontainers.image.title="swarmkeeper" \
    org.opencontainers.image.description="Control plane for swarms of AI bots" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.version="0.4.0"
COPY --from=orchestrator-environment /opt/swarmkeeper /opt/swarmkeeper
COPY deploy/container/check_orchestrator.py /opt/swarmkeeper/checks/
# A server that others reach needs a key: SWARMKEEPER_BOOTSTRAP_KEY_FILE names the first one.
ENV SWARMKEEPER_STORE=sqlite:////data/store.db SWARMKEEPER_HOST=0.0.0.0 SWARMKEEPER_LOG_FORMAT=json
WORKDIR /data
VOLUME ["/data"]
EXPOSE 7700
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-I", "/opt/swarmkeeper/checks/check_orchestrator.py"]
ENTRYPOINT ["swarmkeeper"]
CMD ["serve"]
