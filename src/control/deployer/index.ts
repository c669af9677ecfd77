/** Proxies of Gateways: what is deployed for them, and what is said of it. */
export { startDeployer, type Deployer } from './deployer.ts';
export { deployedGateway } from './deployed-gateway.ts';
export { defaultProxyValues, parseProxyValues, type ProxyValues } from './proxy-values.ts';
