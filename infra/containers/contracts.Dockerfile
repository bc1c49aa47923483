# The development chain (target `chain`) and the contracts' deployment by Brownie (target `deploy`).
# docker-compose.pinned.yml names the same images by their digests (make lock-images).
ARG NODE=node:22-slim
ARG DEBIAN=debian:bookworm-slim
ARG PYTHON=python:3.11-slim

FROM ${NODE} AS modules
WORKDIR /build
COPY contracts/package.json contracts/package-lock.json contracts/.npmrc ./
RUN npm ci --omit=dev

FROM ${DEBIAN} AS chain
RUN useradd --system --uid 10000 --user-group --no-create-home --home-dir /nonexistent hireling \
 && install --directory --owner hireling --group hireling /state
COPY --from=modules /build/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil /usr/local/bin/anvil
USER hireling
ENTRYPOINT ["anvil"]

FROM ${PYTHON} AS deploy
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev python3-dev \
 && rm -rf /var/lib/apt/lists/*
COPY --from=modules /usr/local/bin/node /usr/local/bin/node
RUN python3 -m venv /app/.venv-contracts
COPY requirements/contracts.lock /app/requirements/
RUN /app/.venv-contracts/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes \
      --requirement /app/requirements/contracts.lock
COPY --from=modules /build/node_modules /app/contracts/node_modules
COPY contracts /app/contracts
# setup.sh finds both environments as they should be, and compiles.
RUN cat /app/requirements/contracts.lock | sha256sum > /app/.venv-contracts/.stamp \
 && cat /app/contracts/package-lock.json | sha256sum > /app/contracts/node_modules/.stamp \
 && /app/contracts/scripts/setup.sh
RUN useradd --system --uid 10000 --user-group --no-create-home --home-dir /nonexistent hireling \
 && install --directory --owner hireling --group hireling /deployments
WORKDIR /app
USER hireling
ENTRYPOINT ["contracts/scripts/deploy.sh"]
