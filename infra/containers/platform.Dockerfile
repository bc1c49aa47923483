# Every service of the platform, and the agents' command line: one image, started with `python -m services.<name>`.
# docker-compose.pinned.yml names the same image by its digest (make lock-images).
ARG PYTHON=python:3.11-slim

FROM ${PYTHON} AS build
# safe-pysha3 is published as source.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/hireling
COPY requirements/run.lock /build/
RUN /opt/hireling/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement /build/run.lock
COPY services/agent /build/agent
RUN /opt/hireling/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation /build/agent \
 && /opt/hireling/bin/pip uninstall --quiet --yes pip

FROM ${PYTHON}
RUN useradd --system --uid 10000 --user-group --no-create-home --home-dir /nonexistent hireling \
 && install --directory --owner hireling --group hireling /home/device
COPY --from=build /opt/hireling /opt/hireling
COPY services /app/services
RUN rm -rf /app/services/agent && /opt/hireling/bin/python -m compileall -q /app/services
WORKDIR /app
ENV PATH=/opt/hireling/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HIRELING_LOG_FORMAT=json
USER hireling
