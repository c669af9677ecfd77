# One image for all components: what it does is its first argument (control, node-agent, ztunnel).

FROM node:26-trixie-slim AS packages
WORKDIR /ambit
COPY package.json package-lock.json ./
# Scripts of packages run where package.json's allowScripts says so: `node` brings the Node that is pinned, `koffi` its binding.
RUN npm ci --omit=dev --no-audit --no-fund && npm cache clean --force

FROM debian:trixie-slim
# What node agent and ztunnel call: nft for rules, ip for routing, nsenter for pods' network namespaces.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends ca-certificates iproute2 nftables util-linux \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /ambit
COPY --from=packages /ambit/node_modules ./node_modules
COPY package.json ./
COPY src ./src
# Processes start sooner, and never load the type stripper, with their code compiled once. The root is read-only later.
ENV NODE_COMPILE_CACHE=/ambit/.compile-cache NODE_COMPILE_CACHE_PORTABLE=1
RUN for entry in "bin/ambit.ts control" "bin/ambit.ts node-agent" "bin/ambit.ts listener-holder" "bin/ambit.ts ztunnel" \
      ztunnel/data/worker.ts; do \
      env -i NODE_COMPILE_CACHE="$NODE_COMPILE_CACHE" NODE_COMPILE_CACHE_PORTABLE=1 \
        timeout 30 node_modules/.bin/node src/$entry >/dev/null 2>&1 || true; \
    done \
 && chmod -R a+rX /ambit
# The control plane runs as this user; the chart makes node agent and ztunnel root, with the capabilities that they need.
USER 1337:1337
ENTRYPOINT ["/ambit/node_modules/.bin/node", "/ambit/src/bin/ambit.ts"]
CMD ["help"]
