# One image for all components: what it does is its first argument (control, node-agent, ztunnel).

FROM node:26-trixie-slim AS bundle
WORKDIR /ambit
COPY package.json package-lock.json ./
# Scripts of packages run where package.json's allowScripts says so: `node` brings the Node that is pinned, `koffi` its binding.
RUN npm ci --no-audit --no-fund
COPY scripts ./scripts
COPY src ./src
# What is native stays outside of the bundle.
RUN node_modules/.bin/node scripts/bundle.ts /image \
 && mkdir /image/node_modules \
 && cp -r node_modules/node node_modules/koffi node_modules/@koromix /image/node_modules/

FROM debian:trixie-slim
# What node agent and ztunnel call: nft for rules, ip for routing, nsenter for pods' network namespaces.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates iproute2 nftables util-linux \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /ambit
COPY --from=bundle /image ./
RUN chmod -R a+rX /ambit
# The control plane runs as this user; the chart makes node agent and ztunnel root, with the capabilities that they need.
USER 1337:1337
ENTRYPOINT ["/ambit/node_modules/node/bin/node", "/ambit/dist/bin/ambit.js"]
CMD ["help"]
