# syntax=docker/dockerfile:1
# The image of Waybill: the built package, the dependencies that it runs with and the Node that package.json pins. Without
# npm, compiler and tests, and not as root. docs/deploy.md says how it is used.

# Of this image only npm is used. It brings Node as a package, and that Node builds and runs Waybill.
FROM node:24-trixie-slim AS sources
# The packages' Node is linked against libatomic, which the slim images lack.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libatomic1 \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc ./

FROM sources AS built
RUN npm ci --ignore-scripts --include=dev --include=optional
COPY README.md LICENSE CHANGELOG.md tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY src src
COPY sdk/package.json sdk/
COPY sdk/src sdk/src
COPY dashboard/.npmrc dashboard/index.html dashboard/package.json dashboard/package-lock.json dashboard/
COPY dashboard/postcss.config.cjs dashboard/tsconfig.json dashboard/vite.config.ts dashboard/
COPY dashboard/public dashboard/public
COPY dashboard/src dashboard/src
RUN npm run build

FROM sources AS needed
# Of the package with Node in it the program is kept, under one name for every machine; its headers are 60 MB.
RUN npm ci --ignore-scripts --omit=dev --include=optional \
  && mv node_modules/node-linux-*/bin/node node \
  && rm -rf node_modules/node-linux-* node_modules/.bin

FROM debian:trixie-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends libatomic1 libstdc++6 \
  && rm -rf /var/lib/apt/lists/* \
  && groupadd --gid 10001 waybill \
  && useradd --uid 10001 --gid 10001 --home-dir /var/lib/waybill --no-create-home --shell /usr/sbin/nologin waybill \
  && install -d -o waybill -g waybill -m 0700 /var/lib/waybill \
  && ln -s /opt/waybill/bin.mjs /usr/local/bin/waybill
COPY --from=needed /build/node /usr/local/bin/node
COPY --from=needed /build/node_modules /opt/waybill/node_modules
COPY --from=built /build/dist /opt/waybill
COPY deploy/container/health.mjs /opt/waybill/health.mjs
ENV HOST=0.0.0.0 \
  PORT=8080 \
  WAYBILL_DATA_DIR=/var/lib/waybill
# By number: Kubernetes cannot tell from a name that it is not root's.
USER 10001:10001
WORKDIR /var/lib/waybill
VOLUME ["/var/lib/waybill"]
EXPOSE 8080
# Whether it answers, not whether it can take events: Swarm ends a container that is unhealthy.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "/opt/waybill/health.mjs", "/livez"]
# Node itself, so that signals reach the program and nothing stands beside it. Its options are those of scripts/runtime.mjs.
ENTRYPOINT ["node", "--heap-growing-percent=40", "--max-semi-space-size=16", "/opt/waybill/cli.js"]
CMD ["serve"]
