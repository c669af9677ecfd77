/** Names of the cluster, served to the pods of a node. */
export * from './cluster-names.ts';
export * from './dns-server.ts';
